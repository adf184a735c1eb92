/** Generated from the server's OpenAPI description by web/build/api_types.py: not to be changed by hand. */

/** A region of a file, and what is said of it. */
export interface AnnotationEntry {
  /** To remove it by; null of what is not kept, such as a detection. */
  id: string | null;
  /** A segment of the file; its audio and pictures take the region. */
  segment: string | null;
  path: string;
  name: string;
  /** As in the library's folders. */
  folder: string;
  /** Seconds of the file. */
  start: number;
  end: number;
  /** Empty: marked to hold nothing that is looked for. */
  label: string;
  /** Hertz. */
  low: number | null;
  high: number | null;
  /** An annotator's certainty, or a detector's probability. */
  score: number | null;
  annotator: string;
  site: string;
  /** When the region was recorded, by the recorder's clock. */
  recorded: string | null;
}

/** Annotations by their ids. */
export interface AnnotationIds {
  ids: string[];
}

/** Annotations by path and start. */
export interface AnnotationList {
  annotations: AnnotationEntry[];
  /** How many there are, listed or not. */
  total: number;
}

/** Annotations that were kept, and all of the file now. */
export interface AnnotationsAdded {
  /** How many are new. */
  added: number;
  annotations: AnnotationEntry[];
}

/** What was taken from a table. */
export interface AnnotationsImported {
  /** How the table was understood: its format, and which columns were taken for what. */
  said: string;
  /** How many annotations are new. */
  added: number;
  /** How many were there already. */
  known: number;
  /** Names in the table that no file of the library fits, or several. */
  elsewhere: string[];
}

/** How many annotations no longer count. */
export interface AnnotationsRemoved {
  removed: number;
}

/** A window of a sample for a density, and whether the call is in it. */
export interface CheckedWindow {
  bin: number;
  share: number;
  expected: number;
  /** Null where it is not checked, or not clear. */
  present?: boolean | null;
}

/** What a text that is being typed may mean. */
export interface Completion {
  /** A word is one that the model takes sounds for. */
  kind: 'name' | 'folder' | 'tag' | 'word';
  value: string;
  /** Files of the name or folder, segments with the tag. */
  count?: number | null;
}

/** What a text that is being typed may mean, the likeliest of each kind first. */
export interface Completions {
  completions: Completion[];
}

/** In how many of all windows a call is. */
export interface Density {
  density: Estimate;
  checked: number;
}

/** The windows of a sample for a density, some of them checked. */
export interface DensityRequest {
  windows: CheckedWindow[];
}

/** Where to detect, and by which threshold: one of three aims, a probability of one half if none is given. */
export interface DetectRequest {
  /** Only what was recorded at this site. */
  site?: string | null;
  /** Only of these hours of the day, FROM-TO. */
  hours?: string | null;
  /** Only what was recorded on this day or later. */
  after?: string | null;
  /** Only what was recorded before this day. */
  before?: string | null;
  text: string;
  /** Only below this folder of the library. */
  folder?: string | null;
  /** Only with all of these tags. */
  has_tag: string[];
  /** Only files of at least so many seconds. */
  longer?: number | null;
  /** Only files of at most so many seconds. */
  shorter?: number | null;
  /** Only files of this sample rate, in hertz. */
  rate?: number | null;
  /** An SQL condition on fields. */
  where?: string | null;
  /** Segments whose files are meant. */
  ids: string[];
  /** Share of detections that are right. */
  precision?: number | null;
  /** Share of sounds that are detected. */
  recall?: number | null;
  /** Lowest probability of a detection. */
  probability?: number | null;
}

/** What a detector found. */
export interface Detections {
  detector: string;
  events: AnnotationEntry[];
  points: OperatingPointEntry[];
  files: number;
  /** Of sound that was searched. */
  seconds: number;
  failed: FailedRecording[];
}

/** A detector of the library. */
export interface DetectorEntry {
  name: string;
  model: string;
  labels: DetectorReport[];
  /** Marked regions that it learned from. */
  examples: number;
  /** How often it was trained. */
  rounds: number;
}

/** The detectors of the library, by name. */
export interface DetectorList {
  detectors: DetectorEntry[];
}

