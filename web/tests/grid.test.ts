import { describe, expect, it } from 'vitest';
import { Grid } from '../src/map/grid';
import type { Points } from '../src/map/points';

/** Numbers in [0, 1) that are the same in every run (mulberry32). */
function random(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function cloud(n: number): Points {
  const next = random(n);
  const axis = () => Float32Array.from({ length: n }, () => 2 * next() - 1);
  return { n, x: axis(), y: axis(), folder: new Uint16Array(n), cluster: new Uint16Array(n) };
}

const points = cloud(2000);
const grid = new Grid(points);

describe('Grid.nearest', () => {
  it('finds the point that a search of all finds', () => {
    const next = random(7);
    let hits = 0;
    for (let trial = 0; trial < 200; trial++) {
      const [px, py, radius] = [2.2 * next() - 1.1, 2.2 * next() - 1.1, 0.05 * next()];
      let best = -1;
      let least = radius ** 2;
      for (let i = 0; i < points.n; i++) {
        const distance = (points.x[i]! - px) ** 2 + (points.y[i]! - py) ** 2;
        if (distance < least) [best, least] = [i, distance];
      }
      expect(grid.nearest(px, py, radius)).toBe(best);
      hits += Number(best >= 0);
    }
    expect(hits).toBeGreaterThan(50);
  });

  it('is -1 without any point', () => {
    expect(new Grid(cloud(0)).nearest(0, 0, 2)).toBe(-1);
  });
});

describe('Grid.within', () => {
  it('takes the points of a rectangle, in ascending order', () => {
    const inside = [...points.x.keys()].filter((i) => Math.abs(points.x[i]!) < 0.3 && Math.abs(points.y[i]!) < 0.2);
    expect([...grid.within([-0.3, -0.2, 0.3, -0.2, 0.3, 0.2, -0.3, 0.2])]).toEqual(inside);
    expect(inside.length).toBeGreaterThan(50);
  });

  it('leaves a notch of the outline out', () => {
    const arrow = [-1, -1, 1, -1, 0, 0, 1, 1, -1, 1];
    const inside = [...points.x.keys()].filter((i) => points.x[i]! < Math.abs(points.y[i]!));
    expect([...grid.within(arrow)]).toEqual(inside);
  });
});
