/**
 * Which point is under the pointer, which ones lie within an outline.
 *
 * A uniform grid over [-1, 1]²: one counting sort puts the points of a cell next to each other, so that a million
 * points are ready in tens of milliseconds and the nearest one costs the few cells around the pointer.
 */
import type { Points } from './points';

const SIDE = 512;
const cell = (value: number): number => Math.max(0, Math.min(SIDE - 1, Math.floor(((value + 1) / 2) * SIDE)));

export class Grid {
  private starts = new Uint32Array(SIDE * SIDE + 1);
  private order: Uint32Array;

  constructor(private readonly points: Points) {
    const { n, x, y } = points;
    const home = new Uint32Array(n);
    for (let i = 0; i < n; i++) {
      const at = cell(y[i]!) * SIDE + cell(x[i]!);
      home[i] = at;
      this.starts[at + 1]!++;
    }
    for (let at = 0; at < SIDE * SIDE; at++) this.starts[at + 1]! += this.starts[at]!;
    this.order = new Uint32Array(n);
    const next = this.starts.slice();
    for (let i = 0; i < n; i++) this.order[next[home[i]!]!++] = i;
  }

  /** Index of the point nearest to (px, py) within the radius, or -1. */
  nearest(px: number, py: number, radius: number): number {
    const { x, y } = this.points;
    let found = -1;
    let best = radius * radius;
    this.visit(px - radius, py - radius, px + radius, py + radius, (i) => {
      const distance = (x[i]! - px) ** 2 + (y[i]! - py) ** 2;
      if (distance <= best) {
        best = distance;
        found = i;
      }
    });
    return found;
  }

  /** Indices within a closed outline [x0, y0, x1, y1, …], by the even-odd rule, in ascending order. */
  within(outline: readonly number[]): Uint32Array<ArrayBuffer> {
    const { x, y } = this.points;
    const [xs, ys] = [0, 1].map((axis) => outline.filter((_, k) => k % 2 === axis)) as [number[], number[]];
    const inside: number[] = [];
    this.visit(Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys), (i) => {
      let odd = false;
      for (let a = 0, b = xs.length - 1; a < xs.length; b = a++) {
        const crosses = ys[a]! > y[i]! !== ys[b]! > y[i]!;
        if (crosses && x[i]! < ((xs[b]! - xs[a]!) * (y[i]! - ys[a]!)) / (ys[b]! - ys[a]!) + xs[a]!) odd = !odd;
      }
      if (odd) inside.push(i);
    });
    return Uint32Array.from(inside).sort();
  }

  private visit(left: number, bottom: number, right: number, top: number, see: (index: number) => void): void {
    for (let row = cell(bottom); row <= cell(top); row++) {
      const from = this.starts[row * SIDE + cell(left)]!;
      const to = this.starts[row * SIDE + cell(right) + 1]!;
      for (let k = from; k < to; k++) see(this.order[k]!);
    }
  }
}
