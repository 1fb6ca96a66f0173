import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataError } from '@maskrank/torch/errors';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Image } from '../../../src/imaging/types.ts';
import { clipFingerprint } from '../../../src/models/clip/index.ts';
import {
  ImageSaliency,
  SaliencyCache,
  type SaliencyIdentity,
  type SaliencyOptions,
  saliencyKey,
} from '../../../src/prompting/saliency/index.ts';
import { SMALL, smallClip, unitVector } from '../../models/clip/small.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'saliency-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

const image: Image = {
  width: 30,
  height: 20,
  channels: 1,
  data: Uint8Array.from({ length: 600 }, (_, i) => (i * 37) % 251),
};
const text = unitVector(SMALL.embedDim);

describe('keys', () => {
  const identity: SaliencyIdentity = { model: 'a', image, text, options: { k: 3, method: 'gscorecam' } };
  it('depend on everything that a map depends on, and not on the order of options', () => {
    const same = saliencyKey({ ...identity, options: { method: 'gscorecam', k: 3 } });
    expect(saliencyKey(identity)).toBe(same);
    const moved = text.slice();
    moved[0] = 0;
    const others: SaliencyIdentity[] = [
      { ...identity, model: 'b' },
      { ...identity, text: moved },
      { ...identity, options: { ...identity.options, k: 4 } },
      { ...identity, image: { ...image, width: 20, height: 30 } },
      { ...identity, image: { ...image, data: image.data.map((v) => 255 - v) } },
    ];
    expect(new Set([same, ...others.map(saliencyKey)]).size).toBe(1 + others.length);
  });
});

describe('the fingerprint of a network', () => {
  it('follows its weights, not its name', () => {
    const [a, b, other] = [smallClip(SMALL, 1), smallClip({ ...SMALL, name: 'b' }, 1), smallClip(SMALL, 2)];
    expect(clipFingerprint(a)).toBe(clipFingerprint(b));
    expect(clipFingerprint(a)).not.toBe(clipFingerprint(other));
    for (const model of [a, b, other]) model.dispose();
  });
});

describe('kept maps', () => {
  it('come back bit for bit without the network', async () => {
    const model = smallClip();
    const store = new SaliencyCache(join(dir, 'maps'));
    const options: SaliencyOptions = { k: 4, cache: { store, model: clipFingerprint(model) } };
    const first = await new ImageSaliency(model, image, options).map(text);
    model.encodeImage = () => {
      throw new Error('asked again');
    };
    const again = await new ImageSaliency(model, image, { ...options, batch: 3 }).map(text);
    expect(again.map).toEqual(first.map);
    expect([first.channels === null, again.channels]).toEqual([false, null]);
    await expect(new ImageSaliency(model, image, { ...options, k: 5 }).map(text)).rejects.toThrow(
      'asked again',
    );
    model.dispose();
  });

  it('that are damaged are refused with the file that is to be deleted', async () => {
    const store = new SaliencyCache(join(dir, 'damaged'));
    const key = saliencyKey({ model: 'a', image, text, options: {} });
    expect(await store.get(key)).toBeNull();
    await store.put(key, { grid: { width: 2, height: 1, data: Float32Array.of(0.1, 2) }, warnings: ['w'] });
    expect(await store.get(key)).toEqual({
      grid: { width: 2, height: 1, data: Float32Array.of(0.1, 2) },
      warnings: ['w'],
    });
    const folder = join(dir, 'damaged', key.slice(0, 2));
    expect(readdirSync(folder)).toEqual([`${key}.json`]);
    for (const content of ['{', '{"schemaVersion":1,"width":2,"height":2,"data":[1],"warnings":[]}']) {
      writeFileSync(join(folder, `${key}.json`), content);
      await expect(store.get(key)).rejects.toThrow(DataError);
      await expect(store.get(key)).rejects.toThrow('Delete the file');
    }
  });
});
