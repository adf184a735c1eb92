/** What the HTTP API answers (GET /api/v1/openapi.json is the reference). Times are seconds. */

export interface Part {
  name: string;
  dim: number;
  /** How much it counts where no weights are given, which multiply it. */
  balance: number;
}

export interface Library {
  name: string;
  model: string;
  parts: Part[];
  segments: number;
  files: number;
  seconds: number;
  failures: number;
  /** How many notices there are of its files. */
  notices: number;
  tags_searchable: boolean;
  /** Whether this browser may add folders of the server's disk. */
  can_add_folders: boolean;
  /** Whether this browser may open folders in the file manager of the server's machine. */
  can_reveal: boolean;
  version: string;
  folders: { name: string; files: number }[];
}

export interface Segment {
  id: string;
  path: string;
  name: string;
  folder: string;
  start: number;
  end: number;
  duration: number;
  tags: string[];
  /** Whether the file is not there now, as when its drive is unplugged. */
  absent?: boolean;
  /** What was noticed of the file, such as silence. */
  notices?: string[];
}

export interface Hit extends Segment {
  /** False where it is several segments together, as a file that its name found. */
  is_segment?: boolean;
  /** What found it: name, tag, title, folder; or the model's sentence, word. */
  found_by?: string[];
  similarity?: number;
  parts?: Record<string, number>;
  /** Share of the library that is less alike by each part; where it was asked for. */
  percentiles?: Record<string, number>;
}

export interface Ranked extends Segment {
  probability: number;
}

export interface Found {
  hits: Hit[];
  total: number;
  /** How a text was understood; where there was one. */
  remarks?: string[];
  /** Of the library that was searched. */
  version: string;
  milliseconds: number;
}

export interface FoundFiles {
  files: (Omit<Hit, 'similarity'> & { similarity: number | null })[];
  /** How the text was understood, where that is not plain. */
  remarks: string[];
  version: string;
  milliseconds: number;
}

/** A file that is a copy of others. */
export interface DuplicateCopy extends Segment {
  is_segment: boolean;
  agreement: number;
  /** Whether another file of the group has the same content. */
  exact: boolean;
}

export interface DuplicateGroups {
  /** The best file of each group first. */
  groups: DuplicateCopy[][];
  failed: Failure[];
}

export interface FacetCounts {
  files: number;
  facets: Record<string, { value: string; files: number }[]>;
}

export interface Completion {
  kind: 'name' | 'folder' | 'tag' | 'word';
  value: string;
  count: number | null;
}

export interface SavedSearch {
  name: string;
  query: string;
}

export interface FileEntry {
  duration: number;
  sample_rate: number;
  channels: number;
  codec: string;
  /** In the order of time. */
  segments: Segment[];
}

/** The least and greatest samples of equal stretches of a region. */
export interface Outline {
  least: number[];
  greatest: number[];
}

export interface ExportFormat {
  name: string;
  title: string;
  ending: string;
}

export interface Upload {
  upload: string;
  name: string;
  duration: number;
  peaks: number[];
  /** What was noticed of it; absent from what earlier pages kept. */
  notices?: string[];
}

export interface Peaks {
  peaks: number[];
  duration: number;
}

export interface TagCount {
  name: string;
  count: number;
}

export interface Quality {
  /** Absent where too few examples tell nothing yet. */
  accuracy?: number;
  low?: number;
  high?: number;
  average_precision?: number;
  message: string;
}

export interface Examples {
  ranked: Ranked[];
  doubtful: Ranked[];
  /** How many have a probability of at least 0.50, 0.51 ... 0.99. */
  at_least: number[];
  quality: Quality;
}

export interface MapAbout {
  computed: boolean;
  stale: boolean;
  n: number;
  folders: string[];
  clusters: string[];
  tags: TagCount[];
}

export interface Job {
  kind: 'index' | 'map' | 'train' | 'detect' | 'sample' | 'duplicates';
  state: 'running' | 'done' | 'failed';
  done: number;
  total: number;
  message: string;
  /** Absent while it cannot be told. */
  seconds_left?: number;
}

export interface Failure {
  path: string;
  reason: string;
}

export interface Notice {
  path: string;
  /** For programs: silent, cancelled, repaired ... */
  code: string;
  text: string;
}

/** A region of a file and what is said of it, by a person or a detector. */
export interface Annotation {
  /** Null of what is not kept, such as a detection. */
  id: string | null;
  /** A segment of the file. */
  segment: string | null;
  path: string;
  name: string;
  folder: string;
  start: number;
  end: number;
  /** Empty: it holds nothing that is looked for. */
  label: string;
  low: number | null;
  high: number | null;
  score: number | null;
  site: string;
  recorded: string | null;
}

/** A number and its 95 % interval. */
export interface Estimate {
  value: number;
  low: number;
  high: number;
}

export interface DetectorReport {
  label: string;
  window: number;
  /** Null where nothing could be held out. */
  average_precision: Estimate | null;
  held_out: string;
  positive: number;
  negative: number;
  precision: Estimate;
  recall: Estimate;
}

export interface Detector {
  name: string;
  labels: DetectorReport[];
  examples: number;
  rounds: number;
}

export interface OperatingPoint {
  label: string;
  threshold: number;
  precision: Estimate;
  recall: Estimate;
}

export interface Detections {
  events: Annotation[];
  points: OperatingPoint[];
  files: number;
  seconds: number;
  failed: Failure[];
}
