import { describe, expect, it } from 'vitest';
import type { Hit } from '../src/api/types';
import { downloadUrl, regionName } from '../src/lib/dragging';
import { COLUMNS, USUAL, sorted } from '../src/lib/table';

const hit = (name: string, duration: number, similarity?: number): Hit => ({
  id: name, path: `/a/${name}`, name, folder: 'a', start: 0, end: duration, duration, tags: [], absent: false, notices: [], ...(similarity !== undefined && { similarity }),
});

describe('the table of results', () => {
  const hits = [hit('b.wav', 2, 0.9), hit('A.wav', 10, -0.001), hit('c.wav', 2)];

  it('is sorted by values, not by their text, and keeps the order of equals', () => {
    expect(sorted(hits, { name: 'name', down: false }).map(({ name }) => name)).toEqual(['A.wav', 'b.wav', 'c.wav']);
    expect(sorted(hits, { name: 'duration', down: true }).map(({ name }) => name)).toEqual(['A.wav', 'b.wav', 'c.wav']);
    expect(sorted(hits, { name: 'score', down: false }).map(({ name }) => name)).toEqual(['c.wav', 'A.wav', 'b.wav']);
    expect(sorted(hits, null)).toBe(hits);
  });

  it('shows what is not there as nothing', () => {
    const shown = (one: Hit) => Object.fromEntries(COLUMNS.map(({ name, shown: text }) => [name, text(one)]));
    expect(shown(hits[2]!)).toMatchObject({ score: '', times: '', tags: '', notices: '' });
    expect(shown(hits[1]!)).toMatchObject({ score: '0.00', duration: '10 s' });
    expect(USUAL.every((name) => COLUMNS.some((column) => column.name === name))).toBe(true);
  });
});

describe('files that are dragged out', () => {
  it('have a name without colons, as they end it', () => {
    globalThis.location = { origin: 'http://127.0.0.1:8765' } as Location;
    expect(downloadUrl('audio/wav', 'a: b.wav', '/api/x?y=1')).toBe('audio/wav:a- b.wav:http://127.0.0.1:8765/api/x?y=1');
    expect(regionName('marsh.2024.flac', { start: 20, end: 30.5004 })).toBe('marsh.2024 20-30.5 s.wav');
  });
});
