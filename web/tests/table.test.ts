import { describe, expect, it } from 'vitest';
import type { Hit } from '../src/api/types';
import { downloadUrl, regionName } from '../src/lib/dragging';
import { USUAL, columnsOf, direction, empty, moreFields, orderedBy, turned } from '../src/lib/table';

const hit = (name: string, duration: number, similarity?: number): Hit => ({
  id: name, path: `/a/${name}`, name, folder: 'a', start: 0, end: duration, duration, tags: [], absent: false, notices: [], ...(similarity !== undefined && { similarity }),
});

describe('the table of results', () => {
  const hits = [hit('b.wav', 2, 0.9), hit('A.wav', 10, -0.001), hit('c.wav', 2)];

  const columns = columnsOf(['path', 'name', 'duration', 'codec', 'sample_rate', 'recorded']);

  it('has a column for every field of the library, once', () => {
    expect(moreFields(['path', 'name', 'duration', 'codec'])).toEqual(['codec']);
    expect(columns.slice(-3).map(({ title, sort, right }) => [title, sort, right])).toEqual([
      ['Codec', 'codec', false], ['Rate (Hz)', 'sample_rate', true], ['Recorded', 'recorded', false],
    ]);
    const known = { ...hits[0]!, fields: { codec: 'FLAC', sample_rate: 48000, recorded: '2024-05-01T05:30:00' } };
    expect(columns.slice(-3).map(({ shown }) => shown(known))).toEqual(['FLAC', '48,000', '2024-05-01 05:30:00']);
  });

  it('knows which columns have nothing to show', () => {
    const lacking = columns.filter((column) => empty(column, hits)).map(({ name }) => name);
    expect(lacking).toEqual(['times', 'tags', 'notices', 'codec', 'sample_rate', 'recorded']);
  });

  it('is ordered up, down, and as the search has it', () => {
    expect([undefined, 'name', '-name', 'duration'].map((sort) => direction(sort, 'name'))).toEqual(['none', 'ascending', 'descending', 'none']);
    expect([undefined, 'name', '-name', 'duration'].map((sort) => turned(sort, 'name'))).toEqual(['name', '-name', undefined, 'name']);
    expect(orderedBy('-duration', [])).toBe('by length, from high to low');
  });

  it('shows what is not there as nothing', () => {
    const shown = (one: Hit) => Object.fromEntries(columns.map(({ name, shown: text }) => [name, text(one)]));
    expect(shown(hits[2]!)).toMatchObject({ score: '', times: '', tags: '', notices: '' });
    expect(shown(hits[1]!)).toMatchObject({ score: '0.00', duration: '10 s' });
    expect(USUAL.every((name) => columns.some((column) => column.name === name))).toBe(true);
  });
});

describe('files that are dragged out', () => {
  it('have a name without colons, as they end it', () => {
    globalThis.location = { origin: 'http://127.0.0.1:8765' } as Location;
    expect(downloadUrl('audio/wav', 'a: b.wav', '/api/x?y=1')).toBe('audio/wav:a- b.wav:http://127.0.0.1:8765/api/x?y=1');
    expect(regionName('marsh.2024.flac', { start: 20, end: 30.5004 })).toBe('marsh.2024 20-30.5 s.wav');
  });
});
