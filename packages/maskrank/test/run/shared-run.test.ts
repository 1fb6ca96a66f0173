// Several commands in one run: each with its own line in the history, none undone by another, the lock free between them.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { Lock } from '../../src/run/lock.ts';
import { resolveConfig } from '../../src/run/resolve.ts';
import { RunFolder, type RunMode } from '../../src/run/run-folder.ts';

const dir = mkdtempSync(join(tmpdir(), 'maskrank-shared-'));
afterAll(() => rmSync(dir, { recursive: true }));
const open = (path: string, command: string, mode: RunMode = 'share') =>
  RunFolder.open(path, {
    mode,
    command,
    versions: { maskrank: '0.1.0', node: '20.19.0', engine: null },
    resolved: resolveConfig(),
  });

describe('a shared run', () => {
  it('is made by whoever comes first and keeps what each wrote', async () => {
    const path = join(dir, 'a');
    const commands = ['one', 'two', 'three', 'four'];
    const runs = await Promise.all(commands.map((command) => open(path, command)));
    expect(existsSync(join(path, 'run.lock'))).toBe(false);
    await Promise.all([runs[0]?.setDataset('/data', 'd0'), runs[1]?.setEngine('libtorch x')]);
    await Promise.all(runs.map((run, i) => run.close(i)));
    const { record } = await open(path, 'look', 'read');
    expect(record.dataset).toMatchObject({ hash: 'd0' });
    expect(record.versions.engine).toBe('libtorch x');
    expect(record.history.map(({ command }) => command).sort()).toEqual([...commands].sort());
    for (const { command, exitCode } of record.history) expect(exitCode).toBe(commands.indexOf(command));
  });

  it('lets one work while the others wait', async () => {
    const path = join(dir, 'b');
    const [a, b] = [await open(path, 'a'), await open(path, 'b')];
    const order: string[] = [];
    const work = (name: string) => async () => {
      order.push(`${name} in`);
      expect(existsSync(join(path, 'run.lock'))).toBe(true);
      await new Promise((resolve) => setTimeout(resolve, 20));
      order.push(`${name} out`);
    };
    await Promise.all([a.exclusively(work('a')), b.exclusively(work('b'))]);
    expect(order[0]?.slice(0, 1)).toBe(order[1]?.slice(0, 1));
    expect(order).toHaveLength(4);
    await Promise.all([a.close(0), b.close(0)]);
  });

  it('waits for a command that has it alone, and no longer than told', async () => {
    const path = join(dir, 'c.lock');
    const held = Lock.acquire(path, { command: 'alone' });
    await expect(Lock.wait(path, { command: 'late', waitMs: 30 })).rejects.toThrow(/in use by .*alone/);
    const waiting = Lock.wait(path, { command: 'late', waitMs: 5000 });
    setTimeout(() => held.release(), 30);
    (await waiting).release();
  });
});
