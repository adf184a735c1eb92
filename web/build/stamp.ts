/**
 * Writes build.json beside the built page: a digest of every source and of every built file.
 *
 * tests/test_page_build.py computes both again without Node, so that stale or hand-edited assets fail.
 * A digest is the SHA-256 over the files in order of their paths: path, NUL, length, NUL, bytes.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative, resolve, sep } from 'node:path';
import type { Plugin } from 'vite';

const WEB = new URL('..', import.meta.url).pathname;
const IGNORED = new Set(['node_modules', '.svelte-kit', '.vite', 'README.md']);

function files(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => !IGNORED.has(entry.name))
    .flatMap((entry) => (entry.isDirectory() ? files(join(folder, entry.name)) : [join(folder, entry.name)]));
}

function digest(folder: string, skipped?: string): { sha256: string; files: string[] } {
  const named = files(folder)
    .map((file) => [relative(folder, file).split(sep).join('/'), file] as const)
    .filter(([name]) => name !== skipped)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const hash = createHash('sha256');
  for (const [name, file] of named) {
    const bytes = readFileSync(file);
    hash.update(`${name}\0${bytes.length}\0`).update(bytes);
  }
  return { sha256: hash.digest('hex'), files: named.map(([name]) => name) };
}

export function stamp(): Plugin {
  let page: string;
  return {
    name: 'soundloom-stamp',
    apply: 'build',
    configResolved(config) {
      page = resolve(config.root, config.build.outDir);
    },
    closeBundle() {
      const said = { sources: digest(WEB), assets: digest(page, 'build.json') };
      writeFileSync(join(page, 'build.json'), `${JSON.stringify(said, null, 2)}\n`);
    },
  };
}
