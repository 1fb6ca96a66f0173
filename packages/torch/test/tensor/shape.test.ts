import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arange, cat, EngineError, eye, stack, type Tensor, tensor, tidy, where } from '../../src/index.ts';
import { expectGradients, values } from '../support/gradients.ts';
import { expectClose, numbers, thrown } from '../support/values.ts';

const six = (): Tensor => arange(0, 6).reshape([2, 3]); // rows [0, 1, 2], [3, 4, 5]

type Case = readonly [(x: Tensor) => Tensor, shape: readonly number[], expected: readonly number[]];
const CASES: Readonly<Record<string, Case>> = {
  reshape: [(x) => x.reshape([3, -1]), [3, 2], [0, 1, 2, 3, 4, 5]],
  view: [(x) => x.view([6]), [6], [0, 1, 2, 3, 4, 5]],
  flatten: [(x) => x.unsqueeze(0).flatten(1), [1, 6], [0, 1, 2, 3, 4, 5]],
  transpose: [(x) => x.transpose(0, 1), [3, 2], [0, 3, 1, 4, 2, 5]],
  t: [(x) => x.t(), [3, 2], [0, 3, 1, 4, 2, 5]],
  permute: [(x) => x.unsqueeze(0).permute([2, 0, 1]), [3, 1, 2], [0, 3, 1, 4, 2, 5]],
  squeeze: [(x) => x.view([1, 6, 1]).squeeze(), [6], [0, 1, 2, 3, 4, 5]],
  'squeeze one': [(x) => x.view([1, 6, 1]).squeeze(-1), [1, 6], [0, 1, 2, 3, 4, 5]],
  unsqueeze: [(x) => x.unsqueeze(-1), [2, 3, 1], [0, 1, 2, 3, 4, 5]],
  expand: [(x) => x.slice(0, 0, 1).expand([2, 3]), [2, 3], [0, 1, 2, 0, 1, 2]],
  repeat: [(x) => x.select(0, 1).repeat([2]), [6], [3, 4, 5, 3, 4, 5]],
  repeatInterleave: [(x) => x.select(0, 1).repeatInterleave(2, 0), [6], [3, 3, 4, 4, 5, 5]],
  flip: [(x) => x.flip([1]), [2, 3], [2, 1, 0, 5, 4, 3]],
  'split, the last': [(x) => x.split(2, 1)[1] as Tensor, [2, 1], [2, 5]],
  'chunk, the first': [(x) => x.chunk(2, 1)[0] as Tensor, [2, 2], [0, 1, 3, 4]],
  'unbind, the second': [(x) => x.unbind(1)[1] as Tensor, [2], [1, 4]],
  select: [(x) => x.select(1, -1), [2], [2, 5]],
  slice: [(x) => x.slice(1, 1), [2, 2], [1, 2, 4, 5]],
  'slice with a step': [(x) => x.slice(1, 0, null, 2), [2, 2], [0, 2, 3, 5]],
  'slice from the end': [(x) => x.slice(1, -2, -1), [2, 1], [1, 4]],
  indexSelect: [(x) => x.indexSelect(1, tensor([2, 0], { dtype: 'int64' })), [2, 2], [2, 0, 5, 3]],
  gather: [(x) => x.gather(1, tensor([[2], [0]], { dtype: 'int64' })), [2, 1], [2, 3]],
  index: [
    (x) => x.index([tensor([0, 1], { dtype: 'int64' }), tensor([1, 2], { dtype: 'int64' })]),
    [2],
    [1, 5],
  ],
  'index with everything': [(x) => x.index([null, tensor([1], { dtype: 'int64' })]), [2, 1], [1, 4]],
  clone: [(x) => x.clone(), [2, 3], [0, 1, 2, 3, 4, 5]],
  contiguous: [(x) => x.t().contiguous(), [3, 2], [0, 3, 1, 4, 2, 5]],
  cat: [(x) => cat([x, x.neg()], 1), [2, 6], [0, 1, 2, -0, -1, -2, 3, 4, 5, -3, -4, -5]],
  stack: [(x) => stack([x.select(0, 0), x.select(0, 1)], 1), [3, 2], [0, 3, 1, 4, 2, 5]],
  where: [(x) => where(x.gt(2), x, x.mul(-1)), [2, 3], [0, -1, -2, 3, 4, 5]],
};

describe('shapes and picking', () => {
  it.each(Object.entries(CASES))('%s', (_, [method, shape, expected]) => {
    tidy(() => {
      const result = method(six());
      expect(result.shape).toEqual(shape);
      expectClose(result, expected);
      expectGradients(method, [values([2, 3], 2.1, 4)]);
    });
  });

  it('split, chunk and unbind give all parts', () => {
    tidy(() => {
      expect(
        six()
          .split(2, 1)
          .map((t) => t.shape),
      ).toEqual([
        [2, 2],
        [2, 1],
      ]);
      expect(
        six()
          .chunk(3, 1)
          .map((t) => t.shape),
      ).toEqual([
        [2, 1],
        [2, 1],
        [2, 1],
      ]);
      expect(six().unbind().map(numbers)).toEqual([
        [0, 1, 2],
        [3, 4, 5],
      ]);
    });
  });

  it('any permutation is undone by its inverse', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 }), (order) => {
        tidy(() => {
          const x = arange(0, 120).reshape([2, 3, 4, 5]);
          const back = order.map((_, i) => order.indexOf(i));
          const moved = x.permute(order);
          expect(moved.shape).toEqual(order.map((d) => [2, 3, 4, 5][d]));
          expect(numbers(moved.permute(back))).toEqual(numbers(x));
        });
      }),
      { numRuns: 15 },
    );
  });

  it('views share memory, clones do not', () => {
    tidy(() => {
      const x = six();
      const [view, copy] = [x.view([6]), x.clone()];
      x.fill_(9);
      expect(numbers(view)).toEqual(Array(6).fill(9));
      expect(numbers(copy)).toEqual([0, 1, 2, 3, 4, 5]);
    });
  });

  it('contiguous memory formats', () => {
    tidy(() => {
      const x = arange(0, 16).reshape([1, 2, 2, 4]);
      expect(numbers(x.contiguous('channelsLast'))).toEqual(numbers(x));
      expect(thrown(() => x.contiguous('sideways' as 'contiguous')).message).toContain('a memory format');
    });
  });

  it('facts of a tensor', () => {
    tidy(() => {
      const x = six();
      expect([x.shape, x.dtype, x.device, x.ndim, x.numel]).toEqual([[2, 3], 'float32', 'cpu', 2, 6]);
      expect([x.size(0), x.size(-1)]).toEqual([2, 3]);
      expect(tensor(5).shape).toEqual([]);
      expect(tensor(5).numel).toBe(1);
      expect(thrown(() => x.size(2))).toBeInstanceOf(EngineError);
    });
  });
});

describe('products of matrices', () => {
  it('matmul, bmm', () => {
    tidy(() => {
      const a = tensor([
        [1, 2],
        [3, 4],
      ]);
      expectClose(a.matmul(a), [7, 10, 15, 22]);
      expectClose(a.matmul(eye(2)), [1, 2, 3, 4]);
      expectClose(a.unsqueeze(0).bmm(a.t().unsqueeze(0)), [5, 11, 11, 25]);
      expectGradients((x, y) => x.matmul(y), [values([2, 3]), values([3, 4])]);
      expectGradients((x, y) => x.matmul(y), [values([2, 2, 3]), values([3])]);
      expectGradients((x, y) => x.bmm(y), [values([2, 2, 3]), values([2, 3, 1])]);
    });
  });
});
