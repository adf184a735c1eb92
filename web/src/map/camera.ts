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

  reset(): void {
    this.x = 0;
    this.y = 0;
    this.zoom = 1;
  }
}
