/** The calls of the HTTP API, typed. Every failure arrives as one ApiError whose message a person can act on. */
import type * as t from './types';

/** Of several libraries each is below a path of its own. */
export const BASE = /^\/libraries\/[^/]+/.exec(globalThis.location?.pathname ?? '')?.[0] ?? '';
const ROOT = `${BASE}/api/v1`;

export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

let report: (answered: boolean) => void = () => undefined;

/** Have every request reported: whether the server answered it, well or not. */
export function listen(listener: (answered: boolean) => void): void {
  report = listener;
}

async function ask(path: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(ROOT + path, init);
  } catch (cause) {
    if (cause instanceof DOMException && cause.name === 'AbortError') throw cause;
    report(false);
    throw new ApiError(0, 'unreachable', 'The server does not answer. Is “soundloom serve” still running?');
  }
  report(true);
  if (response.ok) return response;
  let code = 'http';
  let message = `The server answered ${response.status}.`;
  try {
    const body = (await response.json()) as { error?: { code: string; message: string } };
    if (body.error) ({ code, message } = body.error);
  } catch {
    // An answer that is not JSON comes from something in between: the status is all there is to say.
  }
  throw new ApiError(response.status, code, message);
}

async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return (await ask(path, signal ? { signal } : {})).json() as Promise<T>;
}

async function post<T>(path: string, body: unknown, signal?: AbortSignal): Promise<T> {
  const init: RequestInit = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  if (signal) init.signal = signal;
  return (await ask(path, init)).json() as Promise<T>;
}

const at = encodeURIComponent;
const weighed = (weights: string): string => (weights ? `?weights=${at(weights)}` : '');

export const api = {
  library: () => get<t.Library>('/library'),
  search: (parameters: string, signal?: AbortSignal) => get<t.Found>(`/search?${parameters}`, signal),
  find: (parameters: string, signal?: AbortSignal) => get<t.FoundFiles>(`/find?${parameters}`, signal),
  facets: (parameters: string, signal?: AbortSignal) => get<t.FacetCounts>(`/facets?${parameters}`, signal),
  complete: (text: string, signal?: AbortSignal) => get<{ completions: t.Completion[] }>(`/complete?text=${at(text)}`, signal),
  searches: () => get<{ searches: t.SavedSearch[] }>('/searches'),
  saveSearch: (name: string, query: string) =>
    ask('/searches', { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ name, query }) }),
  removeSearch: (name: string) => ask(`/searches?name=${at(name)}`, { method: 'DELETE' }),
  segment: (id: string) => get<t.Segment>(`/segments/${at(id)}`),
  peaks: (id: string, points: number) => get<t.Peaks>(`/segments/${at(id)}/peaks?points=${points}`),
  file: (id: string) => get<t.FileEntry>(`/segments/${at(id)}/file`),
  outline: (id: string, region: { start: number; end: number; points: number; excerpts?: number }, signal?: AbortSignal) =>
    get<t.Outline>(`/segments/${at(id)}/outline?${new URLSearchParams(Object.entries(region).map(([name, value]) => [name, String(value)]))}`, signal),
  reveal: (id: string) => ask(`/segments/${at(id)}/reveal`, { method: 'POST' }),
  async upload(file: Blob, name: string, signal: AbortSignal): Promise<t.Upload> {
    const body = new FormData();
    body.append('file', file, name);
    return (await ask('/uploads', { method: 'POST', body, signal })).json() as Promise<t.Upload>;
  },
  exportFormats: () => get<{ formats: t.ExportFormat[] }>('/export'),
  async export(ids: string[], scores: (number | null)[], format: string): Promise<{ blob: Blob; name: string }> {
    const body = JSON.stringify({ ids, scores, format });
    const answer = await ask('/export', { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    const name = /filename="([^"]+)"/.exec(answer.headers.get('content-disposition') ?? '')?.[1] ?? 'export';
    return { blob: await answer.blob(), name };
  },
  tags: (prefix: string, limit = 8, signal?: AbortSignal) =>
    get<{ tags: t.TagCount[]; vocabulary: string[] }>(`/tags?prefix=${at(prefix)}&limit=${limit}`, signal),
  applyTag: (tag: string, add: string[], remove: string[] = []) =>
    post<t.TagEdited>('/tags/apply', { tag, add, remove }),
  undoTag: (edit: string) => post<t.TagEdited>('/tags/undo', { edit }),
  /** The k most probable are described, all are counted. */
  examples: ({ tag, yes, no }: { tag: string; yes: string[]; no: string[] }, k: number, signal?: AbortSignal) =>
    post<t.Examples>('/examples', { tag: tag || 'unnamed', yes, no, k }, signal),
  /** There is a map for every set of weights that was computed: these calls take which one. */
  mapAbout: (weights: string) => get<t.MapAbout>(`/map/about${weighed(weights)}`),
  map: async (weights: string) => (await ask(`/map${weighed(weights)}`)).arrayBuffer(),
  mapColour: async (parameters: Record<string, string>, signal: AbortSignal) =>
    new Uint8Array(await (await ask(`/map/colour?${new URLSearchParams(parameters)}`, { signal })).arrayBuffer()),
  mapAt: (indices: number[], signal?: AbortSignal) => post<{ segments: t.Segment[] }>('/map/at', { indices }, signal),
  mapWhere: (ids: string[]) => post<{ indices: number[] }>('/map/where', { ids }),
  computeMap: (weights: Record<string, number>) => post<{ job: string }>('/map/compute', { weights }),
  reindex: (folders: string[] | null) => post<{ job: string }>('/index', { folders }),
  /** The last of each kind, the newest first. */
  jobs: () => get<{ jobs: t.KnownJob[] }>('/jobs'),
  job: (id: string) => get<t.Job>(`/jobs/${at(id)}`),
  cancel: (id: string) => ask(`/jobs/${at(id)}`, { method: 'DELETE' }),
  labels: () => get<{ labels: t.TagCount[] }>('/annotations/labels'),
  fileAnnotations: (id: string) => get<{ annotations: t.Annotation[] }>(`/segments/${at(id)}/annotations`),
  annotate: (id: string, annotations: { start: number; end: number; label: string; low?: number; high?: number }[]) =>
    post<{ annotations: t.Annotation[] }>(`/segments/${at(id)}/annotations`, { annotations }),
  removeAnnotations: (ids: string[]) => post<{ removed: number }>('/annotations/remove', { ids }),
  detectors: () => get<{ detectors: t.Detector[] }>('/detectors'),
  trainDetector: (wanted: { name: string; labels: string[]; source: 'annotations' | 'tags' }) => post<{ job: string }>('/detectors', wanted),
  removeDetector: (name: string) => ask(`/detectors/${at(name)}`, { method: 'DELETE' }),
  /** Of the files of some segments, or of all; by one aim. */
  detect: (name: string, wanted: { ids?: string[]; [filter: string]: unknown; precision?: number; recall?: number; probability?: number }) =>
    post<{ job: string }>(`/detectors/${at(name)}/detect`, wanted),
  detections: (job: string) => get<t.Detections>(`/jobs/${at(job)}/detections`),
  findDuplicates: (exact: boolean) => post<{ job: string }>('/duplicates', { exact }),
  duplicates: (job: string) => get<t.DuplicateGroups>(`/jobs/${at(job)}/duplicates`),
  failures: () => get<{ failures: t.Failure[] }>('/failures'),
  notices: () => get<{ notices: t.Notice[] }>('/notices'),
};

