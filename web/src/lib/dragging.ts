/** Sounds dragged out of the page become files: Chromium fetches the address of "DownloadURL" when they are dropped. */

/** "MIME type:file name:absolute address"; a colon in the name would end it. */
export const downloadUrl = (type: string, name: string, path: string): string => `${type}:${name.replaceAll(':', '-')}:${new URL(path, location.origin)}`;

export function carry(event: DragEvent, type: string, name: string, path: string): void {
  const data = event.dataTransfer;
  if (!data) return;
  data.effectAllowed = 'copy';
  data.setData('DownloadURL', downloadUrl(type, name, path));
  data.setData('text/uri-list', new URL(path, location.origin).toString());
}

/** The name under which a region of a file is kept. */
export function regionName(name: string, { start, end }: { start: number; end: number }): string {
  const tidy = (value: number) => String(Number(value.toFixed(3)));
  return `${name.replace(/\.[^.]*$/, '')} ${tidy(start)}-${tidy(end)} s.wav`;
}
