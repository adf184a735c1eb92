import { describe, expect, it } from 'vitest';
import { Camera } from '../src/map/camera';
import { labels, sampled } from '../src/map/labels';

const points = (places: [number, number][]) => ({
  n: places.length,
  x: Float32Array.from(places, ([x]) => x),
  y: Float32Array.from(places, ([, y]) => y),
  folder: new Uint16Array(places.length),
  cluster: new Uint16Array(places.length),
});
const heap = (x: number, y: number, size: number): [number, number][] => Array.from({ length: size }, (_, k) => [x + 1e-3 * (k % 5), y + 1e-3 * (k % 7)]);

describe('names on the map', () => {
  const all = points([...heap(-0.5, 0.5, 2000), ...heap(0.5, -0.5, 30), ...heap(0.5, -0.48, 20)]);
  const column = Uint16Array.from({ length: all.n }, (_, k) => (k < 2000 ? 0 : k < 2030 ? 1 : 2));
  const kinds = sampled(column, 3).map((sample, index) => ({ name: ['rain', 'dog', 'hidden'][index]!, points: sample }));

  it('take a sample of large kinds, from all over them', () => {
    expect(kinds.map(({ points: sample }) => sample.length)).toEqual([400, 30, 20]);
    expect(kinds[0]!.points.at(-1)!).toBeGreaterThan(1900);
  });

  it('stand on their points, the largest first, and not over each other', () => {
    const camera = new Camera(800, 600);
    const found = labels(kinds, all, camera);
    expect(found.map(({ name }) => name)).toEqual(['rain', 'dog']);
    const [x, y] = camera.toScreen(-0.5, 0.5);
    expect(Math.hypot(found[0]!.px - x, found[0]!.py - y)).toBeLessThan(5);
  });

  it('follow what is in sight', () => {
    const camera = new Camera(800, 600);
    camera.reset({ x: 0.5, y: -0.49, zoom: 40 });
    expect(labels(kinds, all, camera).map(({ name }) => name)).toEqual(['dog', 'hidden']);
    camera.reset({ x: 0, y: 0.9, zoom: 40 });
    expect(labels(kinds, all, camera)).toEqual([]);
  });
});
