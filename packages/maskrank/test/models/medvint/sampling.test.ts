import { UsageError } from '@maskrank/torch/errors';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { candidates, likeliest, sample } from '../../../src/models/medvint/index.ts';
import { Random } from '../../../src/util/random.ts';

/** Logits of the probabilities 0.1, 0.4, 0.2, 0.3. */
const LOGITS = Float32Array.of(0.1, 0.4, 0.2, 0.3).map(Math.log);
const rounded = (options: Parameters<typeof candidates>[1]) =>
  candidates(LOGITS, options).map(({ id, probability }) => [id, Number(probability.toFixed(4))]);

describe('choosing a token', () => {
  it('takes the likeliest, the smaller id among equals', () => {
    expect(likeliest(LOGITS)).toBe(1);
    expect(likeliest(Float32Array.of(1, 3, 3))).toBe(1);
  });

  it('cuts as a person would', () => {
    expect(rounded({})).toEqual([
      [1, 0.4],
      [3, 0.3],
      [2, 0.2],
      [0, 0.1],
    ]);
    expect(rounded({ topK: 2 })).toEqual([
      [1, 0.5714],
      [3, 0.4286],
    ]);
    // 0.4 + 0.3 is less than 0.75, with 0.2 it is more.
    expect(rounded({ topP: 0.75 }).map(([id]) => id)).toEqual([1, 3, 2]);
    expect(rounded({ topP: 0.01 })).toEqual([[1, 1]]);
    // Of the two that are left, the first has 0.57.
    expect(rounded({ topK: 2, topP: 0.5 })).toEqual([[1, 1]]);
    // Half the temperature squares the probabilities: 0.16 and 0.09.
    expect(rounded({ temperature: 0.5, topK: 2 })[0]).toEqual([1, 0.64]);
  });

  it('draws each as often as its probability says, and nothing that was cut', () => {
    const random = new Random(5);
    const counts = [0, 0, 0, 0];
    for (let i = 0; i < 4000; i++) counts[sample(LOGITS, { topK: 3, random })]!++;
    expect(counts[0]).toBe(0);
    for (const [id, share] of [
      [1, 4 / 9],
      [3, 3 / 9],
      [2, 2 / 9],
    ] as const)
      expect(Math.abs(counts[id]! / 4000 - share)).toBeLessThan(0.03);
  });

  it('is the same for the same stream, and almost greedy when cold', () => {
    fc.assert(
      fc.property(fc.array(fc.float({ noNaN: true, min: -20, max: 20 }), { minLength: 1 }), (values) => {
        const logits = Float32Array.from(values);
        const draw = () => sample(logits, { topP: 0.9, topK: 5, random: new Random(1) });
        expect(draw()).toBe(draw());
        expect(sample(logits, { topK: 1, random: new Random(2) })).toBe(likeliest(logits));
        const all = candidates(logits, { topP: 0.5 });
        const total = all.reduce((sum, { probability }) => sum + probability, 0);
        expect(total).toBeCloseTo(1, 10);
      }),
    );
  });

  it('refuses numbers that mean nothing, all at once', () => {
    const draw = () => candidates(LOGITS, { temperature: 0, topK: 0.5, topP: 2 });
    expect(draw).toThrow(UsageError);
    expect(draw).toThrow(/temperature 0, .*topK 0.5, .*topP 2/);
  });
});
