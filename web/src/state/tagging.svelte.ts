/** Tags written to the library, each change with its way back. */
import { api } from '../api/client';
import { plural } from '../lib/format';
import { messages } from './messages.svelte';
import { place } from './place.svelte';
import { results } from './results.svelte';

class Tagging {
  /** Sounds that the dialog is about to name. */
  asking = $state.raw<string[]>([]);
  /** How many changes were made here: what shows tags asks again. */
  changes = $state(0);
  private edits: string[] = [];

  async apply(tag: string, add: string[], remove: string[] = []): Promise<boolean> {
    try {
      const { edit, changed } = await api.applyTag(tag, add, remove);
      this.edits.push(edit);
      this.changes++;
      const [added, removed] = [new Set(add), new Set(remove)];
      results.replace(added, (hit) => (hit.tags.includes(tag) ? hit : { ...hit, tags: [...hit.tags, tag] }));
      results.replace(removed, (hit) => ({ ...hit, tags: hit.tags.filter((name) => name !== tag) }));
      const verb = add.length ? 'Tagged' : 'Untagged';
      messages.say(`${verb} ${plural(changed, 'sound')} “${tag}”`, { label: 'Undo', run: () => void this.undo(edit) });
      return true;
    } catch (cause) {
      messages.fail(cause);
      return false;
    }
  }

  async undo(edit = this.edits.at(-1)): Promise<void> {
    if (edit === undefined) {
      messages.say('Nothing to undo: no tag was changed since the page was opened.');
      return;
    }
    try {
      const { changed } = await api.undoTag(edit);
      this.changes++;
      this.edits = this.edits.filter((known) => known !== edit);
      messages.say(`Undone: ${plural(changed, 'sound')} as before`);
      results.refresh(place.current.query, place.current.k);
    } catch (cause) {
      messages.fail(cause);
    }
  }
}

export const tagging = new Tagging();
