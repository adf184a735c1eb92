/** Colours of points: one each for the most frequent kinds, one for all others; a ramp for amounts. */

export const KINDS = [
  '#f0a83c', '#4fb6c4', '#e0708c', '#8fbf5a', '#9b8cf0', '#ee6f57', '#5c9cec', '#c9b84a', '#c77bd0', '#5fbf9a',
  '#a3541f', '#1f7f8c', '#a12b52', '#4f7a1e', '#6a55d8', '#2b5fae', '#8a7a10', '#86348f', '#c9a0a0', '#f5d78e',
] as const;
export const OTHERS = '#7c8087';
const OTHER = 255;

/** Place in the palette of every kind, by its rank; kinds beyond the colours share one place and one colour. */
export function places(ranks: readonly number[]): Uint8Array {
  return Uint8Array.from(ranks, (rank) => (rank < KINDS.length ? rank : OTHER));
}

export const kindColour = (rank: number): string => KINDS[rank] ?? OTHERS;

const RAMP = { dark: ['#2c3038', '#6b5a86', '#c9637e', '#f7b267', '#fff1c9'], light: ['#dcdad4', '#e3b98a', '#d9735b', '#93366b', '#2b1440'] };

export type Theme = 'dark' | 'light';

const channels = (hex: string): number[] => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

/** 256 RGBA texels: the kinds, then all others. */
export function kinds(): Uint8Array {
  const texels = new Uint8Array(4 * 256);
  for (let value = 0; value < 256; value++) texels.set([...channels(kindColour(value)), 255], 4 * value);
  return texels;
}

/** 256 RGBA texels from little to much. */
export function ramp(theme: Theme): Uint8Array {
  const stops = RAMP[theme].map(channels);
  const texels = new Uint8Array(4 * 256);
  for (let value = 0; value < 256; value++) {
    const place = (value / 255) * (stops.length - 1);
    const below = Math.min(stops.length - 2, Math.floor(place));
    const mixed = stops[below]!.map((from, channel) => from + (place - below) * (stops[below + 1]![channel]! - from));
    texels.set([...mixed.map(Math.round), 255], 4 * value);
  }
  return texels;
}
