// Looking at a source folder: listing, finding a layout inside wrapping folders, class lists, identifiers.
// Not here: pixels.

import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { DataError, UsageError } from '@maskrank/torch/errors';
import { compareNames, extension } from '../names.ts';
import type { DatasetClass } from '../schema.ts';

/** Image formats of a source, by extension. */
export const IMAGE_EXTENSIONS: readonly string[] = ['.png', '.jpg', '.jpeg', '.tif', '.tiff'];

export const isImageFile = (path: string): boolean => IMAGE_EXTENSIONS.includes(extension(path));

/** Entries of a folder in natural order, hidden ones left out; `[]` when the folder does not exist. */
export async function list(dir: string): Promise<Dirent[]> {
  try {
    const entries = await readdir(dir, { withFileTypes: true });
    return entries
      .filter((e) => !e.name.startsWith('.') && e.name !== '__MACOSX')
      .sort((a, b) => compareNames(a.name, b.name));
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ENOTDIR') return [];
    throw new DataError(`${dir}: the folder cannot be listed (${code}). Check its permissions.`, { cause });
  }
}

/** Image files directly in a folder, absolute paths in natural order. */
export async function imagesIn(dir: string): Promise<string[]> {
  const entries = await list(dir);
  return entries.filter((e) => !e.isDirectory() && isImageFile(e.name)).map((e) => join(dir, e.name));
}

/** Files below a folder at any depth (at most 8), as paths relative to it with forward slashes. */
export async function filesBelow(dir: string, depth = 8): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await list(dir)) {
    if (!entry.isDirectory()) found.push(entry.name);
    else if (depth > 0) {
      const inner = await filesBelow(join(dir, entry.name), depth - 1);
      found.push(...inner.map((path) => `${entry.name}/${path}`));
    }
  }
  return found;
}

/** The source's absolute path. Throws DataError when it is no folder. */
export async function sourceFolder(source: string): Promise<string> {
  const dir = resolve(source);
  const info = await stat(dir).catch(() => undefined);
  if (info?.isDirectory()) return dir;
  const found = info === undefined ? 'nothing there' : 'a file (unpack archives first)';
  throw new DataError(`${dir}: ${found}; the source must be a folder.`);
}

/** The folder at or below `dir` (at most `depth` levels) that holds all of `names` as entries, or undefined. */
export async function findLayout(
  dir: string,
  names: readonly string[],
  depth = 3,
): Promise<string | undefined> {
  const entries = await list(dir);
  const present = new Set(entries.map((e) => e.name));
  if (names.every((name) => present.has(name))) return dir;
  if (depth === 0) return undefined;
  for (const entry of entries) {
    if (!entry.isDirectory()) continue;
    const found = await findLayout(join(dir, entry.name), names, depth - 1);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** DataError for a source that lacks the importer's layout; says what was found at its top. */
export async function layoutError(importer: string, dir: string, layout: string): Promise<DataError> {
  const entries = (await list(dir)).slice(0, 8).map((e) => (e.isDirectory() ? `${e.name}/` : e.name));
  const found = entries.length === 0 ? 'an empty folder' : entries.join(', ');
  return new DataError(
    `import ${importer}: ${dir} does not look right.\n  found: ${found}\n  expected: ${layout}`,
  );
}

/** Parses `1=spleen;2=right kidney`. Throws UsageError naming the part that is wrong. */
export function parseClasses(text: string, where = 'classes'): DatasetClass[] {
  const classes = text
    .split(';')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map((part) => {
      const match = /^(\d{1,3})\s*=\s*(.+)$/.exec(part);
      const id = Number(match?.[1]);
      if (!match || id < 1 || id > 255)
        throw new UsageError(
          `${where}: "${part}"; allowed: ID=NAME with an id from 1 to 255, joined by ";", e.g. 1=spleen;2=right kidney.`,
        );
      return { id, name: match[2]! };
    });
  const twice = classes.find((c, i) => classes.some((d, j) => j < i && (d.id === c.id || d.name === c.name)));
  if (twice)
    throw new UsageError(
      `${where}: class ${twice.id}=${twice.name} repeats an id or a name; allowed: each once.`,
    );
  if (classes.length === 0) throw new UsageError(`${where}: empty; allowed: at least one ID=NAME.`);
  return classes;
}

/** The usual three names for a part of a dataset; other names stay as they are, in lower case. */
export function normaliseSplit(name: string): string {
  const plain = name.trim().toLowerCase();
  const known: Record<string, string> = {
    val: 'validation',
    valid: 'validation',
    dev: 'validation',
    training: 'train',
    testing: 'test',
  };
  return known[plain] ?? plain;
}

/** Name of the dataset when none is given. */
export const defaultName = (dir: string): string => basename(dir) || 'dataset';

/** At most `n` names, and how many more there are. */
export function few(names: readonly string[], n = 5): string {
  const shown = names.slice(0, n).join(', ');
  return names.length > n ? `${shown} and ${names.length - n} more` : shown;
}
