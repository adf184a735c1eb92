/** What a card of a sound needs to know and can do: given to it, so that it is drawn without the page's state. */
import type { Hit } from '../api/types';
import { type Sound, copyPath, drag, explainable, favour, isFavourite, pressedOn, reveal } from './actions';
import { library } from './library.svelte';
import { picked } from './picked.svelte';
import { place } from './place.svelte';
import { player } from './player.svelte';
import { settings } from './settings.svelte';
import { tagging } from './tagging.svelte';
import { viewer } from './viewer.svelte';
import { why } from './why.svelte';

export interface CardActions {
  readonly theme: 'dark' | 'light';
  readonly canReveal: boolean;
  /** Colour of a part of the model. */
  colour(part: string): string;
  /** Part of the sound that was played, 0 to 1; null while it does not play. */
  played(hit: Sound): number | null;
  isPicked(hit: Sound): boolean;
  isFavourite(hit: Sound): boolean;
  explainable(hit: Sound): boolean;
  play(hit: Sound): void;
  enter(hit: Sound): void;
  leave(): void;
  pick(hit: Sound): void;
  like(hit: Sound): void;
  view(hit: Sound): void;
  tag(hit: Sound): void;
  favour(hit: Sound): void;
  copyPath(hit: Sound): void;
  reveal(hit: Sound): void;
  explain(hit: Sound): void;
  drag(event: DragEvent, hit: Sound): void;
  /** @returns whether the key means something on a sound, and was done. */
  press(hit: Sound, key: string): boolean;
}

export const cardActions: CardActions = {
  get theme() {
    return settings.shown;
  },
  get canReveal() {
    return library.about?.can_reveal ?? false;
  },
  colour: (part) => library.colour(part),
  played: ({ id }) => (player.isPlaying(id) ? player.progress : null),
  isPicked: ({ id }) => picked.has(id),
  isFavourite,
  explainable,
  play: (hit) => player.toggle(hit),
  enter: (hit) => player.enter(hit),
  leave: () => player.leave(),
  pick: ({ id }) => picked.toggle(id),
  like: (hit) => place.moreLike(hit),
  view: (hit) => void viewer.open(hit),
  tag: ({ id }) => (tagging.asking = [id]),
  favour: (hit) => void favour(hit),
  copyPath: (hit) => void copyPath(hit),
  reveal: (hit) => void reveal(hit),
  explain: (hit) => void why.ask(hit as Hit),
  drag,
  press: pressedOn,
};
