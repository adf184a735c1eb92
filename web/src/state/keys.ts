/** Every key of the page in one table: the help sheet prints it, `pressed` runs it. */
import { compare } from './actions';
import { messages } from './messages.svelte';
import { VIEWS, place } from './place.svelte';
import { player } from './player.svelte';
import { sending } from './sending.svelte';
import { settings } from './settings.svelte';
import { tagging } from './tagging.svelte';

interface Key {
  key: string;
  /** How the help sheet shows it. */
  shown: string;
  does: string;
  /** Keys without an action here are handled by the thing that has the focus. */
  run?: () => void;
}

function focus(selector: string, missing: string): void {
  const found = [...document.querySelectorAll<HTMLElement>(selector)].find((element) => element.checkVisibility());
  if (found) found.focus();
  else messages.say(missing);
}

const toSounds = () => focus('[data-card][tabindex="0"]', 'No sounds here.');

const view = (index: number) => () => {
  const name = VIEWS[index];
  if (name) place.go({ view: name });
};

export const KEYS: { title: string; keys: Key[] }[] = [
  {
    title: 'Anywhere',
    keys: [
      { key: '/', shown: '/', does: 'Find by name, folder, tag or sound', run: () => focus('[data-key=words]', 'The field is in Search.') },
      { key: 'u', shown: 'U', does: 'Search with a file', run: () => document.querySelector<HTMLElement>('#file')?.click() },
      { key: 'r', shown: 'R', does: 'Record, and stop recording', run: () => void sending.record() },
      { key: 's', shown: 'S', does: 'Steer: the first slider', run: () => focus('[data-key=slider]', 'No sliders here.') },
      { key: 'g', shown: 'G', does: 'To the sounds', run: toSounds },
      { key: '1', shown: '1', does: 'Search', run: view(0) },
      { key: '2', shown: '2', does: 'Map', run: view(1) },
      { key: '3', shown: '3', does: 'Tag by example', run: view(2) },
      { key: '4', shown: '4', does: 'Detect', run: view(3) },
      { key: '5', shown: '5', does: 'Health', run: view(4) },
      { key: 'p', shown: 'P', does: 'Play again, or stop', run: () => player.again() },
      { key: 'q', shown: 'Q', does: 'Switch between the sound and the query (A/B)', run: compare },
      { key: 'h', shown: 'H', does: 'Play on hover, on or off', run: toggleHover },
      { key: 'a', shown: 'A', does: 'Play each sound that the keys walk to, on or off', run: toggleTriage },
      { key: 'd', shown: 'D', does: 'Dark or light', run: () => settings.toggleTheme() },
      { key: 'z', shown: 'Z', does: 'Undo the last tagging', run: () => void tagging.undo() },
      { key: 'Escape', shown: 'Esc', does: 'Stop the sound', run: () => player.stop() },
    ],
  },
  {
    title: 'On a sound',
    keys: [
      { key: ' ', shown: 'Space', does: 'Play or stop' },
      { key: 'Enter', shown: 'Enter', does: 'More like this' },
      { key: 'arrows', shown: '← ↑ ↓ →', does: 'Walk, and Home, End' },
      { key: 'c', shown: 'C', does: 'Copy the path' },
      { key: 'o', shown: 'O', does: 'Open the folder' },
      { key: 'v', shown: 'V', does: 'View it closely' },
      { key: 'x', shown: 'X', does: 'Select it, or Ctrl and click; T then tags all' },
      { key: 'f', shown: 'F', does: 'Favourite, or no longer' },
      { key: 't', shown: 'T', does: 'Tag it, or take tags off' },
      { key: 'w', shown: 'W', does: 'Why it was found' },
      { key: 'y', shown: 'Y  N', does: 'Yes or no, in Tag by example' },
    ],
  },
  {
    title: 'In the viewer',
    keys: [
      { key: ' ', shown: 'Space', does: 'Play or pause' },
      { key: 'arrows', shown: '← →', does: 'Move along' },
      { key: '+', shown: '+  −  0', does: 'Closer, farther, all' },
      { key: '[', shown: '[  ]', does: 'Begin and end the selection at the needle' },
      { key: 'l', shown: 'L', does: 'Repeat the selection' },
      { key: 'm', shown: 'M', does: 'Mark the selection: to the label' },
      { key: 'n', shown: 'N  B', does: 'Next hit, tag or mark, or the one before' },
    ],
  },
  {
    title: 'On a slider',
    keys: [
      { key: 'arrows', shown: '← →', does: 'Less or more' },
      { key: 'o', shown: 'O', does: 'Only this part, and back' },
      { key: '0', shown: '0', does: 'Back to the balance of the model' },
    ],
  },
  {
    title: 'On the map',
    keys: [
      { key: 'arrows', shown: '← ↑ ↓ →', does: 'Move' },
      { key: '+', shown: '+  −', does: 'Closer, farther' },
      { key: '0', shown: '0', does: 'Most sounds, and again: all' },
      { key: ' ', shown: 'Space', does: 'Play the sound in the cross' },
      { key: 'Enter', shown: 'Enter', does: 'More like it' },
      { key: 'l', shown: 'L', does: 'Lasso, instead of holding Shift' },
      { key: 'a', shown: 'A', does: 'Select all in view' },
    ],
  },
];

function toggleHover(): void {
  settings.hover = !settings.hover;
  messages.say(`Play on hover is ${settings.hover ? 'on' : 'off'}`);
}

function toggleTriage(): void {
  settings.triage = !settings.triage;
  messages.say(`Each sound that the keys walk to is ${settings.triage ? 'played' : 'silent until Space'}`);
  if (settings.triage && document.activeElement === document.body) toSounds();
}

const ACTIONS = new Map(KEYS.flatMap(({ keys }) => keys).flatMap(({ key, run }) => (run ? [[key, run] as const] : [])));

/** Letters that a sound with the focus takes. */
const OF_SOUNDS = new Set('covxftw');
const sayHow = () => messages.say('No sound has the focus: G goes to the sounds, the arrows from one to the next.');

/** Typing belongs to the field that has the focus. */
export function typing(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement) return !['range', 'checkbox', 'radio', 'button', 'file'].includes(target.type);
  return target.isContentEditable || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
}

export function pressed(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (document.querySelector('dialog[open]')) return;
  if (typing(event.target)) {
    if (event.key === 'Escape') (event.target as HTMLElement).blur();
    return;
  }
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const run = ACTIONS.get(key) ?? (OF_SOUNDS.has(key) && document.querySelector('[data-card]') ? sayHow : undefined);
  if (!run) return;
  event.preventDefault();
  run();
}
