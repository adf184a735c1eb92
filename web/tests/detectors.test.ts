import { beforeAll, describe, expect, it, vi } from 'vitest';
import type * as Address from '../src/state/place.svelte';
import type * as Scope from '../src/lib/scope';
import { trusted, vague } from '../src/lib/trust';

const estimate = (low: number, value: number, high: number) => ({ low, value, high });

describe('the figures of a detector', () => {
  const sure = { held_out: 'recordings', average_precision: estimate(0.8, 0.9, 0.95), precision: estimate(0.7, 0.8, 0.9), recall: estimate(0.6, 0.7, 0.8) };

  it('are trusted where every interval is narrow', () => {
    expect(trusted(sure)).toBe(true);
    expect(vague(sure.precision)).toBe(false);
  });

  it('are not where one is wide, or nothing was held out', () => {
    expect(trusted({ ...sure, precision: estimate(0.07, 0.82, 0.99) })).toBe(false);
    expect(trusted({ ...sure, average_precision: null })).toBe(false);
    expect(trusted({ ...sure, held_out: 'nothing' })).toBe(false);
  });
});

describe('the files of the last search', () => {
  let scope: typeof Scope;
  let address: typeof Address;
  const hits = [{ id: 'a', path: '/x.wav' }, { id: 'b', path: '/x.wav' }, { id: 'c', path: '/y.wav' }];

  beforeAll(async () => {
    vi.stubGlobal('location', { search: '', pathname: '/' });
    vi.stubGlobal('addEventListener', () => undefined);
    vi.stubGlobal('history', { state: null, pushState: () => undefined, replaceState: () => undefined });
    address = await import('../src/state/place.svelte');
    scope = await import('../src/lib/scope');
  }, 60_000);

  it('are all that pass its filters, shown or not', () => {
    const query = { ...address.EMPTY, folder: 'pond', hasTag: 'frog', minDuration: 2 };
    expect(scope.lastSearch(query, { kind: 'all', hits })).toEqual({
      words: 'in all files of the last search', files: { folder: 'pond', has_tag: ['frog'], longer: '2' },
    });
  });

  it('are all files where nothing was asked', () => {
    expect(scope.lastSearch(address.EMPTY, { kind: 'all', hits })).toBeNull();
  });

  it('are those that are shown of a ranking, and those that were chosen', () => {
    const ids = ['a', 'b', 'c'];
    expect(scope.lastSearch({ ...address.EMPTY, text: 'dog' }, { kind: 'found', hits })).toEqual({ words: 'in the 2 files shown by the last search', files: { ids } });
    expect(scope.lastSearch(address.EMPTY, { kind: 'chosen', hits })).toEqual({ words: 'in the 2 files that were chosen', files: { ids } });
  });
});
