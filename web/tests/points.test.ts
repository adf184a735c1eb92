import { describe, expect, it } from 'vitest';
import { ramp } from '../src/map/palette';
import { readPoints } from '../src/map/points';

function message(n: number, magic = 'SLM1', extra = 0): ArrayBuffer {
  const bytes = new ArrayBuffer(8 + 12 * n + extra);
  new Uint8Array(bytes).set(new TextEncoder().encode(magic));
  new DataView(bytes).setUint32(4, n, true);
  return bytes;
}

describe('readPoints', () => {
  it('reads the columns one after the other', () => {
    const bytes = message(2);
    new Float32Array(bytes, 8).set([0.25, -0.5, 0.75, 1]);
    new Uint16Array(bytes, 24).set([3, 4, 5, 65535]);
    const { n, x, y, folder, cluster } = readPoints(bytes);
    expect(n).toBe(2);
    expect([[...x], [...y], [...folder], [...cluster]]).toEqual([[0.25, -0.5], [0.75, 1], [3, 4], [5, 65535]]);
  });

  it('reads a map without points', () => {
    expect(readPoints(message(0)).n).toBe(0);
  });

  it.each([
    ['nothing', new ArrayBuffer(0)],
    ['another format', message(1, 'SLM2')],
    ['a cut answer', message(3).slice(0, 40)],
    ['bytes too many', message(1, 'SLM1', 4)],
  ])('refuses %s', (_name, bytes) => {
    expect(() => readPoints(bytes)).toThrow('damaged');
  });
});

describe('palette', () => {
  it.each(['dark', 'light'] as const)('goes from little to much in one direction (%s)', (theme) => {
    const texels = ramp(theme);
    const luma = (value: number) => 0.299 * texels[4 * value]! + 0.587 * texels[4 * value + 1]! + 0.114 * texels[4 * value + 2]!;
    const steps = Array.from({ length: 255 }, (_, value) => luma(value + 1) - luma(value));
    const sign = theme === 'dark' ? 1 : -1;
    expect(sign * (luma(255) - luma(0))).toBeGreaterThan(150);
    // A texel is rounded to whole numbers, so a step may go back by less than one.
    expect(steps.filter((step) => sign * step < -1)).toEqual([]);
  });
});
