/** The points that were chosen, by the lasso, by a kind or by all that is in view. */
import { api } from '../api/client';
import type { Segment } from '../api/types';
import { library } from '../state/library.svelte';
import { messages } from '../state/messages.svelte';
import { MOST, place } from '../state/place.svelte';
import { results } from '../state/results.svelte';
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
    messages.speak(`${library.counted(points.length)} selected`);
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
    try {
      tagging.asking = (await this.segments()).map(({ id }) => id);
    } catch (cause) {
      messages.fail(cause);
    }
  }

  /** Show them in Search, where they are exported, sorted and played as what a search has found is. */
  async show(): Promise<void> {
    try {
      results.choose('Chosen on the map', await this.segments(MOST), this.points?.length ?? 0);
      place.go({ view: 'search' });
    } catch (cause) {
      messages.fail(cause);
    }
  }

  private async segments(most = Infinity): Promise<Segment[]> {
    const found: Segment[] = [];
    const chosen = (this.points ?? NONE).slice(0, most);
    for (let from = 0; from < chosen.length; from += BATCH) found.push(...(await api.mapAt([...chosen.slice(from, from + BATCH)])).segments);
    return found;
  }
}
