import { mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DataError, UsageError } from '@maskrank/torch/errors';
import { beforeAll, describe, expect, it } from 'vitest';
import { resolveWeights, WeightStore } from '../../../src/models/weights/index.ts';
import { Lock } from '../../../src/run/lock.ts';
import { registration, temporaryFolder, writePth, writeSmall } from './support.ts';

const folder = temporaryFolder();
let pth: string;
let bytes: Buffer;
let small: string;
beforeAll(async () => {
  pth = folder.path('source.pth');
  bytes = writePth(pth);
  small = await writeSmall(folder.path('small.safetensors'));
});

let stores = 0;
const newStore = (changes = {}) =>
  new WeightStore({
    shipped: null,
    home: folder.path(`home${stores++}`),
    registered: [registration(bytes, changes)],
  });

describe('add', () => {
  it('copies a public file whose hash and network are the registered ones', async () => {
    const store = newStore();
    const { record, path, outcome } = await store.add('public', pth);
    expect(outcome).toBe('added');
    expect(readFileSync(path).equals(bytes)).toBe(true);
    expect(record).toMatchObject({ architecture: 'sam-med2d-tiny', bytes: bytes.length, origin: pth });
    expect(await store.verify('public')).toEqual({ name: 'public', path, problem: null });
    expect(await resolveWeights('public', store)).toBe(path);
    expect((await store.add('public', pth)).outcome).toBe('unchanged');
    expect(readdirSync(store.dir)).toEqual(['public']);
  });

  it('refuses a file that is not the public one, whatever it holds', async () => {
    const store = newStore();
    await expect(store.add('public', small)).rejects.toThrow(/SHA-256 is .*public public_0123\.pth is/);
    expect(await store.list()).toMatchObject([{ name: 'public', state: 'absent' }]);
  });

  it('without a known hash compares the network, and leaves nothing behind', async () => {
    const store = newStore({ sha256: null });
    const attempt = store.add('public', small);
    await expect(attempt).rejects.toBeInstanceOf(DataError);
    await expect(attempt).rejects.toThrow(/holds 64 px, .*; public has 256 px/);
    expect(readdirSync(store.dir)).toEqual([]);
    expect((await store.add('public', pth)).outcome).toBe('added');
  });

  it('takes own files of any network under new names, and another content only with replace', async () => {
    const store = newStore();
    const first = await store.add('own', small);
    expect(first.record.architecture).toBe('sam');
    const other = await writeSmall(folder.path('other.safetensors'), 2);
    await expect(store.add('own', other)).rejects.toBeInstanceOf(UsageError);
    await expect(store.add('own', other)).rejects.toThrow(/--replace/);
    const second = await store.add('own', other, { replace: true });
    expect(second.outcome).toBe('replaced');
    expect(readdirSync(store.folder('own')).sort()).toEqual([second.record.file, 'record.json'].sort());
    expect((await store.list()).map(({ name, state }) => [name, state])).toEqual([
      ['public', 'absent'],
      ['own', 'present'],
    ]);
  });

  it.each(['Big', 'a/b', '..', '.a', 'a.', 'x.pth', 'x'.repeat(65), ''])(
    'refuses the name %j',
    async (name) => {
      await expect(newStore().add(name, small)).rejects.toBeInstanceOf(UsageError);
    },
  );

  it('refuses files that are missing, of another kind, damaged or no SAM', async () => {
    const store = newStore();
    const damaged = folder.path('damaged.pth');
    writeFileSync(damaged, bytes);
    truncateSync(damaged, bytes.length - 1000);
    const flipped = folder.path('flipped.pth');
    const copy = Buffer.from(bytes);
    copy[copy.length >> 1]! ^= 1;
    writeFileSync(flipped, copy);
    for (const file of [folder.path('none.pth'), folder.path('x.onnx'), damaged, flipped])
      await expect(store.add('own', file), file).rejects.toBeInstanceOf(DataError);
    expect(readdirSync(store.dir)).toEqual([]);
  });

  it('lets only one command at a name', async () => {
    const store = newStore();
    mkdirSync(store.dir, { recursive: true });
    const lock = Lock.acquire(join(store.dir, '.own.lock'), { command: 'maskrank weights pull own' });
    await expect(store.add('own', small)).rejects.toThrow(/another command is at work .*weights pull own/);
    lock.release();
  });
});

describe('damage', () => {
  it('is found by the list where sizes differ, by verify where a byte does, and mended by adding again', async () => {
    const store = newStore();
    const { path } = await store.add('public', pth);
    const copy = readFileSync(path);
    copy[1000]! ^= 1;
    writeFileSync(path, copy);
    expect(await store.list()).toMatchObject([{ state: 'present' }]);
    expect((await store.verify('public')).problem).toMatch(/SHA-256 is .*weights pull public/);
    truncateSync(path, 10);
    expect(await store.list()).toMatchObject([
      { state: 'damaged', problem: expect.stringMatching(/has 10 bytes/) },
    ]);
    await expect(resolveWeights('public', store)).rejects.toBeInstanceOf(DataError);
    expect((await store.add('public', pth)).outcome).toBe('added');
    expect((await store.verify('public')).problem).toBeNull();
  });

  it('of a record is one line of the list', async () => {
    const store = newStore();
    await store.add('own', small);
    writeFileSync(join(store.folder('own'), 'record.json'), '{');
    expect((await store.list())[1]).toMatchObject({ name: 'own', state: 'damaged' });
    expect((await store.verify('own')).problem).toMatch(/not valid JSON/);
  });
});

describe('resolveWeights', () => {
  it('leaves paths alone, and says for names what to do', async () => {
    const store = newStore();
    expect(await resolveWeights('a/b', store)).toBe('a/b');
    expect(await resolveWeights('b.pth', store)).toBe('b.pth');
    await expect(resolveWeights('publik', store)).rejects.toThrow(
      /no weights are named 'publik'\. Did you mean "public"/,
    );
    await expect(resolveWeights('public', store)).rejects.toThrow(
      /not on this machine .*weights pull public/,
    );
    const manual = newStore({ url: null });
    await expect(resolveWeights('public', manual)).rejects.toThrow(/links on https:.*weights add public/);
  });
});
