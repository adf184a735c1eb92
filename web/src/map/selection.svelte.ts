/** The points that were chosen, by the lasso, by a kind or by all that is in view. */
import { api } from '../api/client';
import type { Segment } from '../api/types';
import { plural } from '../lib/format';
import { messages } from '../state/messages.svelte';
import { tagging } from '../state/tagging.svelte';

/** So many of them are listed. */
export const SHOWN = 60;
/** The server names at most so many at a time. */
const BATCH = 500;

export const NONE = new Uint32Array(0);

export class Selection {
  /** Null where nothing is chosen. */
  points = $state.raw<Uint32Array<ArrayBuffer> | null>(null);
  listed = $state.raw<Segment[]>([]);

  async select(points: Uint32Array<ArrayBuffer>): Promise<void> {
    this.points = points.length ? points : null;
    this.listed = [];
    messages.speak(`${plural(points.length, 'sound')} selected`);
    if (!points.length) return;
    try {
      const { segments } = await api.mapAt([...points.slice(0, SHOWN)]);
      if (this.points === points) this.listed = segments;
    } catch (cause) {
      messages.fail(cause);
    }
  }

  clear(): void {
    if (this.points) void this.select(NONE);
  }

  async tagAll(): Promise<void> {
    const ids: string[] = [];
    const chosen = this.points ?? NONE;
    try {
      for (let from = 0; from < chosen.length; from += BATCH) {
        ids.push(...(await api.mapAt([...chosen.slice(from, from + BATCH)])).segments.map(({ id }) => id));
      }
      tagging.asking = ids;
    } catch (cause) {
      messages.fail(cause);
    }
  }
}
