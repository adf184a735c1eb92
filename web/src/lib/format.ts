/** Numbers as a person reads them. */

export function seconds(value: number): string {
  if (value < 10) return `${value.toFixed(1)} s`;
  if (value < 60) return `${Math.round(value)} s`;
  const whole = Math.round(value);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')} min`;
}

export function span(value: number): string {
  if (value < 90) return `${Math.max(1, Math.round(value))} s`;
  if (value < 5400) return `${Math.round(value / 60)} min`;
  const hours = value / 3600;
  return `${hours < 10 ? hours.toFixed(1) : Math.round(hours).toLocaleString('en')} h`;
}

/** The end of a path, which tells most where there is little room. */
export const tail = (path: string): string => path.split('/').at(-1) || path;

export const count = (value: number): string => value.toLocaleString('en');

export const percent = (value: number): string => `${Math.round(100 * value)} %`;

export const plural = (n: number, one: string, many = `${one}s`): string => `${count(n)} ${n === 1 ? one : many}`;
