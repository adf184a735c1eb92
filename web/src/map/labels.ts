/** Names on the map: each kind is labelled where its points in sight are, the largest first, and none over another. */
import type { Camera } from './camera';
import type { Points } from './points';

export interface Label {
  name: string;
  px: number;
  py: number;
}

/** Some points of each kind stand for all of them: a label's place does not need a million. */
const SAMPLE = 400;
/** A kind with less than this share of its points in sight, or fewer points, has no label. */
const SHARE = 0.1;
const LEAST = 4;
const MOST = 24;
/** Width of a letter and height of a line, in pixels. */
const LETTER = 7.6;
const LINE = 18;
/** Longer names are cut. */
const LETTERS = 24;

/** Points of each kind, as many as a label needs, spread over all of its points. */
export function sampled(column: ArrayLike<number>, kinds: number): Uint32Array[] {
  const sizes = new Uint32Array(kinds);
  for (let point = 0; point < column.length; point++) sizes[column[point]!]!++;
  const seen = new Uint32Array(kinds);
  const found: number[][] = Array.from({ length: kinds }, () => []);
  for (let point = 0; point < column.length; point++) {
    const kind = column[point]!;
    if (seen[kind]!++ % Math.ceil(sizes[kind]! / SAMPLE) === 0) found[kind]!.push(point);
  }
  return found.map((points) => Uint32Array.from(points));
}

/**
 * Where names stand on the screen.
 *
 * @param kinds name and sampled points of each, the largest kind first.
 */
export function labels(kinds: readonly { name: string; points: Uint32Array }[], points: Points, camera: Camera): Label[] {
  const placed: (Label & { half: number })[] = [];
  for (const { name, points: sample } of kinds) {
    if (placed.length === MOST) break;
    const inside: [number, number][] = [];
    for (const point of sample) {
      const at = camera.toScreen(points.x[point]!, points.y[point]!);
      if (at[0] > 0 && at[1] > 0 && at[0] < camera.width && at[1] < camera.height) inside.push(at);
    }
    if (inside.length < Math.max(Math.min(LEAST, sample.length), SHARE * sample.length)) continue;
    const [px, py] = densest(inside);
    const short = name.length > LETTERS ? `${name.slice(0, LETTERS - 1)}…` : name;
    const half = (LETTER * short.length) / 2;
    if (placed.every((other) => Math.abs(other.px - px) > other.half + half || Math.abs(other.py - py) > LINE)) placed.push({ name: short, px, py, half });
  }
  return placed.map(({ name, px, py }) => ({ name, px, py }));
}

/** The point nearest to the median of all: the middle of two heaps is no place for a name. */
function densest(places: readonly [number, number][]): [number, number] {
  const median = (axis: 0 | 1): number => places.map((one) => one[axis]).sort((a, b) => a - b)[places.length >> 1]!;
  const [x, y] = [median(0), median(1)];
  const distance = ([px, py]: readonly [number, number]) => (px - x) ** 2 + (py - y) ** 2;
  return places.reduce((best, one) => (distance(one) < distance(best) ? one : best));
}