/** Addresses that the browser itself fetches. */
export const address = {
  thumbnail: (id: string, theme: 'dark' | 'light') =>
    `${ROOT}/segments/${at(id)}/thumbnail.webp?width=240&height=96&theme=${theme}`,
  segmentAudio: (id: string) => `${ROOT}/segments/${at(id)}/audio?part=segment`,
  regionAudio: (id: string, { start, end }: { start: number; end: number }) => `${ROOT}/segments/${at(id)}/audio?part=region&start=${start.toFixed(3)}&end=${end.toFixed(3)}`,
  fileAudio: (id: string) => `${ROOT}/segments/${at(id)}/audio`,
  tile: (id: string, details: Record<string, string | number>) =>
    `${ROOT}/segments/${at(id)}/spectrogram.png?${new URLSearchParams(Object.entries(details).map(([name, value]) => [name, String(value)]))}`,
  /** A file of its own, under a name of its own: the whole file as it is, or a region as WAV. */
  download: (id: string, region: { start: number; end: number } | null) =>
    `${ROOT}/segments/${at(id)}/audio?download=true&part=${region ? `region&start=${region.start.toFixed(3)}&end=${region.end.toFixed(3)}` : 'original'}`,
  uploadAudio: (id: string) => `${ROOT}/uploads/${at(id)}/audio`,
  annotationExport: (format: string) => `${ROOT}/annotations/export?format=${at(format)}`,
  detectionExport: (job: string, format: string) => `${ROOT}/jobs/${at(job)}/detections/export?format=${at(format)}`,
  tagExport: (format: 'csv' | 'audacity') => `${ROOT}/tags/export?format=${format}`,
};
