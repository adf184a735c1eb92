/** Columns of the table of results: what each shows, and by which field of the library it is ordered. */
import type { Hit } from '../api/types';
import { count, score, seconds, shortFolder, times } from './format';

export interface Column {
  name: string;
  title: string;
  shown: (hit: Hit) => string;
  /** The field that results are ordered by; none: the column cannot order. */
  sort?: string;
  right?: boolean;
}

const OWN: readonly Column[] = [
  { name: 'name', title: 'Name', shown: ({ name }) => name, sort: 'name' },
  { name: 'times', title: 'Part', shown: times },
  { name: 'score', title: 'Similarity', shown: ({ similarity }) => (similarity === undefined ? '' : score(similarity)), right: true },
  { name: 'duration', title: 'Length', shown: ({ duration }) => seconds(duration), sort: 'duration', right: true },
  { name: 'folder', title: 'Folder', shown: ({ folder }) => shortFolder(folder), sort: 'folder' },
  { name: 'tags', title: 'Tags', shown: ({ tags }) => tags.join(', '), sort: 'tags' },
  { name: 'path', title: 'Path', shown: ({ path }) => path, sort: 'path' },
  { name: 'notices', title: 'Notices', shown: ({ notices }) => (notices ?? []).join('; ') },
];
/** Columns that are shown until others are chosen. */
export const USUAL: readonly string[] = ['name', 'times', 'score', 'duration', 'folder', 'tags'];

const TITLES: Record<string, string> = { sample_rate: 'Rate (Hz)', peak: 'Peak (dB)', rms: 'Level (dB)', recorded_by: 'Time known by' };
const NUMBERS = ['sample_rate', 'channels', 'bits', 'peak', 'rms', 'segments', 'hour'];

/** The fields of the library that no column of its own shows. */
export const moreFields = (fields: readonly string[]): string[] => fields.filter((field) => !OWN.some(({ name }) => name === field));

/** Every column that there is, with those of the library's fields. */
export const columnsOf = (fields: readonly string[]): Column[] => [
  ...OWN,
  ...moreFields(fields).map((field): Column => ({
    name: field,
    title: TITLES[field] ?? title(field),
    shown: (hit) => text(hit.fields?.[field]),
    sort: field,
    right: NUMBERS.includes(field),
  })),
];

/** Whether none of the hits has anything to show in the column. */
export const empty = ({ shown }: Column, hits: readonly Hit[]): boolean => hits.every((hit) => !shown(hit));

const title = (field: string): string => (field[0]?.toUpperCase() ?? '') + field.slice(1).replaceAll('_', ' ');

function text(value: string | number | string[] | null | undefined): string {
  if (value === null || value === undefined) return '';
  if (Array.isArray(value)) return value.join(', ');
  if (typeof value === 'number') return Number.isInteger(value) ? count(value) : value.toFixed(1);
  return value.replace(/^(\d{4}-\d\d-\d\d)T/, '$1 ');
}

/** What results are ordered by: a field, and with a minus before it from large to small. */
export const direction = (sort: string | undefined, field: string | undefined): 'ascending' | 'descending' | 'none' =>
  !field || sort?.replace(/^-/, '') !== field ? 'none' : sort!.startsWith('-') ? 'descending' : 'ascending';

/** Up, down, and back to the order of the search. */
export function turned(sort: string | undefined, field: string): string | undefined {
  return { none: field, ascending: `-${field}`, descending: undefined }[direction(sort, field)];
}

/** The order in words. */
export function orderedBy(sort: string, fields: readonly string[]): string {
  const field = sort.replace(/^-/, '');
  const name = columnsOf(fields).find((column) => column.sort === field)?.title ?? field;
  return `by ${name.toLowerCase()}${sort.startsWith('-') ? ', from high to low' : ''}`;
}
