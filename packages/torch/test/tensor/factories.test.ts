import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  arange,
  EngineError,
  empty,
  emptyLike,
  eye,
  full,
  Generator,
  linspace,
  ones,
  onesLike,
  rand,
  randn,
  randperm,
  tensor,
  tidy,
  zeros,
  zerosLike,
} from '../../src/index.ts';
import { expectClose, numbers, thrown } from '../support/values.ts';

describe('factories', () => {
  it('filled ones', () => {
    tidy(() => {
      expectClose(zeros([2, 2]), [0, 0, 0, 0]);
      expectClose(ones([2]), [1, 1]);
      expectClose(full([3], 2.5), [2.5, 2.5, 2.5]);
      expectClose(eye(2), [1, 0, 0, 1]);
      expectClose(arange(1, 2, 0.25), [1, 1.25, 1.5, 1.75]);
      expectClose(arange(3, 0, -1, { dtype: 'int64' }), [3, 2, 1]);
      expectClose(linspace(0, 1, 5), [0, 0.25, 0.5, 0.75, 1]);
      expect(empty([2, 0]).numel).toBe(0);
      const like = zeros([2, 3], { dtype: 'float64' });
      for (const made of [zerosLike(like), onesLike(like), emptyLike(like)])
        expect([made.shape, made.dtype]).toEqual([[2, 3], 'float64']);
    });
  });

  it('take an element type and a device', () => {
    tidy(() => {
      for (const dtype of [
        'float32',
        'float64',
        'int64',
        'int32',
        'uint8',
        'bool',
        'float16',
        'bfloat16',
      ] as const)
        expect(ones([1], { dtype, device: 'cpu' }).dtype).toBe(dtype);
      expect(thrown(() => ones([1], { device: 'nowhere' }))).toBeInstanceOf(EngineError);
    });
  });

  it('tensor() takes nested lists of one shape', () => {
    tidy(() => {
      expect(tensor([[[1], [2]]]).shape).toEqual([1, 2, 1]);
      expect(tensor([]).shape).toEqual([0]);
      expect(tensor([[], []]).shape).toEqual([2, 0]);
      expect(numbers(tensor([1, 0, 3], { dtype: 'bool' }))).toEqual([1, 0, 1]);
      const ragged: unknown[] = [
        [[1, 2], [3]],
        [1, [2]],
        [[1], 2],
        [[], [1]],
      ];
      for (const lists of ragged) expect(thrown(() => tensor(lists as number[])).message).toContain('ragged');
    });
  });

  it('tensor() keeps every number of a list', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ noNaN: true }), { maxLength: 20 }), (list) => {
        tidy(() => expect(numbers(tensor(list, { dtype: 'float64' }))).toEqual(list));
      }),
      { numRuns: 30 },
    );
  });

  it('random ones follow their generator', () => {
    tidy(() => {
      const draw = (seed: number) => {
        const generator = Generator.seeded(seed);
        return [rand([50], { generator }), randn([50], { generator }), randperm(9, { generator })].map(
          numbers,
        );
      };
      expect(draw(1)).toEqual(draw(1));
      expect(draw(1)).not.toEqual(draw(2));
      const [uniform, , order] = draw(3);
      for (const u of uniform as number[]) {
        expect(u).toBeGreaterThanOrEqual(0);
        expect(u).toBeLessThan(1);
      }
      expect((order as number[]).toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
      expect(randperm(3).dtype).toBe('int64');
    });
  });
});