/** How well a detector finds one label, by examples that were held out. */
export interface DetectorReport {
  label: string;
  /** Seconds that are looked at together. */
  window: number;
  /** Seconds from one window to the next. */
  hop: number;
  /** Null where nothing could be held out. */
  average_precision: Estimate | null;
  /** recordings, blocks of time, or nothing. */
  held_out: string;
  /** Windows with the sound that it learned from. */
  positive: number;
  /** Windows marked to be without it. */
  negative: number;
  /** Windows presumed to be without it. */
  unlabelled: number;
  /** Share of windows of recordings that hold the sound. */
  frequency: Estimate;
  /** At a probability of one half. */
  precision: Estimate;
  recall: Estimate;
}

/** A file that is a copy of others. */
export interface DuplicateCopy {
  /** Of the segment that begins where the region does. */
  id: string;
  path: string;
  name: string;
  /** As in the library's folders. */
  folder: string;
  /** Where the region begins, in seconds. */
  start: number;
  end: number;
  /** Length of the whole file in seconds. */
  duration: number;
  tags: string[];
  /** Whether the file is not there now. */
  absent: boolean;
  /** What was noticed of the file, such as silence. */
  notices: string[];
  /** Fields of the file that column= asked for. */
  fields?: Record<string, string | number | string[] | null> | null;
  /** Whether the file is one segment. */
  is_segment: boolean;
  /** Share of the fingerprint in which it agrees with the nearest other one. */
  agreement: number;
  /** Whether another file of the group has the same content. */
  exact: boolean;
}

/** Files that are copies of each other. */
export interface DuplicateGroups {
  /** The best file of each group first. */
  groups: DuplicateCopy[][];
  /** Files that could not be compared. */
  failed: FailedFile[];
}

/** Which duplicates are looked for. */
export interface DuplicateRequest {
  /** Only files of the same content; no file is read then. */
  exact: boolean;
}

/** What is wrong. */
export interface ErrorDetail {
  /** For programs: one word that does not change. */
  code: string;
  /** For people: what is wrong and what to do. */
  message: string;
}

/** How every error looks. */
export interface ErrorResponse {
  error: ErrorDetail;
}

/** A number and its 95 % interval. */
export interface Estimate {
  value: number;
  low: number;
  high: number;
}

/** Segments that deserve a tag, and segments that do not. */
export interface ExamplesRequest {
  tag: string;
  yes: string[];
  no: string[];
  k: number;
}

/** A form in which segments can be exported. */
export interface ExportFormat {
  name: string;
  title: string;
  ending: string;
}

/** The forms in which segments can be exported. */
export interface ExportFormats {
  formats: ExportFormat[];
}

/** Segments to export. */
export interface ExportRequest {
  ids: string[];
  /** How alike each was found. */
  scores: (number | null)[];
  format: string;
}

/** How many files have each value of some fields. */
export interface FacetCounts {
  /** How many files there are among those asked for. */
  files: number;
  /** Field -> values, of files of which it is known. */
  facets: Record<string, FacetValue[]>;
  milliseconds: number;
}

/** A value of a field, and how many files have it. */
export interface FacetValue {
  value: string;
  files: number;
}

/** A file that could not be indexed, and why. */
export interface FailedFile {
  path: string;
  reason: string;
}

/** A file that could not be searched, and why. */
export interface FailedRecording {
  path: string;
  reason: string;
}

/** Files that could not be indexed. */
export interface Failures {
  failures: FailedFile[];
}

/** A file with all its segments. */
export interface FileEntry {
  /** Seconds. */
  duration: number;
  /** Hertz. */
  sample_rate: number;
  channels: number;
  codec: string;
  segments: SegmentEntry[];
}

/** A folder that sounds lie in, with everything below it. */
export interface Folder {
  /** Relative to the folder that all sounds share; '.' is that folder itself. */
  name: string;
  files: number;
}

/** A file that a text found, and its best region. */
export interface FoundFile {
  /** Of the segment that begins where the region does. */
  id: string;
  path: string;
  name: string;
  /** As in the library's folders. */
  folder: string;
  /** Where the region begins, in seconds. */
  start: number;
  end: number;
  /** Length of the whole file in seconds. */
  duration: number;
  tags: string[];
  /** Whether the file is not there now. */
  absent: boolean;
  /** What was noticed of the file, such as silence. */
  notices: string[];
  /** Fields of the file that column= asked for. */
  fields?: Record<string, string | number | string[] | null> | null;
  /** Whether the region is the segment of that id, and not several segments. */
  is_segment: boolean;
  /** What holds the text: name, tag, title, folder; or the model's sentence, word. */
  found_by: string[];
  /** In [-1, 1]; null where no embedding was compared. */
  similarity: number | null;
  /** Part -> similarity by that part alone. */
  parts: Record<string, number>;
  /** Share of the library that is less similar. */
  percentile: number | null;
  /** How probable the words are for the region; null of other queries. */
  probability: number | null;
}

