/** What the HTTP API answers (GET /api/v1/openapi.json is the reference). Times are seconds. */

export interface Part {
  name: string;
  dim: number;
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
  kind: 'index' | 'map';
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
