/** Columns of the table of results: what each shows, and by what it is sorted. */
import type { Hit } from '../api/types';
import { score, seconds, shortFolder, times } from './format';

export interface Column {
  name: string;
  title: string;
  shown: (hit: Hit) => string;
  /** What rows are sorted by. */
  value: (hit: Hit) => number | string;
  right?: boolean;
  /** Left out where no sound has one. */
  rare?: boolean;
}

export const COLUMNS: readonly Column[] = [
  { name: 'name', title: 'Name', shown: ({ name }) => name, value: ({ name }) => name.toLowerCase() },
  { name: 'times', title: 'Part', shown: times, value: ({ start }) => start, rare: true },
  { name: 'score', title: 'Similarity', shown: ({ similarity }) => (similarity === undefined ? '' : score(similarity)), value: ({ similarity }) => similarity ?? -2, right: true, rare: true },
  { name: 'duration', title: 'Length', shown: ({ duration }) => seconds(duration), value: ({ duration }) => duration, right: true },
  { name: 'folder', title: 'Folder', shown: ({ folder }) => shortFolder(folder), value: ({ folder }) => folder.toLowerCase() },
  { name: 'tags', title: 'Tags', shown: ({ tags }) => tags.join(', '), value: ({ tags }) => tags.join(', ').toLowerCase() },
  { name: 'path', title: 'Path', shown: ({ path }) => path, value: ({ path }) => path },
  { name: 'notices', title: 'Notices', shown: ({ notices }) => (notices ?? []).join('; '), value: ({ notices }) => (notices ?? []).length },
];
/** Columns that are shown until others are chosen. */
export const USUAL: readonly string[] = ['name', 'times', 'score', 'duration', 'folder', 'tags'];

/** The chosen columns, without those that have nothing to show of these hits. */
export const columnsOf = (hits: readonly Hit[], chosen: readonly string[]): Column[] =>
  COLUMNS.filter(({ name, rare, shown }) => chosen.includes(name) && !(rare && hits.every((hit) => !shown(hit))));

/** The hits in another order; equal ones stay in theirs. */
export function sorted(hits: readonly Hit[], by: { name: string; down: boolean } | null): readonly Hit[] {
  const column = COLUMNS.find(({ name }) => name === by?.name);
  if (!by || !column) return hits;
  const sign = by.down ? -1 : 1;
  return [...hits].sort((a, b) => {
    const [left, right] = [column.value(a), column.value(b)];
    return left < right ? -sign : left > right ? sign : 0;
  });
}
