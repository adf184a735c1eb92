/** What part of the map is seen: a centre and a scale, in clip units a map unit, with square pixels. */

export class Camera {
  x = 0;
  y = 0;
  zoom = 1;

  constructor(
    public width = 1,
    public height = 1,
  ) {}

  /** Clip units for one map unit, on each axis; the whole map fits the shorter side with a margin. */
  get scale(): [number, number] {
    const short = Math.min(this.width, this.height);
    return [(0.94 * this.zoom * short) / this.width, (0.94 * this.zoom * short) / this.height];
  }

  /** Map units that one CSS pixel covers. */
  get unit(): number {
    return 2 / (this.width * this.scale[0]);
  }

  toMap(px: number, py: number): [number, number] {
    return [this.x + (px - this.width / 2) * this.unit, this.y - (py - this.height / 2) * this.unit];
  }

  toScreen(x: number, y: number): [number, number] {
    return [this.width / 2 + (x - this.x) / this.unit, this.height / 2 - (y - this.y) / this.unit];
  }

  pan(dx: number, dy: number): void {
    this.x = Math.max(-1.2, Math.min(1.2, this.x - dx * this.unit));
    this.y = Math.max(-1.2, Math.min(1.2, this.y + dy * this.unit));
  }

  /** Zoom about a point of the screen, which keeps its place. */
  magnify(factor: number, px = this.width / 2, py = this.height / 2): void {
    const [x, y] = this.toMap(px, py);
    this.zoom = Math.max(0.7, Math.min(400, this.zoom * factor));
    const [nx, ny] = this.toMap(px, py);
    this.x += x - nx;
    this.y += y - ny;
  }

  /** Show a part of the map: all of it if none is given. */
  reset({ x, y, zoom }: Frame = WHOLE): void {
    this.x = x;
    this.y = y;
    this.zoom = zoom;
  }
}

export interface Frame {
  x: number;
  y: number;
  zoom: number;
}

export const WHOLE: Frame = { x: 0, y: 0, zoom: 1 };

/** Of the points, on each axis, so many lie on each side outside of the bulk. */
const TAIL = 0.01;
/** Where the bulk fills nearly all of the map, that is shown. */
const WORTH = 1.25;

/** The part of the map that holds the bulk of the points: a few far ones would leave the others a blob in the middle. */
export function bulk({ x, y }: { x: Float32Array; y: Float32Array }): Frame {
  const range = (values: Float32Array): [number, number] => {
    const step = Math.max(1, Math.floor(values.length / 50_000));
    const sorted = values.filter((_, index) => index % step === 0).sort();
    const last = sorted.length - 1;
    return [sorted[Math.floor(TAIL * last)] ?? 0, sorted[Math.ceil((1 - TAIL) * last)] ?? 0];
  };
  const [[left, right], [bottom, top]] = [range(x), range(y)];
  const half = Math.max(right - left, top - bottom) / 2;
  const zoom = half > 0 ? Math.min(400, 1 / (1.06 * half)) : 1;
  return zoom < WORTH ? WHOLE : { x: (left + right) / 2, y: (bottom + top) / 2, zoom };
}
