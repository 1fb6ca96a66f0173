// Writing a file so that a crash leaves either the old content or the new, never a mixture.
//
// Guarantee: `path` holds, at every moment and after a crash or power cut at any moment, either what it held before
// the call (or nothing, if there was nothing) or all of the new content. When the returned promise has resolved, the
// new content survives a power cut. The steps: temporary file in the same folder, write, fsync, rename, fsync of the
// folder. It rests on the file system honouring fsync and renaming atomically, as local POSIX file systems do; on
// Windows folders cannot be flushed, so there the rename itself may be lost in a power cut (the old content stays).
//
// A failed call removes its temporary file. A killed process cannot: `removeAbandonedTemporaries` clears up after it.
// Not here: locking. When two callers write the same path, each content is whole and the last rename wins.

import { createHash, randomBytes } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { open, readdir, realpath, rename, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { asDataError } from './file.ts';

/** Content in pieces, written one after the other; strings as UTF-8. Pieces must not change until the call returns. */
export type Chunks = string | Uint8Array | Iterable<string | Uint8Array> | AsyncIterable<string | Uint8Array>;

/** One write call takes at most this much: Node takes no more than 2^31 - 1 bytes at a time. */
const WRITE_BYTES = 16 * 1024 * 1024;

/** Replaces the content of `path` (the folder must exist). If `path` is a symbolic link, the file it names is replaced. */
export async function writeFileAtomic(path: string, chunks: Chunks): Promise<void> {
  const who = `writeFileAtomic(${path})`;
  const target = await realpath(path).catch(() => path);
  const temporary = join(dirname(target), temporaryName(basename(target)));
  try {
    await writeFlushed(temporary, chunks);
    await rename(temporary, target);
  } catch (error) {
    // What went wrong first is what the caller must hear, even if the clean-up fails too.
    await rm(temporary, { force: true }).catch(() => undefined);
    throw asDataError(who, error);
  }
  try {
    await flushFolder(dirname(target));
  } catch (error) {
    throw asDataError(who, error);
  }
}

/**
 * Deletes temporary files that killed processes of this machine left in `folder`, and returns their names. Files of
 * processes that still run, or of other machines, stay. Meant for the start of a run.
 */
export async function removeAbandonedTemporaries(folder: string): Promise<string[]> {
  const who = `removeAbandonedTemporaries(${folder})`;
  try {
    const abandoned = (await readdir(folder)).filter(isAbandoned);
    for (const name of abandoned) await rm(join(folder, name), { force: true });
    return abandoned;
  } catch (error) {
    throw asDataError(who, error);
  }
}

// .NAME.<machine>-<process>-<random>.tmp: hidden from globs, traceable to its process, unique, below 255 bytes.
const TEMPORARY = /^\..*\.([0-9a-f]{8})-(\d+)-[0-9a-f]{12}\.tmp$/s;

function temporaryName(name: string): string {
  return `.${name.slice(0, 64)}.${machineId()}-${process.pid}-${randomBytes(6).toString('hex')}.tmp`;
}

function machineId(): string {
  return createHash('sha256').update(hostname()).digest('hex').slice(0, 8);
}

function isAbandoned(name: string): boolean {
  const match = TEMPORARY.exec(name);
  return match !== null && match[1] === machineId() && !isRunning(Number(match[2]));
}

function isRunning(processId: number): boolean {
  try {
    process.kill(processId, 0); // sends nothing, only asks
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

async function writeFlushed(path: string, chunks: Chunks): Promise<void> {
  const handle = await open(path, 'wx');
  try {
    const pieces = typeof chunks === 'string' || chunks instanceof Uint8Array ? [chunks] : chunks;
    for await (const piece of pieces) {
      await writeAll(handle, typeof piece === 'string' ? Buffer.from(piece, 'utf8') : piece);
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  let done = 0;
  while (done < bytes.byteLength) {
    const length = Math.min(WRITE_BYTES, bytes.byteLength - done);
    done += (await handle.write(bytes, done, length)).bytesWritten;
  }
}

async function flushFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
