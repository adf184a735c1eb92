/** What can be done with a sound, wherever it is shown: on a card, in a table, by a button or by a key. */
import { address, api } from '../api/client';
import type { Hit, Ranked } from '../api/types';
import { carry, regionName } from '../lib/dragging';
import { isExcerpt } from '../lib/format';
import { library } from './library.svelte';
import { messages } from './messages.svelte';
import { picked } from './picked.svelte';
import { place } from './place.svelte';
import { player } from './player.svelte';
import { FAVOURITE, tagging } from './tagging.svelte';
import { viewer } from './viewer.svelte';
import { why } from './why.svelte';

export type Sound = Hit | Ranked;

export async function copyPath(hit: Sound): Promise<void> {
  try {
    await navigator.clipboard.writeText(hit.path);
    messages.say(`Copied ${hit.path}`);
  } catch {
    messages.say(`This browser does not let the page copy: ${hit.path}`);
  }
}

export async function reveal(hit: Sound): Promise<void> {
  try {
    await api.reveal(hit.id);
    messages.say(`Opened the folder of ${hit.name}`);
  } catch (cause) {
    messages.fail(cause);
  }
}

export const isFavourite = (hit: Sound): boolean => hit.tags.includes(FAVOURITE);

export const favour = (hit: Sound): Promise<boolean> =>
  isFavourite(hit) ? tagging.apply(FAVOURITE, [], [hit.id]) : tagging.apply(FAVOURITE, [hit.id]);

/** Have the sound dragged as a file of its own: the whole file as it is, or the segment. */
export function drag(event: DragEvent, hit: Sound): void {
  const region = isExcerpt(hit) ? hit : null;
  carry(event, region ? 'audio/wav' : 'application/octet-stream', region ? regionName(hit.name, hit) : hit.name, address.download(hit.id, region));
}

/** Where the sound of the query can be played: its region, if it has one; null where there is none. */
export function queryAudio(): string | null {
  const { like, upload, start, end } = place.current.query;
  if (upload) return address.uploadAudio(upload);
  if (!like) return null;
  return start !== undefined && end !== undefined ? address.regionAudio(like, { start, end }) : address.segmentAudio(like);
}

/** Play the query in place of the sound, or the sound again. */
export function compare(): void {
  const query = queryAudio();
  if (query && player.sound) player.compare(query);
  else messages.say(query ? 'Play a sound first: Q then switches between it and the query.' : 'There is no sound to compare with: search by one.');
}

/** Whether it can be said why a sound was found: sounds were compared part by part. */
export function explainable(hit: Sound): hit is Hit {
  const { query } = place.current;
  return 'parts' in hit && Object.keys(hit.parts ?? {}).length > 0 && Boolean(query.like ?? query.upload) && !query.text && !query.fields.length;
}

const KEYS: Record<string, (hit: Sound) => unknown> = {
  ' ': (hit) => player.toggle(hit),
  Enter: (hit) => place.moreLike(hit),
  c: copyPath,
  v: (hit) => viewer.open(hit),
  f: favour,
  x: (hit) => picked.toggle(hit.id),
  t: (hit) => (tagging.asking = picked.has(hit.id) ? [...picked.ids] : [hit.id]),
};

/** @returns whether the key means something on a sound, and was done. */
export function pressedOn(hit: Sound, key: string): boolean {
  if (key === 'o' && library.about?.can_reveal) void reveal(hit);
  else if (key === 'w' && explainable(hit)) void why.ask(hit);
  else if (KEYS[key]) KEYS[key](hit);
  else return false;
  return true;
}
