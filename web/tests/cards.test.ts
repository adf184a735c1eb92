import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Follower } from '../src/lib/follower';
import { called, clock, count, percent, plural, score, seconds, sentence, shortFolder, span, tail, times } from '../src/lib/format';
import { Slots } from '../src/lib/slots';

describe('Slots', () => {
  it('keeps the card of a sound that stays and reuses those of sounds that left', () => {
    const slots = new Slots();
    expect(slots.deal(['a', 'b', 'c'])).toEqual([0, 1, 2]);
    expect(slots.deal(['c', 'd', 'a'])).toEqual([2, 1, 0]);
    expect(slots.deal(['a'])).toEqual([0]);
  });

  it('never gives one card to two sounds', () => {
    const slots = new Slots();
    for (let question = 0; question < 20; question++) {
      const ids = Array.from({ length: 5 + (question % 7) }, (_, k) => `${(question * k * 3) % 17}-${k}`);
      const dealt = slots.deal(ids);
      expect(new Set(dealt).size).toBe(ids.length);
    }
  });
});

describe('Follower', () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  function follower() {
    const begun: { wish: string; signal: AbortSignal; finish: () => void }[] = [];
    const work = (wish: string, signal: AbortSignal) => new Promise<void>((finish) => begun.push({ wish, signal, finish }));
    return { begun, follower: new Follower(work, 150) };
  }

  it('lets a young request land and then sends the newest wish alone', async () => {
    const { begun, follower: following } = follower();
    for (const wish of ['first', 'second', 'third']) following.want(wish);
    expect(begun.map(({ wish }) => wish)).toEqual(['first']);
    begun[0]!.finish();
    await vi.advanceTimersByTimeAsync(0);
    expect(begun.map(({ wish }) => wish)).toEqual(['first', 'third']);
    expect(begun[0]!.signal.aborted).toBe(false);
  });

  it('cancels a request that takes longer than its patience', async () => {
    const { begun, follower: following } = follower();
    following.want('slow');
    following.want('next');
    await vi.advanceTimersByTimeAsync(149);
    expect(begun).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(2);
    expect(begun.map(({ wish }) => wish)).toEqual(['slow', 'next']);
    expect(begun[0]!.signal.aborted).toBe(true);
  });

  it('gives everything up when it is cancelled', async () => {
    const { begun, follower: following } = follower();
    following.want('running');
    following.want('waiting');
    following.cancel();
    expect(begun[0]!.signal.aborted).toBe(true);
    await vi.advanceTimersByTimeAsync(500);
    expect(begun).toHaveLength(1);
    following.want('later');
    expect(begun.at(-1)!.wish).toBe('later');
  });

  it('cancels at once for an urgent wish', () => {
    const { begun, follower: following } = follower();
    following.want('old');
    following.want('urgent', true);
    expect(begun.map(({ wish }) => wish)).toEqual(['old', 'urgent']);
    expect(begun[0]!.signal.aborted).toBe(true);
  });
});

describe('numbers as text', () => {
  it.each([[0.04, '0.0 s'], [9.94, '9.9 s'], [12.6, '13 s'], [61.4, '1:01 min'], [119.7, '2:00 min'], [3604, '1:00:04 h']])('%f s', (value, text) => {
    expect(seconds(value)).toBe(text);
  });

  it.each([[0.2, '1 s'], [89, '89 s'], [90, '2 min'], [5400, '1.5 h'], [36e6, '10,000 h']])('a span of %f s', (value, text) => {
    expect(span(value)).toBe(text);
  });

  it('names a segment of a long file by its times, and a whole file by its name alone', () => {
    const hour = { name: 'site-1.wav', start: 1830, end: 1840, duration: 3604 };
    expect([times(hour), called(hour)]).toEqual(['30:30–30:40', 'site-1.wav 30:30–30:40']);
    expect(called({ name: 'dog.wav', start: 0, end: 4.98, duration: 5 })).toBe('dog.wav');
    expect([clock(0), clock(7.04), clock(62.5), clock(3604), clock(59.96)]).toEqual(['0:00', '0:07', '1:02.5', '1:00:04', '1:00']);
  });

  it('knows no negative zero and no bare dot', () => {
    expect([score(-0.004), score(-0.006), score(0.914)]).toEqual(['0.00', '-0.01', '0.91']);
    expect([shortFolder('.'), shortFolder('a/b/kick'), shortFolder('kick')]).toEqual(['top folder', 'b/kick', 'kick']);
  });

  it('begins a remark with a capital', () => {
    expect([sentence('the model does not know it'), sentence('')]).toEqual(['The model does not know it', '']);
  });

  it('counts', () => {
    expect([count(12345), percent(0.129), plural(1, 'sound'), plural(2000, 'sound'), plural(0, 'match', 'matches')]).toEqual([
      '12,345', '13\u00a0%', '1 sound', '2,000 sounds', '0 matches',
    ]);
    expect([tail('a/b/c.wav'), tail('c.wav'), tail('a/')]).toEqual(['c.wav', 'c.wav', 'a/']);
  });
});
