/** Notices of decoding: facts about a file that are no errors, such as silence or a repaired length. */
import type { Notice } from '../api/types';

export interface NoticedFile {
  path: string;
  texts: string[];
}

/** Notices by file, in the order in which files are first named. */
export function byFile(notices: readonly Notice[]): NoticedFile[] {
  const files = new Map<string, string[]>();
  for (const { path, text } of notices) {
    const texts = files.get(path);
    if (texts) texts.push(text);
    else files.set(path, [text]);
  }
  return [...files].map(([path, texts]) => ({ path, texts }));
}

/** All notices of one sound as one text, for a tooltip; empty where there are none. */
export const noticed = (notices: readonly string[] | undefined): string => (notices ?? []).join('\n');
