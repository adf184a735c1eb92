/** Tags written to the library, each change with its way back. */
import { ApiError, BASE, api } from '../api/client';
import { withCopies } from '../lib/format';
import { library } from './library.svelte';
import { messages } from './messages.svelte';
import { place } from './place.svelte';
import { results } from './results.svelte';

/** The tag that makes a sound a favourite: kept, exported and undone as every tag is. */
export const FAVOURITE = 'favourite';

const MEMORY = `tag edits ${BASE}`;
/** So many changes can be undone; the server remembers as many. */
const MOST = 1000;

class Tagging {
  /** Sounds that the dialog is about to tag or to take tags from. */
  asking = $state.raw<string[]>([]);
  /** How many changes were made here: what shows tags asks again. */
  changes = $state(0);
  private edits = $state.raw<string[]>(recalled());
  /** Of each change what said that it was made: gone when it is undone. */
  private readonly toasts = new Map<string, number>();

  /** Whether a change of this tab can be taken back. */
  get undoable(): boolean {
    return this.edits.length > 0;
  }

  /** @returns whether it was done; if not, a person was told why. */
  async apply(tag: string, add: string[], remove: string[] = []): Promise<boolean> {
    try {
      await this.change(tag, add, remove);
      return true;
    } catch (cause) {
      messages.fail(cause);
      return false;
    }
  }

  /** The same, where who asked tells a person why it was not done. */
  async change(tag: string, add: string[], remove: string[] = []): Promise<void> {
    const { edit, changed, copies } = await api.applyTag(tag, add, remove);
    this.remember([...this.edits, edit]);
    this.changes++;
    const [added, removed] = [new Set(add), new Set(remove)];
    results.replace(added, (hit) => (hit.tags.includes(tag) ? hit : { ...hit, tags: [...hit.tags, tag] }));
    results.replace(removed, (hit) => ({ ...hit, tags: hit.tags.filter((name) => name !== tag) }));
    const verb = add.length ? 'Tagged' : 'Untagged';
    const toast = messages.say(`${verb} ${counted(changed, copies)} “${tag}”`, { label: 'Undo', run: () => void this.undo(edit) });
    this.toasts.set(edit, toast);
    // Where the tag was what the results have in common, they are others now.
    if (remove.length && place.current.query.hasTag === tag) results.refresh(place.current.query, place.current.k);
  }

  async undo(edit = this.edits.at(-1)): Promise<void> {
    if (edit === undefined) {
      messages.say('Nothing to undo: no tag was changed in this tab.');
      return;
    }
    try {
      const { changed, copies } = await api.undoTag(edit);
      messages.dismiss(this.toasts.get(edit) ?? 0);
      this.changes++;
      this.remember(this.edits.filter((known) => known !== edit));
      messages.say(`Undone: ${counted(changed, copies)} as before`);
      results.refresh(place.current.query, place.current.k);
    } catch (cause) {
      // The server remembers changes until it stops: one that it has forgotten cannot be undone later either.
      if (cause instanceof ApiError && cause.code === 'no_edit') this.remember(this.edits.filter((known) => known !== edit));
      messages.fail(cause);
    }
  }

  /** Kept with the tab, so that a reload loses no way back. */
  private remember(edits: string[]): void {
    this.edits = edits.slice(-MOST);
    try {
      sessionStorage.setItem(MEMORY, JSON.stringify(this.edits));
    } catch {
      // Without storage the changes of this page can be undone until it is reloaded.
    }
  }
}

/** So many were changed; copies of what was meant share its tags. */
const counted = (changed: number, copies: number): string => withCopies(library.counted(changed - copies), changed - copies, copies);

function recalled(): string[] {
  try {
    return JSON.parse(sessionStorage.getItem(MEMORY) ?? '[]') as string[];
  } catch {
    return [];
  }
}

export const tagging = new Tagging();
