// Reading and writing small artefacts: clear errors, atomic replacement, content hashes.
// Not here: how a file is replaced atomically (torch's io), hashes of datasets (datasets/hash.ts).

import { readFileSync, writeSync } from 'node:fs';
import { DataError } from '@maskrank/torch/errors';
import { writeFileAtomic } from '@maskrank/torch/io';
import { fileHash } from '../datasets/hash.ts';

/** Whole text of a file; DataError says what it was for. */
export function readText(path: string, what: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new DataError(`${path}: the ${what} cannot be read (${systemReason(cause)}). Check the path.`, {
      cause,
    });
  }
}

/** Parsed JSON of a file. */
export function readJson(path: string, what: string): unknown {
  const text = readText(path, what);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new DataError(
      `${path}: the ${what} is not valid JSON (${(cause as Error).message}). Restore it, or make it anew.`,
      { cause },
    );
  }
}

/** Writes JSON, indented for people; killed at any moment, the old or the new content stands. */
export async function writeJson(path: string, value: unknown): Promise<void> {
  await writeFileAtomic(path, `${JSON.stringify(value, null, 2)}\n`);
}

/** Writes every byte at the file's position; a single system call unless the system splits it. */
export function writeAll(file: number, bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done);
}

/** SHA-256 of a file's bytes, in hexadecimal. */
export async function hashFile(path: string): Promise<string> {
  try {
    return (await fileHash(path)).sha256;
  } catch (cause) {
    throw new DataError(`${path}: cannot be read (${systemReason(cause)}).`, { cause });
  }
}

/** `no such file or directory` and its like for errors of the system, the message for others. */
export function systemReason(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  return systemReasons[code ?? ''] ?? (error instanceof Error ? error.message : String(error));
}

const systemReasons: Readonly<Record<string, string>> = {
  ENOENT: 'no such file or folder',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  EISDIR: 'it is a folder',
  ENOTDIR: 'a part of the path is not a folder',
  ENOSPC: 'no space left on the disk',
  EROFS: 'the file system is read-only',
  EMFILE: 'too many open files',
};
