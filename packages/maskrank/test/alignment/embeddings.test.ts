import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromTypedArray, memory, noGrad, stack, tidy } from '@maskrank/torch';
import { DataError } from '@maskrank/torch/errors';
import { afterAll, describe, expect, it } from 'vitest';
import { LiveEmbeddings } from '../../src/alignment/embedding-source.ts';
import { EmbeddingCache, type EmbedOptions, networkInput } from '../../src/alignment/embeddings.ts';
import { CANVAS, toyDataset, toyImage } from '../training/toy.ts';
import { never, SIDE, TOY_CONFIG, toySam } from './toy.ts';

const dir = mkdtempSync(join(tmpdir(), 'maskrank-embeddings-'));
afterAll(() => rmSync(dir, { recursive: true }));
let files = 0;

const sam = toySam();
const ids = ['a', 'b', 'c', 'd', 'e'];
const header = { schemaVersion: 1, configHash: 'c0', madeFrom: { 'checkpoint stage1': 's0', dataset: 'd0' } };
const fileAt = (path: string, change: object = {}) => ({
  path,
  header: { ...header, ...change },
  rerun: 'maskrank align',
});
const fresh = () => fileAt(join(dir, 'cache', `${files++}.safetensors`));

function setting(change: Partial<EmbedOptions> = {}) {
  const dataset = toyDataset(50); // smaller than the canvas: stretched
  const options: EmbedOptions = {
    sam,
    dataset,
    canvas: CANVAS,
    device: 'cpu',
    batchSize: 2,
    signal: never,
    ...change,
  };
  return { dataset, options, cases: (some: readonly string[] = ids) => dataset.unlabelled(some) };
}

const values = (cache: EmbeddingCache, some: readonly string[] = ids): number[] =>
  tidy(() => {
    const tensor = cache.tensor(some, 'cpu');
    expect(tensor.shape).toEqual([some.length, TOY_CONFIG.embedDim, SIDE / 16, SIDE / 16]);
    return [...tensor.toFloat32Array()];
  });

describe('EmbeddingCache', () => {
  it('holds what the encoder gives for the image on the canvas, in the order asked for', async () => {
    const { options, cases } = setting();
    const cache = await EmbeddingCache.build(cases(), options, null);
    const direct = tidy(() =>
      noGrad(() => {
        const inputs = ['d', 'a'].map((id) => networkInput(toyImage(id, 50), CANVAS).data);
        return inputs.flatMap((data) => [
          ...sam.embed(fromTypedArray(data, [1, 3, SIDE, SIDE])).toFloat32Array(),
        ]);
      }),
    );
    expect(values(cache, ['d', 'a'])).toEqual(direct);
    expect(cache.geometry('a')).toEqual(networkInput(toyImage('a', 50), CANVAS).geometry);
  });

  it('does not depend on the batch that a case was embedded in', async () => {
    const build = async (batchSize: number) => {
      const { options, cases } = setting({ batchSize });
      return values(await EmbeddingCache.build(cases(), options, null));
    };
    expect(await build(1)).toEqual(await build(5));
  });

  it('is read back exactly, without decoding an image; only what is missing is embedded', async () => {
    const file = fresh();
    const first = setting();
    const made = values(await EmbeddingCache.build(first.cases(['a', 'b']), first.options, file), ['a', 'b']);
    const second = setting();
    const read = await EmbeddingCache.build(second.cases(['b', 'a']), second.options, file);
    expect(second.dataset.loads).toEqual([]);
    expect(values(read, ['a', 'b'])).toEqual(made);
    const third = setting();
    const grown = await EmbeddingCache.build(third.cases(), third.options, file);
    expect(third.dataset.loads.sort()).toEqual(['c', 'd', 'e']);
    expect(values(grown, ['a', 'b'])).toEqual(made);
    const fourth = setting();
    await EmbeddingCache.build(fourth.cases(), fourth.options, file);
    expect(fourth.dataset.loads).toEqual([]);
  });

  it('keeps the cases of the file that are not asked for when others are added', async () => {
    const file = fresh();
    const first = setting();
    const made = values(await EmbeddingCache.build(first.cases(['a', 'b']), first.options, file), ['a', 'b']);
    const second = setting();
    await EmbeddingCache.build(second.cases(['c', 'b']), second.options, file);
    expect(second.dataset.loads).toEqual(['c']);
    const third = setting();
    const all = await EmbeddingCache.build(third.cases(['a', 'b', 'c']), third.options, file);
    expect(third.dataset.loads).toEqual([]);
    expect(values(all, ['a', 'b'])).toEqual(made);
    expect(all.geometry('a')).toEqual(networkInput(toyImage('a', 50), CANVAS).geometry);
  });

  it('of another checkpoint or dataset is refused; the configuration alone does not matter', async () => {
    const file = fresh();
    const { options, cases } = setting();
    await EmbeddingCache.build(cases(['a']), options, file);
    const stale = fileAt(file.path, { madeFrom: { ...header.madeFrom, 'checkpoint stage1': 's1' } });
    const build = EmbeddingCache.build(cases(['a']), options, stale);
    await expect(build).rejects.toThrow(DataError);
    await expect(EmbeddingCache.build(cases(['a']), options, stale)).rejects.toThrow(
      /made from checkpoint stage1 s0, now it is s1.*Make it anew: maskrank align/,
    );
    await EmbeddingCache.build(cases(['a']), options, fileAt(file.path, { configHash: 'c1' }));
  });

  it('stopped in between, writes nothing and leaves no tensor', async () => {
    const file = fresh();
    const controller = new AbortController();
    const { options, cases } = setting({
      signal: controller.signal,
      onProgress: (done) => done === 2 && controller.abort(new Error('enough')),
    });
    const before = memory().tensors;
    await expect(EmbeddingCache.build(cases(), options, file)).rejects.toThrow('enough');
    expect(memory().tensors).toBe(before);
    expect(() => readFileSync(file.path)).toThrow(/ENOENT/);
  });

  it('says which case it does not have', async () => {
    const { options, cases } = setting();
    const cache = await EmbeddingCache.build(cases(['a']), options, null);
    expect(() => tidy(() => cache.tensor(['a', 'z'], 'cpu'))).toThrow(
      /case z: its embedding was not computed/,
    );
    expect(() => cache.geometry('z')).toThrow(DataError);
  });
});

describe('LiveEmbeddings', () => {
  it('give what the cache holds, with gradients to the encoder', () => {
    const inputs = new Map(ids.map((id) => [id, networkInput(toyImage(id, 50), CANVAS).data]));
    const live = new LiveEmbeddings(sam, inputs);
    tidy(() => {
      const images = stack(
        ['b', 'e'].map((id) => fromTypedArray(inputs.get(id) as Float32Array<ArrayBuffer>, [3, SIDE, SIDE])),
      );
      const embedded = live.tensor(['b', 'e'], 'cpu');
      expect(embedded.toFloat32Array()).toEqual(sam.embed(images).toFloat32Array());
      expect(embedded.requiresGrad).toBe(true);
      expect(noGrad(() => live.tensor(['b'], 'cpu')).requiresGrad).toBe(false);
    });
  });
});
