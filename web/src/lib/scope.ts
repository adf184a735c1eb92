/** The files of the last search: in words, and as a detection takes them. */
import { facetParameters, type Query, ranks } from '../state/place.svelte';
import { plural } from './format';

/** So many segments can be named as the files to search. */
const MOST = 1000;

export interface Scope {
  words: string;
  files: { ids: string[] } | Record<string, string | string[]>;
}

interface Shown {
  kind: 'nearest' | 'found' | 'all' | 'chosen';
  hits: readonly { id: string; path: string }[];
}

/** Filters mean every file that passes them; a ranking means the files that are shown. Null where all files are meant. */
export function lastSearch(query: Query, { kind, hits }: Shown): Scope | null {
  if (kind !== 'chosen' && !ranks(query)) {
    const filters = facetParameters(query);
    if (!filters.size) return null;
    const files = Object.fromEntries([...filters.keys()].map((name) => [name, name === 'has_tag' ? filters.getAll(name) : filters.get(name)!]));
    return { words: 'in all files of the last search', files };
  }
  const named = hits.slice(0, MOST);
  const files = plural(new Set(named.map(({ path }) => path)).size, 'file');
  return { words: kind === 'chosen' ? `in the ${files} that were chosen` : `in the ${files} shown by the last search`, files: { ids: named.map(({ id }) => id) } };
}
