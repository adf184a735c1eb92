/** What a question asks for in words, each condition with the change that takes it away. */
import type { Query } from '../state/place.svelte';
import { seconds, shortFolder } from './format';

export type Change = { [Field in keyof Query]?: Query[Field] | undefined };

export interface Condition {
  name: string;
  without: Change;
}

export function conditions(query: Query): Condition[] {
  const { text, folder, hasTag, minDuration, maxDuration, after, before, fields } = query;
  const lengths = [minDuration !== undefined && `at least ${seconds(minDuration)}`, maxDuration !== undefined && `at most ${seconds(maxDuration)}`].filter(Boolean);
  const dates = [after && `after ${after}`, before && `before ${before}`].filter(Boolean);
  const all: (Condition | false)[] = [
    text !== undefined && { name: `the text “${text}”`, without: { text: undefined } },
    folder !== undefined && { name: `the folder ${shortFolder(folder)}`, without: { folder: undefined } },
    hasTag !== undefined && { name: `the tag “${hasTag}”`, without: { hasTag: undefined } },
    lengths.length > 0 && { name: lengths.join(', '), without: { minDuration: undefined, maxDuration: undefined } },
    dates.length > 0 && { name: dates.join(', '), without: { after: undefined, before: undefined } },
    ...fields.map((field) => ({ name: field.replaceAll('_', ' ').replace(':', ' '), without: { fields: fields.filter((other) => other !== field) } })),
  ];
  return all.filter((one) => one !== false);
}

/** Why nothing was found, as a sentence. */
export function unmet(query: Query): string {
  const { minDuration, maxDuration, after, before } = query;
  const asked = conditions(query).map(({ name }) => name);
  if (minDuration !== undefined && maxDuration !== undefined && minDuration > maxDuration) return `No sound can be ${asked.find((name) => name.startsWith('at least'))}: the limits exclude each other.`;
  if (after && before && after >= before) return `No day is ${asked.find((name) => name.startsWith('after'))}: the limits exclude each other.`;
  return asked.length ? `No sound fits ${asked.join(' and ')}.` : 'No sound fits this.';
}

/** Above results that are not ranked: which sounds they are. */
export function listed(query: Query): string {
  const all = conditions(query);
  if (!all.length) return 'All sounds';
  if (all.length > 1) return 'Filtered sounds';
  if (query.folder !== undefined) return `In ${shortFolder(query.folder)}`;
  if (query.hasTag !== undefined) return query.hasTag === 'favourite' ? 'Favourites' : `Tagged “${query.hasTag}”`;
  return `Sounds: ${all[0]!.name}`;
}
