/** How many files have each value of a field, and lie in each folder, among those that the question admits. */
import { api } from '../api/client';
import type { FacetCounts } from '../api/types';
import { Follower } from '../lib/follower';
import { summed } from '../lib/folders';
import { type Query, facetParameters } from './place.svelte';

interface Wish {
  /** What restricts the files, and what restricts them besides their folder. */
  all: string;
  others: string;
}

class Counts {
  fields = $state.raw<FacetCounts['facets']>({});
  /** Files of each folder at any depth; null where nothing but a folder restricts them. */
  folders = $state.raw<ReadonlyMap<string, number> | null>(null);
  /** The counts are of the question before. */
  behind = $state(false);
  private asked = '';
  private follower = new Follower<Wish>((wish, signal) => this.count(wish, signal));

  /** @param state of the library and its tags: what changes it changes the counts. */
  follow(query: Query, state: string): void {
    const { folder: _folder, ...rest } = query;
    const wish = { all: facetParameters(query).toString(), others: facetParameters(rest).toString() };
    const asked = [wish.all, wish.others, state].join('\n');
    if (asked === this.asked) return;
    this.asked = asked;
    this.behind = true;
    this.follower.want(wish, true);
  }

  private async count({ all, others }: Wish, signal: AbortSignal): Promise<void> {
    try {
      const { facets } = await api.facets(all, signal);
      // Where no folder is chosen, one answer has both.
      const inFolders = !others || all === others ? facets : (await api.facets(`${others}&field=folder`, signal)).facets;
      this.fields = facets;
      this.folders = others ? summed(inFolders['folder'] ?? []) : null;
    } catch {
      // A question without answers has no counts: what is wrong is said beside the results.
      if (!signal.aborted) this.asked = '';
    }
    if (!signal.aborted) this.behind = false;
  }
}

export const counts = new Counts();
