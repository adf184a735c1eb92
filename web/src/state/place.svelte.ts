/** Where the person is: view, question, marks and colours, all of it in the address bar and nowhere else. */

export const VIEWS = ['search', 'map', 'tag', 'health'] as const;
export type View = (typeof VIEWS)[number];
export type ColourBy = 'folder' | 'cluster' | 'tag' | 'part';

export interface Query {
  like?: string;
  upload?: string;
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
}

export interface Place {
  view: View;
  query: Query;
  k: number;
  naming: { tag: string; yes: string[]; no: string[] };
  colour: { by: ColourBy; value: string };
}

/** Fields of a query whose parameter is one value, by the API's name. */
const TEXTS = { like: 'like', upload: 'upload', folder: 'folder', has_tag: 'hasTag', after: 'after', before: 'before' } as const;
const NUMBERS = { start: 'start', end: 'end', min_duration: 'minDuration', max_duration: 'maxDuration' } as const;
export const PAGE = 50;
/** So many results are shown; the rest needs another question. */
export const MOST = 2000;

export const EMPTY: Query = { tags: [], not: [], weights: {} };

const tidy = (value: number): string => String(Number(value.toFixed(3)));

/** The query as the API's own parameters; the page's address uses the same ones. */
export function parameters(query: Query): URLSearchParams {
  const out = new URLSearchParams();
  for (const [name, field] of Object.entries(TEXTS)) if (query[field]) out.set(name, query[field]);
  for (const [name, field] of Object.entries(NUMBERS)) if (query[field] !== undefined) out.set(name, tidy(query[field]));
  for (const tag of query.tags) out.append('tag', tag);
  for (const tag of query.not) out.append('not', tag);
  const weights = Object.entries(query.weights).filter(([, value]) => value !== 1);
  if (weights.length) out.set('weights', weights.map(([part, value]) => `${part}:${tidy(value)}`).join(','));
  return out;
}

export function readQuery(from: URLSearchParams): Query {
  const query: Query = { tags: from.getAll('tag'), not: from.getAll('not'), weights: {} };
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
  };
}

export function write(place: Place): string {
  const out = parameters(place.query);
  if (place.view !== 'search') out.set('view', place.view);
  if (place.k !== PAGE) out.set('k', String(place.k));
  if (place.naming.tag) out.set('name', place.naming.tag);
  if (place.naming.yes.length) out.set('yes', place.naming.yes.join(','));
  if (place.naming.no.length) out.set('no', place.naming.no.join(','));
  if (place.colour.by !== 'folder') out.set('colour', place.colour.by);
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

  moreLike(id: string): void {
    this.go({ view: 'search', k: PAGE, query: { ...without(this.current.query), like: id } });
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

/** The query without its sound. */
export function without(query: Query): Query {
  const { like: _like, upload: _upload, start: _start, end: _end, ...rest } = query;
  return rest;
}

/** Whether the question ranks sounds, rather than only listing those that pass the filters. */
export function ranks(query: Query): boolean {
  return Boolean(query.like ?? query.upload) || query.tags.length > 0 || query.not.length > 0;
}

export const place = new Address();
