// Names, folders and locks of the store of weights. Not here: records and contents (store.ts).

import { mkdirSync, readdirSync, rmdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DataError, UsageError } from '@maskrank/torch/errors';
import { systemReason } from '../../run/files.ts';
import { InUseError, Lock } from '../../run/lock.ts';
import { WEIGHT_EXTENSIONS } from './families.ts';
import { RECORD_FILE } from './record.ts';

const WEIGHT_NAME = /^[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?$/;

export function checkName(name: string): void {
  const extension = WEIGHT_EXTENSIONS.find((ending) => name.endsWith(ending));
  if (WEIGHT_NAME.test(name) && extension === undefined) return;
  const found = extension === undefined ? '' : ` It ends in ${extension}, so it would be taken for a file.`;
  throw new UsageError(
    `'${name}' cannot be a name of weights.${found} Allowed: up to 64 small letters, digits, '.', '_', '-', beginning and ending with a letter or digit; the file comes second: maskrank weights add NAME FILE`,
  );
}

export function makeFolder(path: string): void {
  try {
    mkdirSync(path, { recursive: true });
  } catch (cause) {
    throw new DataError(
      `${path}: cannot be made (${systemReason(cause)}). MASKRANK_HOME chooses another place.`,
      { cause },
    );
  }
}

export function acquire(path: string, name: string, command: string): Lock {
  try {
    return Lock.acquire(path, { command });
  } catch (cause) {
    if (!(cause instanceof InUseError)) throw cause;
    throw new InUseError(`weights ${name}: another command is at work on them. ${cause.message}`, { cause });
  }
}

export const exists = (path: string): boolean => statSync(path, { throwIfNoEntry: false }) !== undefined;

function folderNames(dir: string): string[] {
  try {
    return readdirSync(dir, { withFileTypes: true }).flatMap((entry) =>
      entry.isDirectory() ? [entry.name] : [],
    );
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw new DataError(`${dir}: cannot be read (${systemReason(cause)}).`, { cause });
  }
}

export function removeIfEmpty(folder: string): void {
  if (exists(folder) && readdirSync(folder).length === 0) rmdirSync(folder);
}

/** Names that something stands under in a folder of weights, in order. */
export const recordedNames = (dir: string): string[] =>
  folderNames(dir)
    .filter((name) => WEIGHT_NAME.test(name) && exists(join(dir, name, RECORD_FILE)))
    .sort();