/** What a text found. */
export interface FoundFiles {
  files: FoundFile[];
  /** How the text was understood, where that is not plain. */
  remarks: string[];
  /** Of the library that was searched; as `/library` gives it. */
  version: string;
  milliseconds: number;
}

/** How many annotations begin in each hour of the day, by site. */
export interface HourCounts {
  /** Site -> 24 numbers. */
  sites: Record<string, number[]>;
  /** How many are of files whose recording time is not known. */
  time_unknown: number;
}

/** Segments in the order of the map. */
export interface Ids {
  ids: string[];
}

/** What is to be brought up to date. */
export interface IndexRequest {
  /** Folders; those that the library knows if not given. New ones only from this machine. */
  folders?: string[] | null;
}

/** Where segments stand on the map; -1 for those that do not. */
export interface Indices {
  indices: number[];
}

/** The last job of each kind, the newest first: only the first can be running. */
export interface JobList {
  jobs: KnownJob[];
}

/** A job that runs now. */
export interface JobStarted {
  job: string;
}

/** How far a job is. */
export interface JobStatus {
  kind: 'index' | 'map' | 'train' | 'detect' | 'sample' | 'duplicates';
  state: 'running' | 'done' | 'failed';
  done: number;
  /** 0 while it is not known. */
  total: number;
  message: string;
  seconds_left?: number | null;
}

/** How far a job is, or how it ended. */
export interface KnownJob {
  kind: 'index' | 'map' | 'train' | 'detect' | 'sample' | 'duplicates';
  state: 'running' | 'done' | 'failed';
  done: number;
  /** 0 while it is not known. */
  total: number;
  message: string;
  seconds_left?: number | null;
  id: string;
}

/** A label and how many annotations have it. */
export interface LabelCount {
  name: string;
  count: number;
}

/** The labels of the library's annotations, the most frequent first. */
export interface LabelList {
  labels: LabelCount[];
}

/** What a library holds. */
export interface LibraryInfo {
  name: string;
  model: string;
  parts: LibraryPart[];
  segments: number;
  files: number;
  seconds: number;
  failures: number;
  /** How many notices there are of the files; see /notices. */
  notices: number;
  /** When indexing was interrupted, and what goes on with it; empty if it was not. */
  unfinished: string;
  /** Whether the model understands tags as queries. */
  tags_searchable: boolean;
  /** Changes with every change of the library. */
  version: string;
  folders: Folder[];
  /** The largest upload that is taken. */
  upload_bytes: number;
  /** The longest. */
  upload_seconds: number;
  /** How many small folders are not listed. */
  folders_left_out: number;
  /** What is known of files, to sort, count and filter by, and for column=. */
  fields: string[];
  /** Whether this client may add folders of the server's disk. */
  can_add_folders: boolean;
  /** Whether this client may open folders in the server's file manager. */
  can_reveal: boolean;
  /** All libraries of this server, this one among them. */
  libraries: ServedLibrary[];
}

/** A part of the model's embedding: a slider. */
export interface LibraryPart {
  name: string;
  dim: number;
  /** How much it counts where no weights are given, which multiply it. */
  balance: number;
}

/** Whether there is a map, and what it shows. */
export interface MapInfo {
  computed: boolean;
  stale: boolean;
  n: number;
  folders: string[];
  clusters: string[];
  tags: TagCount[];
}

/** By which parts the map is to be arranged. */
export interface MapRequest {
  weights: Record<string, number>;
}

/** A region of a file, and what is said of it. */
export interface MarkedRegion {
  start: number;
  end: number;
  /** Empty: it holds nothing that is looked for. */
  label: string;
  low?: number | null;
  high?: number | null;
  /** How certain the annotator is. */
  score?: number | null;
  annotator: string;
}

/** Regions of one file. */
export interface MarkedRegions {
  annotations: MarkedRegion[];
}

/** What was noticed of a file when it was decoded; the file is indexed. */
export interface Noticed {
  path: string;
  /** For programs: silent, cancelled, ultrasonic, repaired, truncated, joined, track ... */
  code: string;
  /** For people: what was noticed, and what can be done. */
  text: string;
}

/** What was noticed of files. */
export interface Notices {
  notices: Noticed[];
}

