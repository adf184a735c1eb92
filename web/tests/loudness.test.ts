import { expect, test } from 'vitest';
import { decibels, matched, rms } from '../src/lib/loudness';

test('the level is that of all channels together', () => {
  expect(rms([Float32Array.of(1, -1), Float32Array.of(0, 0)])).toBeCloseTo(Math.SQRT1_2);
  expect(rms([])).toBe(0);
});

test('the louder of two sounds is turned down to the other, and silence changes nothing', () => {
  expect(matched(0.4, 0.1)).toEqual([0.25, 1]);
  expect(matched(0.1, 0.4)).toEqual([1, 0.25]);
  expect(matched(0, 0.4)).toEqual([1, 1]);
  expect(decibels(0.5)).toBe('−6.0 dB');
});
