import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { InUseError } from '../../src/run/in-use.ts';
import { Lock } from '../../src/run/lock.ts';

const dir = mkdtempSync(join(tmpdir(), 'maskrank-lock-'));
afterAll(() => rmSync(dir, { recursive: true }));
let files = 0;
const fresh = () => join(dir, `${files++}.lock`);
const options = { command: 'maskrank finetune data --run r' };
const holder = (change: object) =>
  JSON.stringify({
    pid: process.pid,
    hostname: 'ward-7',
    incarnation: null,
    since: '2025-01-01T00:00:00Z',
    command: 'x',
    ...change,
  });
const deadPid = spawnSync(process.execPath, ['-e', '']).pid;

describe('Lock', () => {
  it('refuses a second writer, naming the first', () => {
    const path = fresh();
    const lock = Lock.acquire(path, options);
    expect(() => Lock.acquire(path, options)).toThrow(InUseError);
    expect(() => Lock.acquire(path, options)).toThrow(
      new RegExp(
        `in use by process ${process.pid} on .* \\(maskrank finetune data --run r\\).* kill ${process.pid}\\)`,
      ),
    );
    lock.release();
    expect(existsSync(path)).toBe(false);
    Lock.acquire(path, options).release();
  });

  it('takes over the lock of a process that is gone', () => {
    const path = fresh();
    writeFileSync(path, holder({ pid: deadPid }));
    const lock = Lock.acquire(path, { ...options, host: 'ward-7' });
    expect(lock.takenFrom).toMatchObject({ pid: deadPid });
    expect(JSON.parse(readFileSync(path, 'utf8')).pid).toBe(process.pid);
    expect(existsSync(`${path}.takeover`)).toBe(false);
  });

  it('never takes over the lock of another host', () => {
    const path = fresh();
    writeFileSync(path, holder({ pid: deadPid }));
    expect(() => Lock.acquire(path, { ...options, host: 'ward-8' })).toThrow(
      /on ward-7 .*if it is surely gone, delete that file/,
    );
  });

  it.skipIf(process.platform !== 'linux')('sees that a process number was reused (Linux only)', () => {
    const path = fresh();
    writeFileSync(path, holder({ incarnation: 'another boot:1' }));
    expect(Lock.acquire(path, { ...options, host: 'ward-7' }).takenFrom).toMatchObject({ pid: process.pid });
  });

  it('waits for a lock that is just being written, and takes an old torn one', () => {
    const path = fresh();
    writeFileSync(path, '{"pid":');
    expect(() => Lock.acquire(path, options)).toThrow(/taking it right now/);
    const old = new Date(Date.now() - 60_000);
    utimesSync(path, old, old);
    expect(Lock.acquire(path, options).takenFrom).toBe('unreadable');
  });

  it('lets only one take a stale lock over', () => {
    const path = fresh();
    writeFileSync(path, holder({ pid: deadPid }));
    writeFileSync(`${path}.takeover`, '');
    expect(() => Lock.acquire(path, { ...options, host: 'ward-7' })).toThrow(
      /another process is taking it over/,
    );
    const old = new Date(Date.now() - 60_000);
    utimesSync(`${path}.takeover`, old, old);
    expect(Lock.acquire(path, { ...options, host: 'ward-7' }).takenFrom).toMatchObject({ pid: deadPid });
  });

  it('releases only its own lock', () => {
    const path = fresh();
    const lock = Lock.acquire(path, options);
    writeFileSync(path, holder({ pid: 1 }));
    lock.release();
    expect(existsSync(path)).toBe(true);
  });
});