/** A threshold, and what it is expected to reach. */
export interface OperatingPointEntry {
  label: string;
  /** Lowest probability of a detection. */
  threshold: number;
  precision: Estimate;
  recall: Estimate;
  /** Whether the aim is expected to be reached; mark more examples if not. */
  reached: boolean;
}

/** The waveform of a region. */
export interface Outline {
  least: number[];
  greatest: number[];
}

/** The outline of a file. */
export interface Peaks {
  peaks: number[];
  duration: number;
}

/** Places on the map. */
export interface PointIndices {
  indices: number[];
}

/** What deserves a tag, by the examples. */
export interface Ranking {
  ranked: SegmentEntry[];
  /** Those the classifier is least sure of: mark them next. */
  doubtful: SegmentEntry[];
  /** How many segments have a probability of at least 0.50, 0.51 ... 0.99, of the first 10,000. */
  at_least: number[];
  quality: RankingQuality;
}

/** How sure the classifier is, by cross-validation on the examples. */
export interface RankingQuality {
  accuracy?: number | null;
  low?: number | null;
  high?: number | null;
  average_precision?: number | null;
  message: string;
}

/** Windows to choose for somebody to mark. */
export interface SampleRequest {
  /** Only what was recorded at this site. */
  site?: string | null;
  /** Only of these hours of the day, FROM-TO. */
  hours?: string | null;
  /** Only what was recorded on this day or later. */
  after?: string | null;
  /** Only what was recorded before this day. */
  before?: string | null;
  text: string;
  /** Only below this folder of the library. */
  folder?: string | null;
  /** Only with all of these tags. */
  has_tag: string[];
  /** Only files of at least so many seconds. */
  longer?: number | null;
  /** Only files of at most so many seconds. */
  shorter?: number | null;
  /** Only files of this sample rate, in hertz. */
  rate?: number | null;
  /** An SQL condition on fields. */
  where?: string | null;
  /** Segments whose files are meant. */
  ids: string[];
  /** Of a detector of several; its first if null. */
  label?: string | null;
  count: number;
  /** What a mark would teach most, unlike each other or not; at random; for a density. */
  by: 'diversity' | 'doubt' | 'random' | 'density';
  seed: number;
}

/** A window to mark: send its label to /segments/{id}/annotations, empty where the call is not in it. */
export interface SampledWindow {
  segment: string | null;
  path: string;
  name: string;
  start: number;
  end: number;
  probability: number;
  /** Of a sample for a density, as it is sent to /density. */
  bin?: number | null;
  /** Likewise: share of all windows that are in the bin. */
  share?: number | null;
  /** Likewise: mean probability of the bin. */
  expected?: number | null;
}

/** Windows to mark, by file and start. */
export interface SampledWindows {
  detector: string;
  label: string;
  windows: SampledWindow[];
  failed: FailedRecording[];
}

/** A search that the library keeps. */
export interface SavedSearch {
  name: string;
  /** The part of the page's address behind the question mark. */
  query: string;
}

/** The searches that the library keeps. */
export interface SavedSearchList {
  searches: SavedSearch[];
}

/** What a search found. */
export interface SearchResult {
  hits: SegmentEntry[];
  /** How many segments satisfy the filters, found or not. */
  total: number;
  /** Why nothing can be found, and which weights change nothing. */
  remarks: string[];
  /** Of the library that was searched; as `/library` gives it. */
  version: string;
  milliseconds: number;
}

/** A search to keep, in place of the one that has its name. */
export interface SearchToSave {
  name: string;
  query: string;
}

/** A segment; with its similarities if a search found it, with a probability if a classifier ranked it. */
export interface SegmentEntry {
  /** Of the segment that begins where the region does. */
  id: string;
  path: string;
  name: string;
  /** As in the library's folders. */
  folder: string;
  /** Where the region begins, in seconds. */
  start: number;
  end: number;
  /** Length of the whole file in seconds. */
  duration: number;
  tags: string[];
  /** Whether the file is not there now. */
  absent: boolean;
  /** What was noticed of the file, such as silence. */
  notices: string[];
  /** Fields of the file that column= asked for. */
  fields?: Record<string, string | number | string[] | null> | null;
  /** In [-1, 1]. */
  similarity?: number | null;
  /** Part -> similarity by that part alone. */
  parts?: Record<string, number> | null;
  /** Part -> share of the library that is less alike by it, if explain= asked for it. */
  percentiles?: Record<string, number> | null;
  /** That the segment deserves the tag. */
  probability?: number | null;
}

/** Segments to be found on the map. */
export interface SegmentIds {
  ids: string[];
}

