import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { DataError } from '../../src/errors.ts';
import { removeAbandonedTemporaries, writeFileAtomic } from '../../src/io/atomic.ts';
import { temporaryFolder } from './support/folder.ts';

const folder = temporaryFolder();

async function freshFolder(name: string): Promise<string> {
  await mkdir(folder.path(name));
  return folder.path(name);
}

describe('writeFileAtomic', () => {
  it('writes strings, bytes, and rows of them, from sync and async sources', async () => {
    const dir = await freshFolder('kinds');
    const path = join(dir, 'a');
    await writeFileAtomic(path, 'Grüße');
    expect(await readFile(path, 'utf8')).toBe('Grüße');
    await writeFileAtomic(path, new Uint8Array([1, 2]));
    expect([...(await readFile(path))]).toEqual([1, 2]);
    await writeFileAtomic(path, ['a', new Uint8Array([98]), '']);
    expect(await readFile(path, 'utf8')).toBe('ab');
    await writeFileAtomic(
      path,
      (async function* () {
        yield 'x';
        yield 'y';
      })(),
    );
    expect(await readFile(path, 'utf8')).toBe('xy');
    expect(await readdir(dir)).toEqual(['a']);
  });

  it('keeps the old content while writing and after a failure, and leaves nothing behind', async () => {
    const dir = await freshFolder('failure');
    const path = join(dir, 'a');
    await writeFileAtomic(path, 'old');
    let seen = '';
    const failing = async function* () {
      yield 'new, first half';
      seen = await readFile(path, 'utf8');
      expect(await readdir(dir)).toHaveLength(2);
      throw new RangeError('simulated');
    };
    await expect(writeFileAtomic(path, failing())).rejects.toThrow(new RangeError('simulated'));
    expect(seen).toBe('old');
    expect(await readFile(path, 'utf8')).toBe('old');
    expect(await readdir(dir)).toEqual(['a']);
  });

  it('says what is wrong when the folder is missing or the target is a folder', async () => {
    const dir = await freshFolder('wrong');
    const missing = writeFileAtomic(join(dir, 'none', 'a'), 'x');
    await expect(missing).rejects.toThrow(DataError);
    await expect(missing).rejects.toThrow(/^writeFileAtomic\(.*none.a\): no such file: check the path\.$/);
    await mkdir(join(dir, 'target'));
    await writeFile(join(dir, 'target', 'inside'), '');
    await expect(writeFileAtomic(join(dir, 'target'), 'x')).rejects.toThrow(DataError);
    expect(await readdir(dir)).toEqual(['target']);
  });

  it('replaces the file that a symbolic link names, not the link', async () => {
    const dir = await freshFolder('links');
    await writeFile(join(dir, 'real'), 'old');
    await symlink('real', join(dir, 'link'));
    await writeFileAtomic(join(dir, 'link'), 'new');
    expect(await readFile(join(dir, 'real'), 'utf8')).toBe('new');
    expect((await readdir(dir)).sort()).toEqual(['link', 'real']);
  });

  it('gives whole content when several write the same path', async () => {
    const dir = await freshFolder('many');
    const path = join(dir, 'a');
    const contents = Array.from({ length: 8 }, (_, i) => String(i).repeat(10_000));
    await Promise.all(
      contents.map((content) => writeFileAtomic(path, [content.slice(0, 5000), content.slice(5000)])),
    );
    expect(contents).toContain(await readFile(path, 'utf8'));
    expect(await readdir(dir)).toEqual(['a']);
  });

  it('takes names at the limit of the file system', async () => {
    const dir = await freshFolder('long');
    await writeFileAtomic(join(dir, 'ß'.repeat(127)), 'x');
    expect(await readdir(dir)).toEqual(['ß'.repeat(127)]);
  });
});

describe('removeAbandonedTemporaries', () => {
  const machine = createHash('sha256').update(hostname()).digest('hex').slice(0, 8);

  it('removes those of ended processes of this machine only', async () => {
    const dir = await freshFolder('abandoned');
    const ended = spawnSync(process.execPath, ['-e', '']).pid;
    const names = [
      `.a.json.${machine}-${ended}-0123456789ab.tmp`,
      `.a.json.${machine}-${process.pid}-0123456789ab.tmp`,
      `.a.json.00000000-${ended}-0123456789ab.tmp`,
      'a.json',
      '.notes.tmp',
    ];
    for (const name of names) await writeFile(join(dir, name), 'x');
    expect(await removeAbandonedTemporaries(dir)).toEqual([names[0]]);
    expect((await readdir(dir)).sort()).toEqual(names.slice(1).sort());
  });
});
