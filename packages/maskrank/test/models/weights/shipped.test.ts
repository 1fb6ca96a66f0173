// Weights that come with maskrank: found without a store, checked on use, and nobody's to replace.

import { writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { pullWeights, resolveWeights, WeightStore } from '../../../src/models/weights/index.ts';
import { temporaryFolder, writeSmall } from './support.ts';

const folder = temporaryFolder();

/** A folder of shipped weights with one name, made as it is made for a release: by a store that is this folder. */
async function ship(where: string): Promise<{ store: WeightStore; shipped: string; path: string }> {
  const home = folder.path(where);
  const maker = new WeightStore({ home, shipped: `${home}/weights` });
  const { path } = await maker.add('tiny', await writeSmall(folder.path(`${where}.safetensors`)));
  const shipped = `${home}/weights`;
  return { store: new WeightStore({ home: folder.path(`${where}-store`), shipped }), shipped, path };
}

describe('shipped weights', () => {
  it('are found by name, listed first, and say that they come with maskrank', async () => {
    const { store, path } = await ship('a');
    expect(store.isShipped('tiny')).toBe(true);
    expect(await resolveWeights('tiny', store)).toBe(path);
    expect((await store.list())[0]).toMatchObject({
      name: 'tiny',
      shipped: true,
      state: 'present',
      family: 'sam',
      licence: 'Apache-2.0',
      path,
    });
    expect(await store.verify('tiny')).toEqual({ name: 'tiny', path, problem: null });
  });

  it('are refused with a remedy when a byte of them changed', async () => {
    const { store, path } = await ship('b');
    writeFileSync(path, Buffer.alloc(1000));
    await expect(resolveWeights('tiny', store)).rejects.toThrow(/has 1000 bytes.*install maskrank again/);
    expect((await store.verify('tiny')).problem).toMatch(/install maskrank again/);
  });

  it('are neither replaced nor pulled', async () => {
    const { store } = await ship('c');
    const other = await writeSmall(folder.path('other.safetensors'), 2);
    for (const change of [store.add('tiny', other, { replace: true }), pullWeights(store, 'tiny')])
      await expect(change).rejects.toThrow(/tiny come with maskrank and are here already .* name of its own/);
  });

  it('need not be there', async () => {
    const store = new WeightStore({ home: folder.path('d'), shipped: null });
    expect(store.isShipped('tiny')).toBe(false);
    await expect(resolveWeights('tiny', store)).rejects.toThrow(/no weights are named 'tiny'/);
  });
});
