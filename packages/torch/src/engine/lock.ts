// A lock between processes: a file that only one can create. Its holder keeps it fresh; a lock whose holder is dead,
// or that nobody has touched for long (a holder on another machine), is taken over.
// It saves double work and mixed output, not correctness: what it guards must end in an atomic rename anyway.

import { randomUUID } from 'node:crypto';
import { readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { EngineError } from '../errors.ts';

export type LockOptions = {
  /** How long to wait for another holder, in milliseconds. */
  readonly timeoutMs?: number;
  /** Pause between two tries, in milliseconds. */
  readonly pollMs?: number;
  /** A lock untouched for this long is abandoned, in milliseconds; the holder touches it four times as often. */
  readonly abandonedMs?: number;
  /** Called once when somebody else holds the lock. */
  readonly onWait?: (holder: string) => void;
};

type Holder = { readonly pid: number; readonly host: string; readonly token: string };

/**
 * Runs `work` while holding the lock file.
 *
 * @throws EngineError when another live process holds it for longer than `timeoutMs`.
 */
export async function withLock<T>(
  file: string,
  work: () => Promise<T>,
  options: LockOptions = {},
): Promise<T> {
  const { timeoutMs = 900_000, pollMs = 200, abandonedMs = 20_000, onWait } = options;
  const mine: Holder = { pid: process.pid, host: hostname(), token: randomUUID() };
  const deadline = Date.now() + timeoutMs;
  let told = false;
  while (!create(file, mine)) {
    const holder = readHolder(file);
    if (isAbandoned(file, holder, abandonedMs)) {
      if (readHolder(file)?.token === holder?.token) rmSync(file, { force: true });
      continue;
    }
    const who = holder ? `process ${holder.pid} on ${holder.host}` : 'another process';
    if (Date.now() > deadline) {
      throw new EngineError(
        `withLock: ${file} has been held by ${who} for more than ${timeoutMs / 1000} s. ` +
          'Wait for that build, or delete the file when no build is running.',
      );
    }
    if (!told) onWait?.(who);
    told = true;
    await sleep(pollMs);
  }
  const heartbeat = setInterval(() => touch(file), abandonedMs / 4);
  heartbeat.unref();
  try {
    return await work();
  } finally {
    clearInterval(heartbeat);
    if (readHolder(file)?.token === mine.token) rmSync(file, { force: true });
  }
}

function create(file: string, holder: Holder): boolean {
  try {
    writeFileSync(file, JSON.stringify(holder), { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** Null while the holder is still writing its name, or when the file has just gone. */
function readHolder(file: string): Holder | null {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Holder;
  } catch {
    return null;
  }
}

function isAbandoned(file: string, holder: Holder | null, abandonedMs: number): boolean {
  if (holder && holder.host === hostname() && !isAlive(holder.pid)) return true;
  const stat = statSync(file, { throwIfNoEntry: false });
  return stat !== undefined && Date.now() - stat.mtimeMs > abandonedMs;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function touch(file: string): void {
  const now = new Date();
  try {
    utimesSync(file, now, now);
  } catch {
    // taken over or deleted by hand; the work ends in an atomic rename, so going on is safe
  }
}
