// Opening and reading files for the readers of this folder, with errors that a person can act on.
// Not here: any file format, writing (atomic.ts).

import type { FileHandle } from 'node:fs/promises';
import { open } from 'node:fs/promises';
import { DataError } from '../errors.ts';

/** One read call asks for at most this much: Node takes no more than 2^31 - 1 bytes at a time. */
const READ_BYTES = 16 * 1024 * 1024;

const OPEN_ADVICE: Readonly<Record<string, string>> = {
  ENOENT: 'no such file: check the path',
  ENOTDIR: 'a folder of the path is a file: check the path',
  EISDIR: 'this is a folder, a file is needed',
  EACCES: 'may not be read: check the permissions',
  EPERM: 'may not be read: check the permissions',
  ENAMETOOLONG: 'the name is too long for the file system',
};

/** A system error as a `DataError`; other values come back as they are. `who` opens the message. */
export function asDataError(who: string, error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException | undefined)?.code;
  if (!(error instanceof Error) || typeof code !== 'string' || !('syscall' in error)) return error;
  return new DataError(`${who}: ${OPEN_ADVICE[code] ?? error.message}.`, { cause: error });
}

/** An open regular file and its size at that moment. The caller closes the handle. */
export type OpenFile = { readonly handle: FileHandle; readonly sizeBytes: number };

export async function openForReading(who: string, path: string): Promise<OpenFile> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path, 'r');
    const stats = await handle.stat();
    if (stats.isDirectory()) throw new DataError(`${who}: ${OPEN_ADVICE.EISDIR}.`);
    if (!stats.isFile()) throw new DataError(`${who}: not a regular file (a device, pipe or socket).`);
    return { handle, sizeBytes: stats.size };
  } catch (error) {
    await handle?.close();
    throw asDataError(who, error);
  }
}

/**
 * Fills `target` from `positionBytes` on and returns the bytes read: fewer only at the end of the file.
 * `onChunk` sees each piece as it arrives (for checksums).
 */
export async function readAt(
  handle: FileHandle,
  target: Uint8Array,
  positionBytes: number,
  onChunk?: (chunk: Uint8Array) => void,
): Promise<number> {
  let done = 0;
  while (done < target.byteLength) {
    const length = Math.min(READ_BYTES, target.byteLength - done);
    const { bytesRead } = await handle.read(target, done, length, positionBytes + done);
    if (bytesRead === 0) break;
    onChunk?.(target.subarray(done, done + bytesRead));
    done += bytesRead;
  }
  return done;
}

/** Memory for `lengthBytes`, not zeroed, at the start of an `ArrayBuffer` of its own (aligned for every dtype). */
export function allocateBytes(who: string, lengthBytes: number): Uint8Array {
  try {
    return new Uint8Array(Buffer.allocUnsafeSlow(lengthBytes).buffer);
  } catch (error) {
    throw new DataError(`${who}: ${lengthBytes} bytes asked for at once, more than this machine gives.`, {
      cause: error,
    });
  }
}
