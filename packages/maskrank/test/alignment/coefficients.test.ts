import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bestCoefficients,
  bestFirst,
  rankingCoefficients,
  ratingCoefficients,
} from '../../src/alignment/coefficients.ts';

const betas = fc.record({
  beta1: fc.double({ min: 0.1, max: 5, noNaN: true }),
  beta2: fc.double({ min: 0, max: 5, noNaN: true }),
});
const orders = fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 });
const grades = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 4, maxLength: 4 });
const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);

describe('coefficients', () => {
  it('of an order are beta1, beta2, -beta2, -beta1 from best to worst', () => {
    fc.assert(
      fc.property(orders, betas, (order, b) => {
        const c = rankingCoefficients(order, b);
        expect(order.map((candidate) => c[candidate])).toEqual([b.beta1, b.beta2, -b.beta2, -b.beta1]);
      }),
    );
  });

  it('sum to zero, for any order and any grades', () => {
    fc.assert(
      fc.property(orders, grades, betas, (order, g, b) => {
        expect(sum(rankingCoefficients(order, b))).toBeCloseTo(0, 12);
        expect(sum(ratingCoefficients(g, b))).toBeCloseTo(0, 12);
      }),
    );
  });

  it('of the best alone set it against the others, who are all alike', () => {
    expect(bestCoefficients(2, { beta1: 3, beta2: 1 })).toEqual([-1, -1, 3, -1]);
  });

  it('reversing an order negates them', () => {
    fc.assert(
      fc.property(orders, betas, (order, b) => {
        const reversed = rankingCoefficients([...order].reverse(), b);
        expect(reversed.map((c) => -c)).toEqual(rankingCoefficients(order, b));
      }),
    );
  });

  it('of four different grades are those of their order', () => {
    fc.assert(
      fc.property(orders, betas, (order, b) => {
        const g = [0, 0, 0, 0];
        for (const [rank, candidate] of order.entries()) g[candidate] = 4 - rank;
        const ranked = rankingCoefficients(order, b);
        for (const [i, c] of ratingCoefficients(g, b).entries())
          expect(c).toBeCloseTo(ranked[i] as number, 12);
      }),
    );
  });

  it('equal grades get equal coefficients, and renaming the candidates renames them', () => {
    fc.assert(
      fc.property(grades, orders, betas, (g, renamed, b) => {
        const c = ratingCoefficients(g, b);
        for (let i = 0; i < 4; i++) for (let j = 0; j < 4; j++) if (g[i] === g[j]) expect(c[i]).toBe(c[j]);
        const moved = ratingCoefficients(
          renamed.map((i) => g[i] as number),
          b,
        );
        for (const [to, from] of renamed.entries()) expect(moved[to]).toBeCloseTo(c[from] as number, 12);
      }),
    );
  });

  it('a better grade never gets less, as long as beta1 is at least beta2', () => {
    fc.assert(
      fc.property(grades, betas, (g, { beta1, beta2 }) => {
        const c = ratingCoefficients(g, { beta1: beta1 + beta2, beta2 });
        for (let i = 0; i < 4; i++)
          for (let j = 0; j < 4; j++)
            if ((g[i] as number) > (g[j] as number)) expect(c[i]).toBeGreaterThanOrEqual(c[j] as number);
      }),
    );
  });

  it.each([
    [
      [4, 4, 2, 1],
      [0.75, 0.75, -0.5, -1],
    ],
    [
      [1, 3, 3, 4],
      [-1, 0, 0, 1],
    ],
    [
      [2, 2, 4, 4],
      [-0.75, -0.75, 0.75, 0.75],
    ],
    [
      [3, 3, 3, 3],
      [0, 0, 0, 0],
    ],
  ])('grades %j with beta 1 and 0.5 are %j', (g, expected) => {
    const got = ratingCoefficients(g, { beta1: 1, beta2: 0.5 });
    for (const [i, e] of expected.entries()) expect(got[i]).toBeCloseTo(e, 12);
  });

  it('bestFirst sorts downwards and keeps the order of equals', () => {
    expect(bestFirst([0.2, 0.9, 0.2, 0.5])).toEqual([1, 3, 0, 2]);
    expect(bestFirst([1, 1, 1, 1])).toEqual([0, 1, 2, 3]);
  });
});
