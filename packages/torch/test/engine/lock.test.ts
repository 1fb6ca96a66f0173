import { existsSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { withLock } from '../../src/engine/lock.ts';
import { EngineError } from '../../src/errors.ts';
import { temporaryFolder } from './fake-engine.ts';

const QUICK = { pollMs: 2, timeoutMs: 2000 };
const held = (file: string, holder: object): void => writeFileSync(file, JSON.stringify(holder));

describe('withLock', () => {
  it('lets one in at a time, whatever happens inside', async () => {
    const file = join(temporaryFolder(), 'lock');
    let inside = 0;
    let most = 0;
    const work = (fail: boolean) => async () => {
      most = Math.max(most, ++inside);
      await sleep(5);
      inside--;
      if (fail) throw new Error('in the work');
      return 'done';
    };
    const results = await Promise.allSettled(
      [0, 1, 2, 3].map((i) => withLock(file, work(i % 2 === 1), QUICK)),
    );
    expect(most).toBe(1);
    expect(results.map((result) => result.status).sort()).toEqual([
      'fulfilled',
      'fulfilled',
      'rejected',
      'rejected',
    ]);
    expect(existsSync(file)).toBe(false);
  });

  it('takes over from a dead process at once', async () => {
    const file = join(temporaryFolder(), 'lock');
    held(file, { pid: 2 ** 22 + 1, host: hostname(), token: 'dead' });
    expect(await withLock(file, async () => JSON.parse(readFileSync(file, 'utf8')).pid, QUICK)).toBe(
      process.pid,
    );
  });

  it('takes over from another machine only when untouched for long', async () => {
    const file = join(temporaryFolder(), 'lock');
    held(file, { pid: 1, host: 'elsewhere', token: 'far' });
    const waits: string[] = [];
    const onWait = (holder: string) => waits.push(holder);
    const failed = withLock(file, async () => 'in', { ...QUICK, timeoutMs: 20, onWait });
    await expect(failed).rejects.toThrow(EngineError);
    await expect(failed).rejects.toThrow(/held by process 1 on elsewhere.*delete the file/);
    expect(waits).toEqual(['process 1 on elsewhere']);
    utimesSync(file, new Date(0), new Date(0));
    expect(await withLock(file, async () => 'in', QUICK)).toBe('in');
  });

  it('stays fresh while the work lasts', async () => {
    const file = join(temporaryFolder(), 'lock');
    const long = withLock(file, () => sleep(900, 'long'), { ...QUICK, abandonedMs: 400 });
    await sleep(20);
    held(file, { ...JSON.parse(readFileSync(file, 'utf8')), host: 'elsewhere' }); // only its age can tell now
    const second = withLock(file, async () => 'second', { ...QUICK, abandonedMs: 400 });
    expect(await Promise.race([long, second])).toBe('long');
    expect(await second).toBe('second');
  });
});
