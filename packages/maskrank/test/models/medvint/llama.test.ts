import { cat, Generator, memory, noGrad, randn, type Tensor, tidy } from '@maskrank/torch';
import { EngineError, UsageError } from '@maskrank/torch/errors';
import { afterAll, describe, expect, it } from 'vitest';
import { generate, type Llama, likeliest } from '../../../src/models/medvint/index.ts';
import { rotate, rotation } from '../../../src/models/medvint/rotary.ts';
import { Random } from '../../../src/util/random.ts';
import { distance, randomIds, TINY, tinyMedvint } from './support.ts';

const generator = Generator.seeded(6);
const network = tinyMedvint();
const llama = network.llamacasual;
afterAll(() => network.dispose());

const run = <T>(body: () => T): T => noGrad(() => tidy(body));
const prompt = (length: number, seed = 1): Tensor => run(() => llama.embed(randomIds(length, seed)));

async function collect(ids: AsyncGenerator<number, string, void>): Promise<[number[], string]> {
  const all: number[] = [];
  for (;;) {
    const { value, done } = await ids.next();
    if (done) return [all, value];
    all.push(value);
  }
}

describe('rotary positions', () => {
  it('turn channels i and i + d/2 by the position times a wavelength; products depend on distances only', () => {
    run(() => {
      const like = { dtype: 'float64', device: 'cpu' } as const;
      const x = randn([1, 1, 1, 4], { generator, dtype: 'float64' });
      const [a, , c] = x.toTypedArray() as Float64Array;
      const turned = rotate(x, rotation(3, 1, 4, 10000, like)).toTypedArray() as Float64Array;
      expect(turned[0]).toBeCloseTo(a! * Math.cos(3) - c! * Math.sin(3), 12);
      expect(turned[2]).toBeCloseTo(c! * Math.cos(3) + a! * Math.sin(3), 12);
      const y = randn([1, 1, 1, 4], { generator, dtype: 'float64' });
      const product = (i: number, j: number) =>
        rotate(x, rotation(i, 1, 4, 10000, like))
          .mul(rotate(y, rotation(j, 1, 4, 10000, like)))
          .sum()
          .item();
      expect(product(7, 2)).toBeCloseTo(product(105, 100), 10);
      expect(distance(rotate(x, rotation(0, 1, 4, 10000, like)), x)).toBe(0);
    });
  });
});

describe('LLaMA', () => {
  it('does not look ahead', () => {
    run(() => {
      const ids = randomIds(7, 1);
      const [a, b] = [
        llama.embed(ids),
        cat([llama.embed(ids).slice(1, 0, 5), llama.embed(randomIds(2, 9))], 1),
      ];
      const [fa, fb] = [llama.features(a), llama.features(b)];
      expect(distance(fa.slice(1, 0, 5), fb.slice(1, 0, 5))).toBeLessThan(1e-6);
      expect(distance(fa.slice(1, 5), fb.slice(1, 5))).toBeGreaterThan(1e-3);
    });
  });

  it.each([[[9, 1, 1, 1]], [[4, 4, 4]], [[1, 11]], [[12]]])(
    'with a cache in passes of %s is the whole',
    (sizes) => {
      run(() => {
        const embeddings = llama.embed(randomIds(12, 2, 2));
        const whole = llama.logits(llama.features(embeddings));
        using cache = llama.newCache(2, 12);
        let start = 0;
        const parts = sizes.map((size) => {
          start += size;
          return llama.features(embeddings.slice(1, start - size, start), cache);
        });
        expect(cache.length).toBe(12);
        expect(distance(llama.logits(cat(parts, 1)), whole)).toBeLessThan(2e-6);
        expect(() => llama.features(embeddings.slice(1, 0, 1), cache)).toThrow('allowed 12 together');
      });
    },
  );

  it('refuses more tokens than it can place', () => {
    const { maxPositions } = TINY.llama;
    run(() => {
      expect(() => llama.features(randn([1, maxPositions + 1, TINY.llama.dim]))).toThrow(
        `${maxPositions + 1} tokens, allowed ${maxPositions}`,
      );
    });
  });
});

describe('generating', () => {
  const options = { maxNewTokens: 8, stopIds: [] };

  it('greedily follows the largest logits of the whole text, token by token', async () => {
    const start = prompt(5);
    const [ids, ended] = await collect(generate(llama, start, options));
    expect(ended).toBe('length');
    const expected: number[] = [];
    run(() => {
      let text: Tensor = start;
      for (let i = 0; i < 8; i++) {
        const id = likeliest(llama.logits(llama.features(text).slice(1, -1)).toFloat32Array());
        expected.push(id);
        text = cat([text, llama.model.embed_tokens.weight.slice(0, id, id + 1).unsqueeze(0)], 1);
      }
    });
    expect(ids).toEqual(expected);
    start.dispose();
  });

  it('ends at a stop id, which it keeps to itself', async () => {
    const start = prompt(5);
    const [all] = await collect(generate(llama, start, options));
    const stop = all[3] as number;
    const [ids, ended] = await collect(generate(llama, start, { ...options, stopIds: [stop] }));
    expect([ids, ended]).toEqual([all.slice(0, all.indexOf(stop)), 'stopped']);
    start.dispose();
  });

  it('draws the same from the same stream and something else from another', async () => {
    const start = prompt(5);
    const draw = async (seed: number) => {
      const sampling = { temperature: 1.5, random: new Random(seed) };
      return (await collect(generate(llama, start, { ...options, sampling })))[0];
    };
    const [a, b, c] = [await draw(1), await draw(1), await draw(2)];
    expect(a).toEqual(b);
    expect(a).not.toEqual(c);
    start.dispose();
  });

  it('leaves no tensors behind, also when left early, ended by a signal or refused', async () => {
    const start = prompt(5);
    const before = memory().tensors;
    await collect(generate(llama, start, options));
    for await (const _ of generate(llama, start, options)) break;
    const controller = new AbortController();
    const ids = generate(llama, start, { ...options, signal: controller.signal });
    await ids.next();
    controller.abort();
    await expect(ids.next()).rejects.toThrow(/abort/i);
    await expect(generate(llama, start, { ...options, maxNewTokens: 300 }).next()).rejects.toThrow(
      UsageError,
    );
    await expect(generate(llama, start, { ...options, maxNewTokens: 0 }).next()).rejects.toThrow(UsageError);
    expect(memory().tensors).toBe(before);
    start.dispose();
  });

  it('says so when the logits are no numbers', async () => {
    const start = run(() => llama.embed(randomIds(3)).mul(Number.NaN));
    await expect(generate(llama as Llama, start, options).next()).rejects.toThrow(EngineError);
    start.dispose();
  });
});
