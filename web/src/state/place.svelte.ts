/** Where the person is: view, question, marks and colours, all of it in the address bar and nowhere else. */

import { limits } from '../api/schemas';

export const VIEWS = ['search', 'map', 'tag', 'detect', 'health'] as const;
export type View = (typeof VIEWS)[number];
export type ColourBy = 'folder' | 'cluster' | 'tag' | 'part';

export interface Query {
  like?: string;
  upload?: string;
  /** What names, tags or folders hold, or else what the model takes sounds for. */
  text?: string;
  start?: number;
  end?: number;
  tags: string[];
  not: string[];
  weights: Record<string, number>;
  folder?: string;
  hasTag?: string;
  minDuration?: number;
  maxDuration?: number;
  after?: string;
  before?: string;
  /** The field of files that results are ordered by; with a minus before it from large to small. */
  sort?: string;
  /** Values that fields of the files must have, as "codec:FLAC". */
  fields: string[];
}

/** A tag, and sounds that it fits and does not fit. */
export interface Naming {
  tag: string;
  yes: string[];
  no: string[];
}

export interface Place {
  view: View;
  query: Query;
  k: number;
  naming: Naming;
  colour: { by: ColourBy; value: string };
  /** What part of the map is seen: its centre and how much it is enlarged; null: the bulk of the points. */
  frame: { x: number; y: number; zoom: number } | null;
}

/** Fields of a query whose parameter is one value, by the API's name. */
const TEXTS = { like: 'like', upload: 'upload', text: 'text', folder: 'folder', has_tag: 'hasTag', after: 'after', before: 'before', sort: 'sort' } as const;
const NUMBERS = { start: 'start', end: 'end', min_duration: 'minDuration', max_duration: 'maxDuration' } as const;
export const PAGE = 50;
/** So many results are shown; the rest needs another question. */
export const MOST = limits.search.k;

export const EMPTY: Query = { tags: [], not: [], weights: {}, fields: [] };

const tidy = (value: number): string => String(Number(value.toFixed(3)));

/** The query as the API's own parameters; the page's address uses the same ones. */
export function parameters(query: Query): URLSearchParams {
  const out = new URLSearchParams();
  for (const [name, field] of Object.entries(TEXTS)) if (query[field]) out.set(name, query[field]);
  for (const [name, field] of Object.entries(NUMBERS)) if (query[field] !== undefined) out.set(name, tidy(query[field]));
  for (const tag of query.tags) out.append('tag', tag);
  for (const tag of query.not) out.append('not', tag);
  for (const field of query.fields) out.append('field', field);
  const weights = Object.entries(query.weights).filter(([, value]) => value !== 1);
  if (weights.length) out.set('weights', weights.map(([part, value]) => `${part}:${tidy(value)}`).join(','));
  return out;
}

/** Whether files are found by text or by their fields, which `GET /find` answers; segments are found by `GET /search`. */
export const findsFiles = (query: Query): boolean => Boolean(query.text) || query.fields.length > 0;

/** Names of parameters of GET /search, and those of GET /find and GET /facets for the same. */
const OF_FIND: Record<string, string> = { tag: 'word', min_duration: 'longer', max_duration: 'shorter' };
/** What GET /facets takes: among which files. */
const OF_FACETS = ['text', 'folder', 'has_tag', 'longer', 'shorter', 'after', 'before', 'where'];

/** Values of fields as an SQL condition. */
export function condition(fields: readonly string[]): string {
  return fields
    .map((field) => {
      const [name, value] = [field.slice(0, field.indexOf(':')), field.slice(field.indexOf(':') + 1)];
      const quoted = ['sample_rate', 'channels', 'bits', 'hour'].includes(name) && /^\d+$/.test(value) ? value : `'${value.replaceAll("'", "''")}'`;
      return `"${name}" = ${quoted}`;
    })
    .join(' AND ');
}

/** The query as the parameters of GET /find. */
export function findParameters(query: Query): URLSearchParams {
  const out = new URLSearchParams();
  for (const [name, value] of parameters(query)) if (name !== 'field') out.append(OF_FIND[name] ?? name, value);
  if (query.fields.length) out.set('where', condition(query.fields));
  return out;
}

/** The part of it that says among which files. */
export function facetParameters(query: Query): URLSearchParams {
  return new URLSearchParams([...findParameters(query)].filter(([name]) => OF_FACETS.includes(name)));
}

export function readQuery(from: URLSearchParams): Query {
  const query: Query = { tags: from.getAll('tag'), not: from.getAll('not'), weights: {}, fields: from.getAll('field') };
  for (const [name, field] of Object.entries(TEXTS)) {
    const text = from.get(name);
    if (text) query[field] = text;
  }
  for (const [name, field] of Object.entries(NUMBERS)) {
    const text = from.get(name);
    if (text && Number.isFinite(Number(text))) query[field] = Number(text);
  }
  for (const pair of (from.get('weights') ?? '').split(',')) {
    const cut = pair.lastIndexOf(':');
    const value = Number(pair.slice(cut + 1));
    if (cut > 0 && Number.isFinite(value)) query.weights[pair.slice(0, cut)] = value;
  }
  return query;
}

