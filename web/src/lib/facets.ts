/** Fields of files that are counted, as people call them, and what a class of lengths means as a filter. */

export const FIELD_NAMES: Record<string, string> = {
  folder: 'Folders',
  tags: 'Tags',
  duration: 'Lengths',
  sample_rate: 'Sample rates in hertz',
  channels: 'Channels',
  bits: 'Bits',
  codec: 'Codecs',
  hour: 'Hours of recording',
  month: 'Months of recording',
  category: 'Categories',
};

const SECONDS: Record<string, number> = { s: 1, min: 60, h: 3600 };

/** "1 to 5 s", "under 1 s" and "1 h or more" as limits in seconds. */
export function durations(text: string): { minDuration: number | undefined; maxDuration: number | undefined } {
  const numbers = [...text.matchAll(/(\d+(?:\.\d+)?)(?:\s*(s|min|h)\b)?/g)];
  const last = numbers.at(-1)?.[2] ?? 's';
  const values = numbers.map(([, number, unit]) => Number(number) * SECONDS[unit ?? last]!);
  if (text.startsWith('under')) return { minDuration: undefined, maxDuration: values[0] };
  if (text.endsWith('more')) return { minDuration: values[0], maxDuration: undefined };
  return { minDuration: values[0], maxDuration: values[1] };
}
