import { describe, expect, it } from 'vitest';
import { durations } from '../src/lib/facets';

describe('classes of lengths', () => {
  it.each([
    ['under 1 s', undefined, 1],
    ['1 to 5 s', 1, 5],
    ['30 s to 1 min', 30, 60],
    ['1 to 10 min', 60, 600],
    ['1 h or more', 3600, undefined],
  ])('%s', (text, minDuration, maxDuration) => {
    expect(durations(text)).toEqual({ minDuration, maxDuration });
  });
});
