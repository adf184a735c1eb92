/** The API's types under the names of the page; `schemas.ts` is generated from the server's description. */
import type * as s from './schemas';

/** Of routes that leave out what is null. */
type Lean<T> = { [K in keyof T]: undefined extends T[K] ? Exclude<T[K], null> : T[K] };
type Scores = 'similarity' | 'parts' | 'percentiles' | 'probability';

export type Part = s.LibraryPart;
export type Library = s.LibraryInfo;
export type Segment = Omit<Lean<s.SegmentEntry>, Scores>;
/** A segment, or a file that a text found, which may be several. */
export type Hit = Segment & Pick<Lean<s.SegmentEntry>, Exclude<Scores, 'probability'>> & Partial<Pick<s.FoundFile, 'is_segment' | 'found_by'>>;
export type Ranked = Segment & { probability: number };
export type Found = Omit<s.SearchResult, 'hits'> & { hits: Hit[] };
export type FoundFiles = Omit<s.FoundFiles, 'files'> & { files: (Omit<Hit, 'similarity'> & Pick<s.FoundFile, 'similarity'>)[] };
export type DuplicateCopy = Lean<s.DuplicateCopy>;
export type DuplicateGroups = Omit<s.DuplicateGroups, 'groups'> & { groups: DuplicateCopy[][] };
export type FacetCounts = s.FacetCounts;
export type Completion = s.Completion;
export type SavedSearch = s.SavedSearch;
export type FileEntry = Omit<s.FileEntry, 'segments'> & { segments: Segment[] };
export type Outline = s.Outline;
export type ExportFormat = s.ExportFormat;
/** Absent from what earlier pages kept: what was noticed of it. */
export type Upload = Omit<s.Uploaded, 'notices'> & Partial<Pick<s.Uploaded, 'notices'>>;
export type Peaks = s.Peaks;
export type TagCount = s.TagCount;
export type Quality = Lean<s.RankingQuality>;
export type Examples = Omit<s.Ranking, 'ranked' | 'doubtful' | 'quality'> & { ranked: Ranked[]; doubtful: Ranked[]; quality: Quality };
export type MapAbout = s.MapInfo;
export type Job = Lean<s.JobStatus>;
export type KnownJob = Lean<s.KnownJob>;
export type TagEdited = s.TagEdited;
export type Failure = s.FailedFile;
export type Notice = s.Noticed;
/** A region of a file and what is said of it, by a person or a detector. */
export type Annotation = s.AnnotationEntry;
/** A number and its 95 % interval. */
export type Estimate = s.Estimate;
export type DetectorReport = s.DetectorReport;
export type Detector = s.DetectorEntry;
export type OperatingPoint = s.OperatingPointEntry;
export type Detections = s.Detections;
