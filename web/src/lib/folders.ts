/** Folders as a tree: each with the number of files at any depth below it. */

export interface Folder {
  /** As the API names it, relative to the folder that all sounds share. */
  path: string;
  /** Its last name. */
  name: string;
  files: number;
  children: Folder[];
}

const parent = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('/')));

/** Files of each folder at any depth, from those that lie directly in each; '.' is the folder that all share. */
export function summed(direct: readonly { value: string; files: number }[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { value, files } of direct) {
    for (let path = value === '.' ? '' : value; path; path = parent(path)) counts.set(path, (counts.get(path) ?? 0) + files);
  }
  return counts;
}

/** The tree of some folders by their counts; a folder whose own parents are not listed hangs from the nearest that is. */
export function tree(counts: ReadonlyMap<string, number>): Folder[] {
  const made = new Map<string, Folder>();
  const roots: Folder[] = [];
  for (const path of [...counts.keys()].filter((one) => one && one !== '.').sort()) {
    let above = parent(path);
    while (above && !made.has(above)) above = parent(above);
    const folder: Folder = { path, name: above ? path.slice(above.length + 1) : path, files: counts.get(path) ?? 0, children: [] };
    made.set(path, folder);
    (made.get(above)?.children ?? roots).push(folder);
  }
  return roots;
}

/** Whether a folder is another one or lies below it. */
export const isWithin = (path: string, above: string): boolean => path === above || path.startsWith(`${above}/`);
