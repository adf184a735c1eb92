/** The answer to the question in the address bar. Old results stay until new ones are here: nothing blinks. */
import { ApiError, api } from '../api/client';
import type { Hit } from '../api/types';
import { Follower } from '../lib/follower';
import { plural } from '../lib/format';
import { painted } from '../lib/painted';
import { library } from './library.svelte';
import { messages } from './messages.svelte';
import { type Query, parameters, ranks } from './place.svelte';

interface Wish {
  parameters: string;
  steering: boolean;
  ranked: boolean;
  since: number;
}

class Results {
  hits = $state.raw<Hit[]>([]);
  total = $state(0);
  milliseconds = $state(0);
  error = $state.raw<ApiError | null>(null);
  /** False until the first answer. */
  known = $state(false);
  /** A question was asked and is not answered yet: what is shown answers the one before. */
  asking = $state(false);
  /** A person did not want to wait for the answer. */
  cancelled = $state(false);
  /** The results came in another order for the same question: cards may move to their places. */
  steering = $state(false);
  ranked = $state(false);
  private question = '';
  private asked = '';
  private follower = new Follower<Wish>((wish, signal) => this.answer(wish, signal));

  follow(query: Query, k: number): void {
    const wanted = parameters(query);
    wanted.set('k', String(k));
    const all = wanted.toString();
    if (all === this.asked) return;
    this.asked = all;
    wanted.delete('weights');
    const question = wanted.toString();
    const steering = question === this.question;
    this.question = question;
    const wish = { parameters: all, steering, ranked: ranks(query), since: performance.now() };
    this.asking = true;
    this.cancelled = false;
    this.follower.want(wish, !steering);
  }

  /** Ask the same question again, for what the library holds now. */
  refresh(query: Query, k: number): void {
    this.asked = '';
    this.follow(query, k);
  }

  cancel(): void {
    this.follower.cancel();
    this.asking = false;
    this.cancelled = true;
  }

  replace(ids: ReadonlySet<string>, change: (hit: Hit) => Hit): void {
    this.hits = this.hits.map((hit) => (ids.has(hit.id) ? change(hit) : hit));
  }

  private async answer(wish: Wish, signal: AbortSignal): Promise<void> {
    try {
      const found = await api.search(wish.parameters, signal);
      this.steering = wish.steering;
      this.ranked = wish.ranked;
      this.hits = found.hits;
      library.noticeVersion(found.version);
      this.total = found.total;
      this.milliseconds = found.milliseconds;
      this.error = null;
      messages.speak(found.hits.length ? `${plural(found.total, 'sound')}, first ${found.hits[0]?.name}` : 'No sound found');
      void painted(wish.steering ? 'steer' : 'search', wish.since);
    } catch (cause) {
      // Cancelled: either by a person or by the next question, which is being asked.
      if (cause instanceof DOMException) return;
      this.error = cause instanceof ApiError ? cause : new ApiError(0, 'page', String(cause));
      messages.speak(this.error.message);
    }
    this.known = true;
    if (wish.parameters === this.asked) this.asking = false;
  }
}

export const results = new Results();
