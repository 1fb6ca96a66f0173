// One writer a run: a lock file naming process and host. A lock whose process is gone is taken over; a lock of another
// host is never. Not here: what the lock protects (run-folder.ts).

import { closeSync, openSync, readFileSync, rmSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { DataError } from '@maskrank/torch/errors';
import { systemReason, writeAll } from './files.ts';
import { InUseError } from './in-use.ts';

/** Who holds the lock. */
export type LockHolder = {
  readonly pid: number;
  readonly hostname: string;
  /** Tells a process from a later one with the same number, where the system says (Linux). */
  readonly incarnation: string | null;
  /** ISO time. */
  readonly since: string;
  /** The command line, for the message. */
  readonly command: string;
};

export type LockOptions = {
  readonly command: string;
  /** Replaceable for tests. */
  readonly host?: string;
};

export { InUseError };

/** An empty or torn lock younger than this is being written by its owner. */
const WRITING_MS = 10_000;

export class Lock {
  readonly path: string;
  /** Holder of a stale lock that was taken over. */
  readonly takenFrom: LockHolder | 'unreadable' | undefined;
  readonly #content: string;

  private constructor(path: string, content: string, takenFrom: LockHolder | 'unreadable' | undefined) {
    this.path = path;
    this.#content = content;
    this.takenFrom = takenFrom;
  }

  /** Takes the lock or throws InUseError naming the holder and what to do. */
  static acquire(path: string, { command, host = hostname() }: LockOptions): Lock {
    const holder: LockHolder = {
      pid: process.pid,
      hostname: host,
      incarnation: incarnationOf(process.pid),
      since: new Date().toISOString(),
      command,
    };
    const content = JSON.stringify(holder);
    if (createExclusive(path, content)) return new Lock(path, content, undefined);
    const stale = refuseLiving(path, host);
    // Two processes may find the same stale lock: whoever creates the takeover file judges it again and replaces it.
    const takeover = `${path}.takeover`;
    if (ageMs(takeover) > WRITING_MS) rmSync(takeover, { force: true });
    if (!createExclusive(takeover, content))
      throw new InUseError(`${path}: another process is taking it over. Give the same command again.`);
    try {
      if (stale !== undefined) {
        refuseLiving(path, host);
        rmSync(path, { force: true });
      }
      if (!createExclusive(path, content))
        throw new InUseError(
          `${path}: another process was faster. Give the same command again when it is done.`,
        );
    } finally {
      rmSync(takeover, { force: true });
    }
    return new Lock(path, content, stale);
  }

  /** Takes the lock as soon as it is free; after `waitMs` throws what `acquire` throws. */
  static async wait(path: string, options: LockOptions & { readonly waitMs: number }): Promise<Lock> {
    const until = Date.now() + options.waitMs;
    for (let pauseMs = 5; ; pauseMs = Math.min(250, 2 * pauseMs)) {
      try {
        return Lock.acquire(path, options);
      } catch (error) {
        if (!(error instanceof InUseError) || Date.now() > until) throw error;
      }
      // Uneven, so that those who wait do not meet again and again.
      await sleep(pauseMs * (0.5 + Math.random()));
    }
  }

  /** Gives the lock back; does nothing when it is no longer ours. */
  release(): void {
    try {
      if (readFileSync(this.path, 'utf8') === this.#content) rmSync(this.path, { force: true });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
}

/** Throws while the holder lives; else returns the dead holder, or undefined when the lock went away meanwhile. */
function refuseLiving(path: string, host: string): LockHolder | 'unreadable' | undefined {
  const holder = readHolder(path);
  if (holder === undefined) return undefined;
  if (holder === 'unreadable') {
    if (ageMs(path) > WRITING_MS) return holder;
    throw new InUseError(`${path}: another process is taking it right now. Give the same command again.`);
  }
  const who = `process ${holder.pid} on ${holder.hostname} since ${holder.since} (${holder.command})`;
  if (holder.hostname !== host)
    throw new InUseError(
      `${path}: in use by ${who}. Wait for it; if it is surely gone, delete that file. Then give the same command again.`,
    );
  if (isAlive(holder))
    throw new InUseError(
      `${path}: in use by ${who}. Wait for it, or stop it (Ctrl-C where it runs, or: kill ${holder.pid}); it loses nothing. Then give the same command again.`,
    );
  return holder;
}

function isAlive(holder: LockHolder): boolean {
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  const now = incarnationOf(holder.pid);
  return holder.incarnation === null || now === null || now === holder.incarnation;
}

/** Boot and start time of a process on Linux: a reused process number has another one. */
function incarnationOf(pid: number): string | null {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const startTicks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
    return `${boot}:${startTicks}`;
  } catch {
    return null;
  }
}

function readHolder(path: string): LockHolder | 'unreadable' | undefined {
  try {
    const value = JSON.parse(readFileSync(path, 'utf8')) as LockHolder;
    return Number.isInteger(value?.pid) && typeof value.hostname === 'string' ? value : 'unreadable';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? undefined : 'unreadable';
  }
}

/** True when the file was created, false when it was there. */
function createExclusive(path: string, content: string): boolean {
  let file: number;
  try {
    file = openSync(path, 'wx');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw new DataError(`${path}: the run cannot be locked (${systemReason(cause)}).`, { cause });
  }
  try {
    writeAll(file, Buffer.from(content));
  } finally {
    closeSync(file);
  }
  return true;
}

function ageMs(path: string): number {
  return Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
}
