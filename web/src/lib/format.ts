/** Numbers, times and names as a person reads them. */

export function seconds(value: number): string {
  if (value < 10) return `${value.toFixed(1)} s`;
  if (value < 60) return `${Math.round(value)} s`;
  const whole = Math.round(value);
  if (whole >= 3600) return `${clock(whole)} h`;
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')} min`;
}

/** A position in a file, as players show it: 0:07, 1:02.5, 1:00:04. */
export function clock(value: number): string {
  const tenths = Math.round(10 * value);
  const [whole, tenth] = [Math.floor(tenths / 10), tenths % 10];
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const rest = String(whole % 60).padStart(2, '0') + (tenth ? `.${tenth}` : '');
  return hours ? `${hours}:${String(minutes).padStart(2, '0')}:${rest}` : `${minutes}:${rest}`;
}

export function span(value: number): string {
  if (value < 90) return `${Math.max(1, Math.round(value))} s`;
  if (value < 5400) return `${Math.round(value / 60)} min`;
  const hours = value / 3600;
  return `${hours < 10 ? hours.toFixed(1) : Math.round(hours).toLocaleString('en')} h`;
}

export interface Stretch {
  start: number;
  end: number;
  duration: number;
}

/** Whether a segment is a part of its file, and not the whole. */
export const isExcerpt = ({ start, end, duration }: Stretch): boolean => end - start < duration - 0.05;

/** Where a segment lies in its file: 30:30–30:40; empty for a whole file. */
export const times = (segment: Stretch): string => (isExcerpt(segment) ? `${clock(segment.start)}–${clock(segment.end)}` : '');

/** The name of a segment: that of its file, and its times where it is a part of it. */
export const called = (segment: Stretch & { name: string }): string => [segment.name, times(segment)].filter(Boolean).join(' ');

/** A similarity with two digits; never a negative zero. */
export const score = (value: number): string => (Math.abs(value) < 0.005 ? 0 : value).toFixed(2);

/** The end of a path, which tells most where there is little room. */
export const tail = (path: string): string => path.split('/').at(-1) || path;

/** A folder by its last two names: many libraries hold several of the same last name. */
export const shortFolder = (folder: string): string => (folder === '.' ? 'top folder' : folder.split('/').slice(-2).join('/'));

/** Folders by their last names, by their last two where several share one. */
export function told(folders: readonly string[]): string[] {
  const last = folders.map(tail);
  return folders.map((folder, index) => (folder === '.' || last.indexOf(last[index]!) !== last.lastIndexOf(last[index]!) ? shortFolder(folder) : last[index]!));
}

export const count = (value: number): string => value.toLocaleString('en');

/** With a space that no line ends at. */
export const percent = (value: number): string => `${Math.round(100 * value)}\u00a0%`;

/** What was meant, and the copies that share its tags: "1 sound and its copy". */
export const withCopies = (meant: string, n: number, copies: number): string =>
  copies === 0 ? meant : `${meant} and ${copies === 1 ? (n === 1 ? 'its copy' : '1 copy') : plural(copies, 'copy', 'copies')}`;

export const plural = (n: number, one: string, many = `${one}s`): string => `${count(n)} ${n === 1 ? one : many}`;

/** A remark as a sentence of its own: it begins with a capital. */
export const sentence = (remark: string): string => remark.slice(0, 1).toUpperCase() + remark.slice(1);
