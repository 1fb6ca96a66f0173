// Names and paths of a dataset: identifiers that are safe as file names everywhere, relative paths that stay inside.
// Not here: which files exist (importers), their content (hash.ts).

import { createHash } from 'node:crypto';

/** Longest identifier in characters; longer names are cut and marked with a hash so that they stay distinct. */
const MAX_ID_LENGTH = 100;

/** What an identifier may look like: letters, digits, dot, dash, underscore; no leading dot; at most 120 characters. */
export const ID_PATTERN = /^(?!\.)[\p{L}\p{N}._-]{1,120}$/u;

/** Turns any name into an identifier: `benign (1)` -> `benign_1`. */
export function slug(name: string): string {
  const plain = name
    .normalize('NFC')
    .replace(/[^\p{L}\p{N}._-]+/gu, '_')
    .replace(/^[_.]+|_+$/g, '');
  if (plain === '') return `x${shortHash(name)}`;
  return plain.length <= MAX_ID_LENGTH ? plain : `${plain.slice(0, MAX_ID_LENGTH)}-${shortHash(name)}`;
}

/**
 * Identifiers for many names, in their order. Names whose identifiers would be equal (letter case ignored, since some
 * file systems do) each get a short hash of the full name, so the outcome does not depend on the order.
 */
export function uniqueSlugs(names: readonly string[]): string[] {
  const plain = names.map(slug);
  const counts = new Map<string, number>();
  for (const id of plain) counts.set(id.toLowerCase(), (counts.get(id.toLowerCase()) ?? 0) + 1);
  return plain.map((id, i) => (counts.get(id.toLowerCase())! > 1 ? `${id}-${shortHash(names[i]!)}` : id));
}

/** Why a path may not stand in a dataset, or undefined when it may: relative, forward slashes, never above the folder. */
export function pathFault(path: string): string | undefined {
  if (path === '') return 'is empty';
  if (path.includes('\0')) return 'holds a NUL character';
  if (path.includes('\\')) return 'holds a backslash; use forward slashes';
  if (path.startsWith('/') || /^[A-Za-z]:/.test(path))
    return 'is absolute; use a path relative to the dataset folder';
  const parts = path.split('/');
  if (parts.includes('..')) return 'leaves the dataset folder';
  if (parts.includes('') || parts.includes('.')) return 'holds an empty or "." part';
  return undefined;
}

/** File name without folder and last extension: `a/b (1).nii.png` -> `b (1).nii`. */
export function stem(path: string): string {
  const name = path.slice(path.lastIndexOf('/') + 1);
  const dot = name.lastIndexOf('.');
  return dot <= 0 ? name : name.slice(0, dot);
}

/** Last extension in lower case with its dot, or ''. */
export function extension(path: string): string {
  const name = path.slice(path.lastIndexOf('/') + 1);
  const dot = name.lastIndexOf('.');
  return dot <= 0 ? '' : name.slice(dot).toLowerCase();
}

/** Natural order, the same on every machine: digits compare as numbers, so `case 2` stands before `case 10`. */
export function compareNames(a: string, b: string): number {
  return NATURAL.compare(a, b) || (a < b ? -1 : a > b ? 1 : 0);
}

const NATURAL = new Intl.Collator('en', { numeric: true, sensitivity: 'variant' });

function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 8);
}
