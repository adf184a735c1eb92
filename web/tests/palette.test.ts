import { describe, expect, it } from 'vitest';
import { KINDS, OTHERS, kindColour, kinds, places } from '../src/map/palette';

const channels = (hex: string): number[] => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
const apart = (a: string, b: string): number => Math.hypot(...channels(a).map((value, k) => value - channels(b)[k]!));

describe('colours of kinds', () => {
  it('never repeat, and can be told apart', () => {
    const all = [...KINDS, OTHERS];
    for (let a = 0; a < all.length; a++) for (let b = 0; b < a; b++) expect(apart(all[a]!, all[b]!), `${all[a]} ${all[b]}`).toBeGreaterThan(30);
  });

  it('of rare kinds are one grey', () => {
    const ranks = Array.from({ length: 700 }, (_, rank) => rank);
    const texels = kinds();
    const shown = [...places(ranks)].map((place) => [...texels.slice(4 * place, 4 * place + 3)]);
    expect(shown[KINDS.length - 1]).toEqual(channels(kindColour(KINDS.length - 1)));
    expect(shown.slice(KINDS.length).every((texel) => texel.join() === channels(OTHERS).join())).toBe(true);
    expect(new Set(shown.map((texel) => texel.join())).size).toBe(KINDS.length + 1);
  });
});
