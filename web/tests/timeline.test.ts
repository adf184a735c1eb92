import { describe, expect, it } from 'vitest';
import { frequencyAt, frequencyTicks, heightOf, kilohertz, parent, tiles, timeLabel, timeTicks, within, zoomed } from '../src/lib/timeline';

describe('a view of a file', () => {
  it('zooms about a time, which keeps its place', () => {
    const view = zoomed({ start: 100, end: 200 }, 4, 125, 3600);
    expect(view.end - view.start).toBeCloseTo(25, 9);
    expect((125 - view.start) / 25).toBeCloseTo(0.25, 9);
  });

  it('stays within the file and no closer than can be seen', () => {
    expect(zoomed({ start: 0, end: 10 }, 0.1, 5, 60)).toEqual({ start: 0, end: 60 });
    expect(within(-5, 10, 60)).toEqual({ start: 0, end: 10 });
    expect(within(58, 10, 60)).toEqual({ start: 50, end: 60 });
    expect(zoomed({ start: 1, end: 2 }, 1e9, 1.5, 60).end - zoomed({ start: 1, end: 2 }, 1e9, 1.5, 60).start).toBeCloseTo(0.02, 9);
    expect(within(0, 1, 0.005)).toEqual({ start: 0, end: 0.005 });
  });
});

describe('tiles', () => {
  it('cover the view, at a level where they are shown about as wide as drawn', () => {
    for (const [start, end] of [[0, 3604], [100, 160], [3599.5, 3604], [1802, 1803]] as const) {
      const found = tiles({ start, end }, 3604, 1200, 512);
      expect(found[0]!.start).toBeLessThanOrEqual(start + 1e-9);
      expect(found.at(-1)!.end).toBeGreaterThanOrEqual(end - 1e-9);
      const shown = ((found[0]!.end - found[0]!.start) / (end - start)) * 1200;
      expect(shown).toBeGreaterThan(300);
      expect(shown).toBeLessThan(Math.max(800, 1201));
      for (let k = 1; k < found.length; k++) expect(found[k]!.start).toBeCloseTo(found[k - 1]!.end, 6);
    }
    expect(tiles({ start: 0, end: 0 }, 0, 800, 512)).toEqual([]);
  });

  it('lie in their parents', () => {
    const [tile] = tiles({ start: 1000, end: 1010 }, 3604, 1200, 512);
    let inside = tile!;
    for (let above = parent(inside); above; above = parent(inside)) {
      expect(above.start).toBeLessThanOrEqual(inside.start + 1e-9);
      expect(above.end).toBeGreaterThanOrEqual(inside.end - 1e-9);
      inside = above;
    }
    expect([inside.level, inside.start]).toEqual([0, 0]);
    expect(inside.end).toBeCloseTo(3604, 9);
  });
});

describe('axes', () => {
  it('have round times, not too many', () => {
    expect(timeTicks({ start: 0, end: 3604 }, 8)).toEqual([0, 600, 1200, 1800, 2400, 3000, 3600]);
    expect(timeTicks({ start: 1.03, end: 1.52 }, 8)).toEqual([1.1, 1.2, 1.3, 1.4, 1.5]);
    expect([timeLabel(600, { start: 0, end: 3604 }), timeLabel(3600, { start: 0, end: 3604 }), timeLabel(1.1, { start: 1, end: 2 })]).toEqual(['10:00', '1:00:00', '0:01.1']);
    expect([timeLabel(719.7, { start: 0, end: 3604 }), timeLabel(59.97, { start: 58, end: 62 })]).toEqual(['12:00', '1:00.0']);
  });

  it.each(['linear', 'mel'] as const)('turn frequencies into heights and back (%s)', (scale) => {
    for (const value of [50, 440, 12_345, 47_000]) expect(frequencyAt(heightOf(value, 48_000, scale), 48_000, scale)).toBeCloseTo(value, 6);
    expect([heightOf(0, 8000, scale), heightOf(8000, 8000, scale)]).toEqual([0, 1]);
    expect(frequencyTicks(96_000, scale).length).toBeLessThan(12);
    expect(Math.max(...frequencyTicks(8000, scale))).toBeLessThan(8000);
  });

  it('say kilohertz', () => expect([kilohertz(250), kilohertz(12_500), kilohertz(2000)]).toEqual(['250 Hz', '12.5 kHz', '2 kHz']));
});
