import { expect, test } from 'vitest';
import { conditions, listed, unmet } from '../src/lib/conditions';

const EMPTY = { tags: [], not: [], weights: {}, fields: [] };

test('a condition is named and can be taken away', () => {
  const query = { ...EMPTY, text: 'rain', folder: 'field/north/dawn', minDuration: 2, maxDuration: 90, fields: ['sample_rate:48000', 'codec:FLAC'] };
  expect(conditions(query).map(({ name }) => name)).toEqual(['the text “rain”', 'the folder north/dawn', 'at least 2.0 s, at most 1:30 min', 'sample rate 48000', 'codec FLAC']);
  expect(conditions(query)[2]!.without).toEqual({ minDuration: undefined, maxDuration: undefined });
  expect(conditions(query)[3]!.without).toEqual({ fields: ['codec:FLAC'] });
  expect(conditions(EMPTY)).toEqual([]);
});

test('a list says which sounds it holds', () => {
  expect(listed(EMPTY)).toBe('All sounds');
  expect(listed({ ...EMPTY, folder: 'birds' })).toBe('In birds');
  expect(listed({ ...EMPTY, hasTag: 'favourite' })).toBe('Favourites');
  expect(listed({ ...EMPTY, hasTag: 'owl' })).toBe('Tagged “owl”');
  expect(listed({ ...EMPTY, hasTag: 'owl', folder: 'birds' })).toBe('Filtered sounds');
  expect(listed({ ...EMPTY, after: '2024-05-01' })).toBe('Sounds: after 2024-05-01');
});

test('why nothing was found is a sentence', () => {
  expect(unmet({ ...EMPTY, after: '2026-12-01' })).toBe('No sound fits after 2026-12-01.');
  expect(unmet({ ...EMPTY, folder: 'birds', hasTag: 'owl' })).toBe('No sound fits the folder birds and the tag “owl”.');
  expect(unmet({ ...EMPTY, minDuration: 10, maxDuration: 2 })).toBe('No sound can be at least 10 s, at most 2.0 s: the limits exclude each other.');
  expect(unmet({ ...EMPTY, after: '2026-12-01', before: '2026-01-01' })).toContain('the limits exclude each other');
});
