import { describe, expect, it } from 'vitest';
import { axisLabel, durations, magnitude } from '../src/lib/facets';

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

describe('values of a histogram', () => {
  it.each([
    [['1 to 5 s', 'under 1 s', '1 h or more', '30 s to 5 min', '5 to 30 s', '5 min to 1 h'], ['<1 s', '1 s', '5 s', '30 s', '5 min', '1 h+']],
    [['2024-06', '2023-12', '2024-01'], ['2023-12', '2024-01', '2024-06']],
    [['96000', '8000', '44100'], ['8k', '44.1k', '96k']],
    [['17', '4', '0'], ['0', '4', '17']],
  ])('%s', (values, labels) => {
    expect([...values].sort((a, b) => magnitude(a) - magnitude(b)).map(axisLabel)).toEqual(labels);
  });
});
