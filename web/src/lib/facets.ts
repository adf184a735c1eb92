/** Fields of files that are counted, as people call them, and what a class of lengths means as a filter. */

export const FIELD_NAMES: Record<string, string> = {
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

/** The lower end of a class of lengths, with its unit, and other values as they are: below the bars of a histogram. */
export function axisLabel(text: string): string {
  const range = /^(\S+)( (?:s|min|h))? to \S+ (s|min|h)$/.exec(text);
  if (range) return `${range[1]}${range[2] ?? ` ${range[3]}`}`;
  if (/^\d{4,}$/.test(text)) return `${Number((Number(text) / 1000).toFixed(1))}k`;
  return text.replace(/^under /, '<').replace(/ or more$/, '+');
}

/** Where a value of a field of numbers stands among the others: "2024-06", "48000", "17", "5 to 30 s", "under 1 s". */
export function magnitude(text: string): number {
  if (/^\d{4}-\d{2}/.test(text)) return Number(text.slice(0, 4)) * 12 + Number(text.slice(5, 7));
  const { minDuration, maxDuration } = durations(text);
  return minDuration ?? (text.startsWith('under') ? 0 : (maxDuration ?? 0));
}
