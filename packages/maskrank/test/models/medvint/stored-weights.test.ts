import { fromTypedArray, Generator, grad, randn, type Tensor, tidy } from '@maskrank/torch';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  quantiseRows,
  StoredEmbedding,
  StoredLinear,
  WEIGHT_STORAGES,
} from '../../../src/models/medvint/index.ts';
import { distance, randomIds } from './support.ts';

const generator = Generator.seeded(4);

/** How far a stored weight may be off, relative to the largest of its row. */
const PRECISION = { float32: 0, float16: 2 ** -11, bfloat16: 2 ** -8, int8: 0.5 / 127 };

describe('int8 rows', () => {
  it('are off by half a scale at most; zeros and the largest are exact', () => {
    fc.assert(
      fc.property(
        fc.array(fc.float({ noNaN: true, min: -1000, max: 1000 }), { minLength: 6, maxLength: 6 }),
        (values) =>
          tidy(() => {
            const matrix = fromTypedArray(Float32Array.from([...values, 0, 0, 0]), [3, 3]);
            const { values: whole, scale } = quantiseRows(matrix);
            expect(whole.dtype).toBe('int8');
            const back = whole.to('float32').mul(scale.unsqueeze(1));
            const allowed = scale.unsqueeze(1).mul(0.5001);
            expect(back.sub(matrix).abs().le(allowed).all().item()).toBe(1);
            expect(back.select(0, 2).abs().amax().item()).toBe(0);
          }),
      ),
      { numRuns: 30 },
    );
  });
});

describe.each(WEIGHT_STORAGES)('a matrix kept as %s', (storage) => {
  it('gives what the matrix gives, as close as its storage is, also in blocks', () => {
    tidy(() => {
      // 1.5 million elements: more than are widened at a time.
      const [rows, columns] = [500, 3000];
      const matrix = randn([rows, columns], { generator });
      const linear = new StoredLinear(columns, rows, storage);
      linear.store(matrix);
      const x = randn([1, 2, columns], { generator });
      const far = distance(linear.forward(x), x.matmul(matrix.t()));
      // Errors of 3000 products of unit size add up like their root.
      expect(far).toBeLessThan(1e-3 + PRECISION[storage] * 4.5 * Math.sqrt(columns) * 5);
      const embedding = new StoredEmbedding(rows, columns, storage);
      embedding.store(matrix);
      const ids = randomIds(3, 1, 2);
      const picked = embedding.forward(ids, 'float32');
      expect(picked.shape).toEqual([2, 3, columns]);
      const wanted = matrix.indexSelect(0, ids.flatten()).view([2, 3, columns]);
      expect(distance(picked, wanted)).toBeLessThanOrEqual(PRECISION[storage] * 6);
      linear.dispose();
      embedding.dispose();
    });
  });

  it('lets gradients through to what comes in', () => {
    tidy(() => {
      const linear = new StoredLinear(5, 4, storage);
      linear.resetParameters(generator);
      const x = randn([2, 5], { generator }).requiresGrad_();
      const [gradient] = grad([linear.forward(x).sum()], [x]) as [Tensor];
      const wide = linear.forward(fromTypedArray(identity(5), [5, 5])); // [5, 4]
      expect(distance(gradient, wide.sum(1).unsqueeze(0).expand([2, 5]))).toBeLessThan(1e-6);
      linear.dispose();
    });
  });
});

const identity = (n: number): Float32Array<ArrayBuffer> =>
  Float32Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0));
