/** Arithmetic of a viewer: what part of a file is seen, tiles that cover it, ticks of axes, and frequencies as heights. */

export interface View {
  /** Seconds of the file. */
  start: number;
  end: number;
}

export interface Tile extends View {
  level: number;
  index: number;
}

/** No closer than this, in seconds. */
const CLOSEST = 0.02;

/** A view of the same length or another one within the file. */
export function within(start: number, length: number, duration: number): View {
  const seen = Math.min(duration, Math.max(Math.min(CLOSEST, duration), length));
  const from = Math.min(Math.max(0, start), duration - seen);
  return { start: from, end: from + seen };
}

/** The view after zooming about a time, which keeps its place. */
export function zoomed({ start, end }: View, factor: number, about: number, duration: number): View {
  const length = Math.min(duration, Math.max(CLOSEST, (end - start) / factor));
  const share = end > start ? (about - start) / (end - start) : 0.5;
  return within(about - share * length, length, duration);
}

/**
 * The tiles that cover a view: level n cuts the file into 2^n of them, and a tile is shown about as wide as it was drawn.
 *
 * @param pixels width of the view, @param drawn width of a tile's picture.
 */
export function tiles({ start, end }: View, duration: number, pixels: number, drawn: number): Tile[] {
  if (!(duration > 0) || !(end > start)) return [];
  const wanted = (duration / (end - start)) * (pixels / drawn);
  const level = Math.max(0, Math.min(24, Math.floor(Math.log2(wanted) + 0.5)));
  const length = duration / 2 ** level;
  const first = Math.max(0, Math.floor(start / length));
  const last = Math.min(2 ** level - 1, Math.ceil(end / length) - 1);
  return Array.from({ length: last - first + 1 }, (_, k) => ({ level, index: first + k, start: (first + k) * length, end: (first + k + 1) * length }));
}

/** The tile of the level above that holds a tile; null for the whole file. */
export function parent({ level, index, start, end }: Tile): Tile | null {
  if (level === 0) return null;
  const length = end - start;
  const from = start - (index % 2) * length;
  return { level: level - 1, index: index >> 1, start: from, end: from + 2 * length };
}

const STEPS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200];

/** Times of an axis with about so many marks. */
export function timeTicks({ start, end }: View, marks: number): number[] {
  const step = STEPS.find((one) => (end - start) / one <= marks) ?? 86400;
  const first = Math.ceil(start / step - 1e-6);
  return Array.from({ length: Math.max(0, Math.floor(end / step + 1e-6) - first + 1) }, (_, k) => Number(((first + k) * step).toFixed(6)));
}

export type Scale = 'linear' | 'mel';

const mel = (hertz: number): number => 1127 * Math.log1p(hertz / 700);
const hertz = (value: number): number => 700 * Math.expm1(value / 1127);

/** Height of a frequency, 0 at the bottom and 1 at the top. */
export function heightOf(frequency: number, top: number, scale: Scale): number {
  return scale === 'mel' ? mel(frequency) / mel(top) : frequency / top;
}

export function frequencyAt(height: number, top: number, scale: Scale): number {
  return scale === 'mel' ? hertz(height * mel(top)) : height * top;
}

/** Frequencies of an axis. */
export function frequencyTicks(top: number, scale: Scale): number[] {
  if (scale === 'mel') return [250, 500, 1000, 2000, 4000, 8000, 16_000, 32_000, 64_000].filter((one) => one < 0.97 * top);
  const step = [100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000].find((one) => top / one <= 7) ?? 100_000;
  return Array.from({ length: Math.floor((0.97 * top) / step) }, (_, k) => (k + 1) * step);
}

export const kilohertz = (value: number): string => (value < 1000 ? `${Math.round(value)} Hz` : `${Number((value / 1000).toFixed(1))} kHz`);

/** A time on an axis: as many digits as the marks need. */
export function timeLabel(value: number, view: View): string {
  const digits = view.end - view.start < 0.5 ? 3 : view.end - view.start < 8 ? 1 : 0;
  // Rounded first: 59.97 s without digits is a minute, and not 0:60.
  const rounded = Number(value.toFixed(digits));
  const whole = Math.floor(rounded + 1e-9);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const rest = (rounded - 60 * Math.floor(whole / 60)).toFixed(digits).padStart(digits ? digits + 3 : 2, '0');
  return hours ? `${hours}:${String(minutes).padStart(2, '0')}:${rest}` : `${minutes}:${rest}`;
}
