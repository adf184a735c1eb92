import { beforeAll, describe, expect, it, vi } from 'vitest';
import type * as Address from '../src/state/place.svelte';

let address: typeof Address;

beforeAll(async () => {
  vi.stubGlobal('location', { search: '', pathname: '/' });
  vi.stubGlobal('addEventListener', () => undefined);
  vi.stubGlobal('history', { state: null, pushState: () => undefined, replaceState: () => undefined });
  address = await import('../src/state/place.svelte');
}, 60_000);

describe('a query in the address', () => {
  it('comes back as it went', () => {
    const query: Address.Query = {
      like: 'clips/a b.wav#3', start: 0.5, end: 2.125, tags: ['door', 'wood, old'], not: ['rain'],
      weights: { timbre: 0.25, 'odd:name': 2 }, folder: 'field/2024', hasTag: 'checked',
      minDuration: 1, maxDuration: 30, after: '2024-01-01', before: '2024-12-31', text: 'a b', fields: ['codec:WAV PCM_16'],
    };
    expect(address.readQuery(new URLSearchParams(address.parameters(query).toString()))).toEqual(query);
  });

  it('is asked of GET /find by its names, fields as a condition', () => {
    const query: Address.Query = { ...address.EMPTY, text: 'dog', tags: ['bark'], minDuration: 1, fields: ["codec:it's", 'hour:5'], weights: { pitch: 2 } };
    expect(Object.fromEntries(address.findParameters(query))).toEqual({
      text: 'dog', word: 'bark', longer: '1', where: `"codec" = 'it''s' AND "hour" = 5`, weights: 'pitch:2',
    });
    expect([...address.facetParameters(query).keys()]).toEqual(['text', 'longer', 'where']);
    expect([query, address.EMPTY, { ...address.EMPTY, fields: ['hour:5'] }].map(address.findsFiles)).toEqual([true, false, true]);
  });

  it('leaves out what is as usual', () => {
    expect(address.parameters({ ...address.EMPTY, weights: { pitch: 1 } }).toString()).toBe('');
  });

  it('passes over numbers that are none', () => {
    const read = address.readQuery(new URLSearchParams('start=soon&end=&weights=pitch:loud,:2,timbre:0.5'));
    expect(read).toEqual({ tags: [], not: [], fields: [], weights: { timbre: 0.5 } });
  });

  it('ranks by a sound or words, not by filters', () => {
    expect(address.ranks({ ...address.EMPTY, folder: 'a', minDuration: 2 })).toBe(false);
    expect(address.ranks({ ...address.EMPTY, not: ['rain'] })).toBe(true);
    expect(address.ranks({ ...address.EMPTY, upload: 'u1' })).toBe(true);
    expect(address.without({ ...address.EMPTY, like: 'x', start: 1, end: 2, folder: 'a' })).toEqual({ ...address.EMPTY, folder: 'a' });
  });

  it('writes view, marks and colours, with commas that can be read', () => {
    const place: Address.Place = {
      view: 'tag', query: { ...address.EMPTY, tags: ['dog'] }, k: 100,
      naming: { tag: 'bark', yes: ['a', 'b'], no: [] }, colour: { by: 'part', value: 'pitch' }, frame: { x: 0.25, y: -0.5, zoom: 12 },
    };
    expect(address.write(place)).toBe('?tag=dog&view=tag&k=100&name=bark&yes=a,b&colour=part&at=0.25,-0.5,12&value=pitch');
  });
});
