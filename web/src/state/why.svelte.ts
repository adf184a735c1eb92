/** Why a sound was found: by each part, how much of the library is less alike the sound that was searched by. */
import { api } from '../api/client';
import type { Hit } from '../api/types';
import { messages } from './messages.svelte';
import { parameters, place } from './place.svelte';

class Why {
  hit = $state.raw<Hit | null>(null);
  /** Part and share of the library, the most telling first; null until they are known. */
  percentiles = $state.raw<[string, number][] | null>(null);

  /** The answer on the page has no percentiles, which a slider would have to wait for: ask the same again, with them. */
  async ask(hit: Hit): Promise<void> {
    this.hit = hit;
    this.percentiles = null;
    const asked = parameters(place.current.query);
    asked.set('k', String(place.current.k));
    asked.set('explain', 'true');
    try {
      const { hits } = await api.search(asked.toString());
      const percentiles = hits.find(({ id }) => id === hit.id)?.percentiles;
      if (this.hit !== hit) return;
      if (percentiles) this.percentiles = Object.entries(percentiles).sort(([, a], [, b]) => b - a);
      else throw new Error('The library has changed: search again.');
    } catch (cause) {
      this.hit = null;
      messages.fail(cause);
    }
  }
}

export const why = new Why();
