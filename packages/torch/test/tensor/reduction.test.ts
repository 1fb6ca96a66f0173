import { describe, expect, it } from 'vitest';
import { type Tensor, tensor, tidy } from '../../src/index.ts';
import { expectGradients, values } from '../support/gradients.ts';
import { expectClose, numbers } from '../support/values.ts';

// x [2, 3]: rows [1, 5, 3], [4, 2, 6]
const sample = (): Tensor =>
  tensor(
    [
      [1, 5, 3],
      [4, 2, 6],
    ],
    { dtype: 'float64' },
  );

type Case = readonly [(x: Tensor) => Tensor, shape: readonly number[], expected: readonly number[]];
const CASES: Readonly<Record<string, Case>> = {
  sum: [(x) => x.sum(), [], [21]],
  'sum of a dimension': [(x) => x.sum(0), [3], [5, 7, 9]],
  'sum of dimensions, kept': [(x) => x.sum([0, 1], true), [1, 1], [21]],
  mean: [(x) => x.mean(), [], [3.5]],
  'mean of a dimension, kept': [(x) => x.mean(-1, true), [2, 1], [3, 4]],
  'variance of n - 1': [(x) => x.var(1), [2], [4, 4]],
  'variance of n': [(x) => x.var([1], { unbiased: false, keepdim: true }), [2, 1], [8 / 3, 8 / 3]],
  amax: [(x) => x.amax(1), [2], [5, 6]],
  'amax of all': [(x) => x.amax(), [], [6]],
  amin: [(x) => x.amin([0], true), [1, 3], [1, 2, 3]],
  max: [(x) => x.max(1)[0], [2], [5, 6]],
  min: [(x) => x.min(0)[0], [3], [1, 2, 3]],
  'norm, 2': [(x) => x.norm(), [], [Math.sqrt(91)]],
  'norm, 1': [(x) => x.norm(1), [], [21]],
  cumsum: [(x) => x.cumsum(1), [2, 3], [1, 6, 9, 4, 6, 12]],
  sorted: [(x) => x.sort(1)[0], [2, 3], [1, 3, 5, 2, 4, 6]],
  'sorted downwards': [(x) => x.sort(1, true)[0], [2, 3], [5, 3, 1, 6, 4, 2]],
  'top 2': [(x) => x.topk(2)[0], [2, 2], [5, 3, 6, 4]],
  'bottom 1': [(x) => x.topk(1, 0, false)[0], [1, 3], [1, 2, 3]],
  softmax: [(x) => x.mul(0).softmax(1), [2, 3], Array<number>(6).fill(1 / 3)],
  logSoftmax: [(x) => x.mul(0).logSoftmax(0), [2, 3], Array<number>(6).fill(-Math.log(2))],
};

describe('reductions', () => {
  it.each(Object.entries(CASES))('%s', (_, [method, shape, expected]) => {
    tidy(() => {
      const result = method(sample());
      expect(result.shape).toEqual(shape);
      expectClose(result, expected, 1e-12);
      expectGradients(method, [values([2, 3], -2, 2)]);
    });
  });

  it('softmax of given logits', () => {
    tidy(() => {
      const [a, b] = [Math.exp(1), Math.exp(2)];
      expectClose(tensor([1, 2]).softmax(-1), [a / (a + b), b / (a + b)], 1e-6);
      expectGradients((x) => x.softmax(0), [values([3, 2])]);
      expectGradients((x) => x.logSoftmax(-1), [values([3, 2])]);
    });
  });

  it('positions of what was found are int64', () => {
    tidy(() => {
      const x = sample();
      for (const [found, expected] of [
        [x.max(1)[1], [1, 2]],
        [x.min(1)[1], [0, 1]],
        [x.argmax(1), [1, 2]],
        [x.argmax(), [5]],
        [x.topk(2)[1], [1, 2, 2, 0]],
        [x.sort(1)[1], [0, 2, 1, 1, 0, 2]],
      ] as const) {
        expect(found.dtype).toBe('int64');
        expect(numbers(found)).toEqual(expected);
      }
      expect(x.argmax(1, true).shape).toEqual([2, 1]);
    });
  });
});