/** Some segments. */
export interface SegmentList {
  segments: SegmentEntry[];
}

/** A library of the server. */
export interface ServedLibrary {
  name: string;
  /** The path below which its page and its API are. */
  address: string;
}

/** A tag and how many segments have it. */
export interface TagCount {
  name: string;
  count: number;
}

/** A tag to give to segments, and to take from others. */
export interface TagEditRequest {
  tag: string;
  add: string[];
  remove: string[];
}

/** A change of tags that was made. */
export interface TagEdited {
  /** To undo it by. */
  edit: string;
  /** Segments that have other tags now. */
  changed: number;
  /** Those among them that were not named: of copies of a named file. */
  copies: number;
}

/** Tags that begin in a certain way. */
export interface TagList {
  tags: TagCount[];
  /** Tags that the model understands as queries. */
  vocabulary: string[];
}

/** A detector to train from the library's annotations or tags. */
export interface TrainRequest {
  name: string;
  labels: string[];
  source: 'annotations' | 'tags';
  /** Of tags: those of segments that hold none of the labels. */
  other: string[];
  /** Seconds; what suits the calls if null. */
  window?: number | null;
  /** Seconds; half a window if null. */
  hop?: number | null;
}

/** Which change of tags to take back. */
export interface UndoRequest {
  edit: string;
}

/** A sound that was uploaded, to be searched by. */
export interface Uploaded {
  peaks: number[];
  duration: number;
  upload: string;
  name: string;
  /** What was noticed of it, such as silence. */
  notices: string[];
}

/** Greatest values, lengths and counts of parameters, and of fields of requests. */
export const limits = {
  AnnotationIds: { ids: 10000 },
  CheckedWindow: { share: 1, expected: 1 },
  DensityRequest: { windows: 10000 },
  DetectRequest: { site: 200, hours: 20, text: 1000, folder: 4096, has_tag: 20, rate: 10000000, where: 2000, ids: 1000, precision: 1, recall: 1, probability: 1 },
  ExamplesRequest: { tag: 200, yes: 5000, no: 5000, k: 10000 },
  ExportRequest: { ids: 10000, scores: 10000, format: 40 },
  IndexRequest: { folders: 100 },
  MarkedRegion: { label: 200, annotator: 200 },
  MarkedRegions: { annotations: 10000 },
  PointIndices: { indices: 500 },
  SampleRequest: { site: 200, hours: 20, text: 1000, folder: 4096, has_tag: 20, rate: 10000000, where: 2000, ids: 1000, label: 200, count: 1000 },
  SearchToSave: { name: 200, query: 20000 },
  SegmentEntry: { probability: 1 },
  SegmentIds: { ids: 200000 },
  TagEditRequest: { tag: 200, add: 200000, remove: 200000 },
  TrainRequest: { labels: 50, other: 100, window: 600, hop: 600 },
  UndoRequest: { edit: 100 },
  complete: { text: 200, limit: 50 },
  countAnnotations: { site: 200, hours: 20, label: 200, annotator: 200 },
  exportAnnotations: { site: 200, hours: 20, label: 200, annotator: 200, format: 40 },
  exportDetections: { format: 40 },
  find: { site: 200, hours: 20, text: 1000, folder: 4096, has_tag: 20, rate: 10000000, where: 2000, like: 20, unlike: 20, upload: 20, word: 20, not: 20, share: 1, weights: 2000, sort: 5, column: 50, k: 500, offset: 10000 },
  getFacets: { site: 200, hours: 20, text: 1000, folder: 4096, has_tag: 20, rate: 10000000, where: 2000, field: 20 },
  getMap: { weights: 2000 },
  getMapAbout: { weights: 2000 },
  getMapColour: { value: 200 },
  getMapIds: { count: 100000 },
  getOutline: { points: 4000, excerpts: 512 },
  getSegmentPeaks: { points: 8000 },
  getSegmentThumbnail: { width: 1024, height: 512 },
  getSpectrogram: { width: 2048, height: 1024, excerpts: 512, gain: 120 },
  importAnnotations: { format: 40 },
  listAnnotations: { site: 200, hours: 20, label: 200, annotator: 200, limit: 5000 },
  listTags: { prefix: 200, limit: 1000 },
  removeSearch: { name: 200 },
  search: { site: 200, hours: 20, upload: 64, tag: 20, not: 20, share: 1, weights: 2000, folder: 4096, has_tag: 20, sort: 5, column: 50, k: 2000, offset: 10000 },
} as const;
