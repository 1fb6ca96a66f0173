// The bytes of a weight file: hashed, and copied under the watch of a hash. Files have gigabytes, so both tell how far they
// are and can be stopped. Not here: what the bytes mean (inspect.ts).

import { createHash } from 'node:crypto';
import { createReadStream, statSync } from 'node:fs';
import { DataError } from '@maskrank/torch/errors';
import type { FileRecord } from '../../datasets/schema.ts';
import { systemReason } from '../../run/files.ts';

/** Told how far a long step is: what it does, bytes done, and of how many where that is known. */
export type OnBytes = (label: string, doneBytes: number, totalBytes: number | undefined) => void;

export type WorkOptions = {
  readonly onProgress?: OnBytes;
  /** Stops the work with the signal's reason. */
  readonly signal?: AbortSignal;
};

/** SHA-256 and size of a file. DataError when it cannot be read. */
export async function contentOf(
  path: string,
  options: WorkOptions & { label?: string } = {},
): Promise<FileRecord> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const piece of pieces(path, { label: 'checking', ...options })) {
    hash.update(piece);
    bytes += piece.length;
  }
  return { sha256: hash.digest('hex'), bytes };
}

/** A file's bytes for a copy; DataError after the last when they are not the expected ones, so that no copy comes to be. */
export async function* unchangedPieces(
  path: string,
  expected: FileRecord,
  options: WorkOptions,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  for await (const piece of pieces(path, { ...options, label: 'copying' })) {
    hash.update(piece);
    yield piece;
  }
  if (hash.digest('hex') !== expected.sha256)
    throw new DataError(`${path}: changed while it was read. Try again when it is complete.`);
}

async function* pieces(
  path: string,
  { label, onProgress, signal }: WorkOptions & { label: string },
): AsyncGenerator<Uint8Array> {
  signal?.throwIfAborted();
  let done = 0;
  try {
    const total = statSync(path).size;
    for await (const piece of createReadStream(path, { highWaterMark: 1 << 20 })) {
      yield piece as Uint8Array;
      done += (piece as Uint8Array).length;
      onProgress?.(label, done, total);
      signal?.throwIfAborted();
    }
  } catch (cause) {
    if (cause instanceof Error && 'syscall' in cause)
      throw new DataError(`${path}: cannot be read (${systemReason(cause)}). Check the path.`, { cause });
    throw cause;
  }
}
