/** Single points: which sound one is, and what hovering, clicking and keys do with it. */
import { api } from '../api/client';
import type { Segment } from '../api/types';
import { called } from '../lib/format';
import { messages } from '../state/messages.svelte';
import { place } from '../state/place.svelte';
import { player } from '../state/player.svelte';

export interface Tip {
  segment: Segment;
  px: number;
  py: number;
}

export class Pointing {
  tip = $state.raw<Tip | null>(null);
  private seen = new Map<number, Segment>();
  private asking: AbortController | null = null;
  private over = -1;

  /** Other points have these numbers now. */
  forget(): void {
    this.seen.clear();
    this.left();
  }

  async hovered(index: number, px: number, py: number): Promise<void> {
    if (index === this.over) {
      if (this.tip) this.tip = { ...this.tip, px, py };
      return;
    }
    this.left();
    this.over = index;
    if (index < 0) return;
    const segment = await this.at(index);
    if (!segment || this.over !== index) return;
    this.tip = { segment, px, py };
    messages.speak(called(segment));
    player.enter(segment);
  }

  /** @returns whether there is a sound, which plays now. */
  async clicked(index: number): Promise<boolean> {
    const segment = index < 0 ? null : await this.at(index);
    if (segment) player.play(segment);
    return segment !== null;
  }

  async keyed(key: 'play' | 'like', index: number): Promise<void> {
    const segment = index < 0 ? null : await this.at(index);
    if (!segment) messages.say('No sound in the cross: move with the arrows.');
    else if (key === 'play') player.toggle(segment);
    else place.moreLike(segment);
  }

  private left(): void {
    this.over = -1;
    this.tip = null;
    player.leave();
  }

  private async at(index: number): Promise<Segment | null> {
    const known = this.seen.get(index);
    if (known) return known;
    this.asking?.abort();
    this.asking = new AbortController();
    try {
      const [segment] = (await api.mapAt([index], this.asking.signal)).segments;
      if (segment) this.seen.set(index, segment);
      return segment ?? null;
    } catch (cause) {
      messages.fail(cause);
      return null;
    }
  }
}