function read(search: string): Place {
  const from = new URLSearchParams(search);
  const view = VIEWS.find((name) => name === from.get('view')) ?? 'search';
  const by = (['folder', 'cluster', 'tag', 'part'] as const).find((name) => name === from.get('colour')) ?? 'folder';
  const listed = (name: string) => (from.get(name) ?? '').split(',').filter(Boolean);
  return {
    view,
    query: readQuery(from),
    k: Math.min(MOST, Math.max(PAGE, Number(from.get('k')) || PAGE)),
    naming: { tag: from.get('name') ?? '', yes: listed('yes'), no: listed('no') },
    colour: { by, value: from.get('value') ?? '' },
    frame: readFrame(from.get('at')),
  };
}

/** "x,y,zoom" of the map; null where it is none. */
function readFrame(text: string | null): Place['frame'] {
  const [x, y, zoom, ...more] = (text ?? '').split(',').map(Number);
  const known = text && !more.length && [x, y, zoom].every(Number.isFinite) && zoom! > 0;
  return known ? { x: x!, y: y!, zoom: zoom! } : null;
}

export function write(place: Place): string {
  const out = parameters(place.query);
  if (place.view !== 'search') out.set('view', place.view);
  if (place.k !== PAGE) out.set('k', String(place.k));
  if (place.naming.tag) out.set('name', place.naming.tag);
  if (place.naming.yes.length) out.set('yes', place.naming.yes.join(','));
  if (place.naming.no.length) out.set('no', place.naming.no.join(','));
  if (place.colour.by !== 'folder') out.set('colour', place.colour.by);
  if (place.frame) out.set('at', [place.frame.x, place.frame.y, place.frame.zoom].map((value) => Number(value.toFixed(5))).join(','));
  if (place.colour.value) out.set('value', place.colour.value);
  // Commas and colons are legal in a query and easier to read than %2C and %3A.
  const text = out.toString().replaceAll('%2C', ',').replaceAll('%3A', ':');
  return text ? `?${text}` : location.pathname;
}

export interface Position {
  scrolled: number;
}

class Address {
  current = $state.raw<Place>(read(location.search));

  /** How far the page was scrolled where the browser has returned to; null on a step forward, which begins at the top. */
  returned = $state.raw<Position | null>((history.state as Position | null) ?? null);

  private distance = 0;
  private scrolling: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    addEventListener('popstate', (event) => {
      clearTimeout(this.scrolling);
      clearTimeout(resting);
      resting = undefined;
      this.returned = (event.state as Position | null) ?? { scrolled: 0 };
      this.current = read(location.search);
    });
  }

  /** How far the page is scrolled: kept in the history, for the way back and for a reload. */
  scrolled(distance: number): void {
    this.distance = distance;
    clearTimeout(this.scrolling);
    this.scrolling = setTimeout(() => this.keepScroll(), REST);
  }

  private keepScroll(): void {
    clearTimeout(this.scrolling);
    history.replaceState({ scrolled: this.distance } satisfies Position, '');
  }

  /** A step that the back button undoes. */
  go(change: Partial<Place>): void {
    settle();
    this.keepScroll();
    this.returned = null;
    this.current = { ...this.current, ...change };
    history.pushState(null, '', write(this.current));
  }

  /** A movement within a step: a slider on its way, a letter typed. */
  adjust(change: Partial<Place>): void {
    this.current = { ...this.current, ...change };
    clearTimeout(resting);
    resting = setTimeout(settle, REST);
  }

  /** Change some fields of the question; `undefined` takes a field away. */
  ask(change: { [Field in keyof Query]?: Query[Field] | undefined }, movement = false): void {
    const query = { ...this.current.query, ...change } as Query;
    for (const field of Object.keys(query) as (keyof Query)[]) if (query[field] === undefined) delete query[field];
    if (movement) this.adjust({ query, k: PAGE });
    else this.go({ query, k: PAGE });
  }

  /** Search by a sound. Text found it, and would hide others like it: it is dropped; filters stay. */
  moreLike(hit: { id: string; start: number; end: number; is_segment?: boolean }): void {
    const { text: _text, ...rest } = without(this.current.query);
    const region = hit.is_segment === false ? { start: hit.start, end: Number(hit.end.toFixed(3)) } : {};
    this.go({ view: 'search', k: PAGE, query: { ...rest, like: hit.id, ...region } });
  }

  more(): void {
    this.adjust({ k: Math.min(MOST, this.current.k + PAGE) });
  }
}

/** Browsers refuse more than about a hundred history entries in ten seconds: movements are written when they rest. */
const REST = 200;
let resting: ReturnType<typeof setTimeout> | undefined;
function settle(): void {
  if (resting === undefined) return;
  clearTimeout(resting);
  resting = undefined;
  history.replaceState(history.state, '', write(place.current));
}

/** The query without its sound, and without an order that was chosen for other results. */
export function without(query: Query): Query {
  const { like: _like, upload: _upload, start: _start, end: _end, sort: _sort, ...rest } = query;
  return rest;
}

/** Whether sounds are compared, rather than names and fields. */
export const compares = (query: Query): boolean => Boolean(query.like ?? query.upload) || query.tags.length + query.not.length > 0;

/** Whether the question ranks sounds, rather than only listing those that pass the filters. */
export function ranks(query: Query): boolean {
  return compares(query) || Boolean(query.text);
}

export const place = new Address();
