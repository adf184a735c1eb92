/** Tagging by examples: which sounds were marked, and what the server learned from them. */
import { api } from '../api/client';
import { limits } from '../api/schemas';
import type { Examples, Segment } from '../api/types';
import { Follower } from '../lib/follower';
import { messages } from './messages.svelte';
import { type Naming, place } from './place.svelte';

/** So many sounds can be accepted at a time. */
export const MOST = limits.ExamplesRequest.k;
/** So many of the ranked are shown. */
export const SHOWN = 60;
/** Milliseconds for which an answer to earlier marks may still come. */
const PATIENCE = 2000;

export type Answer = 'yes' | 'no';

export class LearnedTag {
  found = $state.raw<Examples | null>(null);
  error = $state('');
  /** Marks were made whose answer is not here yet. */
  asking = $state(false);
  private known = $state.raw(new Map<string, Segment>());
  private follower = new Follower<Naming>((naming, signal) => this.learn(naming, signal), PATIENCE);

  /** Call inside an effect: learn from these marks, once there is one of each. */
  follow(naming: Naming): void {
    const both = naming.yes.length > 0 && naming.no.length > 0;
    this.asking = both;
    if (both) this.follower.want(naming);
    else {
      this.follower.cancel();
      this.found = null;
    }
  }

  /** Call inside an effect: marks from a bookmark are only ids, so ask what they are. */
  complete(ids: readonly string[]): void {
    const missing = ids.filter((id) => !this.known.has(id));
    if (!missing.length) return;
    void Promise.allSettled(missing.map((id) => api.segment(id))).then((all) =>
      this.remember(all.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))),
    );
  }

  segment(id: string): Segment | undefined {
    return this.known.get(id);
  }

  of(id: string): Answer | undefined {
    const { yes, no } = place.current.naming;
    return yes.includes(id) ? 'yes' : no.includes(id) ? 'no' : undefined;
  }

  /** Mark a sound, or take the same mark away. */
  mark(id: string, answer: Answer, seen?: Segment): void {
    if (seen) this.remember([seen]);
    const { naming } = place.current;
    const marks = { yes: naming.yes.filter((other) => other !== id), no: naming.no.filter((other) => other !== id) };
    if (this.of(id) !== answer) marks[answer].push(id);
    place.go({ naming: { ...naming, ...marks } });
  }

  /** How many sounds beside the examples are at least so probable. */
  count(sure: number): number {
    return this.found?.at_least[Math.round(100 * sure) - 50] ?? 0;
  }

  /** The ids of those sounds: asked for now, as a mark needs only their number. */
  async accepted(naming: Naming, sure: number): Promise<string[]> {
    const { ranked } = await api.examples(naming, MOST);
    return ranked.filter(({ probability }) => probability >= sure).map(({ id }) => id);
  }

  private remember(segments: Segment[]): void {
    if (!segments.length) return;
    this.known = new Map([...this.known, ...segments.map((segment) => [segment.id, segment] as const)]);
  }

  private async learn(naming: Naming, signal: AbortSignal): Promise<void> {
    try {
      this.found = await api.examples(naming, SHOWN, signal);
      this.error = '';
      messages.speak(this.found.quality.message);
    } catch (cause) {
      if (cause instanceof DOMException) return;
      this.error = (cause as Error).message;
    }
    this.asking = false;
  }
}
