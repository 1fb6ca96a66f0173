// Fused layers against the operators they replace, over shapes, thread counts and layouts, and where they step aside.

import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import {
  autocast,
  fromTypedArray,
  Generator,
  getThreads,
  nn,
  noGrad,
  op,
  randn,
  setThreads,
  type Tensor,
  tensor,
  tidy,
} from '../../src/index.ts';
import { expectNoLeak, largestDifference, numbers } from '../support/values.ts';

const { linearThen, quickAttention } = nn;
const erfc = op('aten::erfc');
const ACTIVATIONS = ['none', 'relu', 'gelu', 'quickGelu'] as const;
const threadsBefore = getThreads();
afterAll(() => setThreads(threadsBefore));

/** The same call recorded for gradients, which composes operators. */
function composed(x: Tensor, weight: Tensor, bias: Tensor | null, then: nn.LinearThen): Tensor {
  return linearThen(x.detach().requiresGrad_(), weight, bias, then).detach();
}

/** softmax(q k' / sqrt(d) + bias) v in every head, by operators. */
function attention(q: Tensor, k: Tensor, v: Tensor, heads: number, bias: Tensor | null): Tensor {
  const [b, l, c] = q.shape as [number, number, number];
  const split = (x: Tensor) => x.reshape([b, -1, heads, c / heads]).transpose(1, 2);
  const logits = split(q)
    .matmul(split(k).transpose(2, 3))
    .div(Math.sqrt(c / heads));
  const all = bias?.ndim === 3 ? bias.view([b, heads, l, -1]) : bias;
  const weights = (all === null ? logits : logits.add(all)).softmax(-1);
  return weights.matmul(split(v)).transpose(1, 2).reshape([b, l, c]);
}

describe('linearThen', () => {
  it('equals the operators for any shape, activation, bias, residual and number of threads', () => {
    const shape = fc.record({
      lead: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 0, maxLength: 3 }),
      inputs: fc.integer({ min: 1, max: 70 }),
      outputs: fc.integer({ min: 1, max: 70 }),
      activation: fc.constantFrom(...ACTIVATIONS),
      withBias: fc.boolean(),
      withResidual: fc.boolean(),
      threads: fc.constantFrom(1, 2),
      seed: fc.nat(1000),
    });
    fc.assert(
      fc.property(shape, ({ lead, inputs, outputs, activation, withBias, withResidual, threads, seed }) => {
        setThreads(threads);
        const generator = Generator.seeded(seed);
        tidy(() => {
          const x = randn([...lead, inputs], { generator });
          const weight = randn([outputs, inputs], { generator });
          const bias = withBias ? randn([outputs], { generator }) : null;
          const residual = withResidual ? randn([...lead, outputs], { generator }) : null;
          const quick = linearThen(x, weight, bias, { activation, residual });
          expect(largestDifference(quick, composed(x, weight, bias, { activation, residual }))).toBeLessThan(
            2e-5,
          );
        });
      }),
      { numRuns: 30 },
    );
  });

  it('shares rows among threads', () => {
    setThreads(3);
    tidy(() => {
      const [x, weight, residual] = [randn([5, 251, 24]), randn([40, 24]), randn([5, 251, 40])];
      const quick = linearThen(x, weight, null, { activation: 'gelu', residual });
      const slow = composed(x, weight, null, { activation: 'gelu', residual });
      expect(largestDifference(quick, slow)).toBeLessThan(1e-5);
    });
  });

  it('takes inputs, weights and residuals that lie in steps', () => {
    tidy(() => {
      const x = randn([4, 6, 8]).transpose(0, 1);
      const weight = randn([8, 5]).transpose(0, 1);
      const residual = randn([6, 9, 5]).slice(1, 0, 4);
      const quick = linearThen(x, weight, null, { residual });
      expect(largestDifference(quick, composed(x, weight, null, { residual }))).toBeLessThan(1e-5);
    });
  });

  it('GELU is exact to a relative error of 1e-6, in the tails too', () => {
    const points = Float32Array.from({ length: 26_001 }, (_, i) => (i - 13_000) / 1000);
    tidy(() => {
      const found = numbers(
        linearThen(fromTypedArray(points, [points.length, 1]), tensor([[1]]), null, { activation: 'gelu' }),
      );
      // gelu(x) = x / 2 erfc(-x / sqrt(2)), in float64 by an operator.
      const wide = fromTypedArray(Float64Array.from(points), [points.length]);
      const upper = erfc(wide.neg().div(Math.SQRT2));
      const exact = numbers(wide.mul(upper).div(2));
      const errors = found.map(
        (y, i) => Math.abs(y - (exact[i] as number)) / Math.max(Math.abs(exact[i] as number), 1e-37),
      );
      expect(Math.max(...errors)).toBeLessThan(1e-6);
    });
  });

  it('NaN and infinities go through', () => {
    const inputs = [Number.NaN, Infinity, -Infinity, 0, -1e30, 2 ** 99];
    const expected = {
      none: inputs.map(Math.fround),
      relu: [Number.NaN, Infinity, 0, 0, 0, 2 ** 99],
      gelu: [Number.NaN, Infinity, Number.NaN, 0, 0, 2 ** 99],
    };
    tidy(() => {
      const x = tensor(inputs.map((value) => [value]));
      for (const activation of ['none', 'relu', 'gelu'] as const) {
        const found = numbers(linearThen(x, tensor([[1]]), null, { activation }));
        // Without the sign of zeros.
        expect(found.map((y) => y + 0)).toEqual(expected[activation]);
      }
    });
  });

  it('is recorded where a gradient is wanted: the weight then has one', () => {
    tidy(() => {
      const weight = randn([3, 4]).requiresGrad_();
      linearThen(randn([5, 4]), weight, null, { activation: 'gelu' })
        .sum()
        .backward();
      expect(weight.grad?.shape).toEqual([3, 4]);
      expect(noGrad(() => linearThen(randn([5, 4]), weight, null)).requiresGrad).toBe(false);
    });
  });

  it('leaves other element types and autocast to the operators', () => {
    tidy(() => {
      const [x, weight] = [randn([2, 4]), randn([3, 4])];
      expect(linearThen(x.to('float64'), weight.to('float64'), null).dtype).toBe('float64');
      const half = autocast({ device: 'cpu', dtype: 'bfloat16' }, () => linearThen(x, weight, null));
      expect(half.dtype).toBe('bfloat16');
    });
  });

  it('shapes that do not fit are refused by the operator', () => {
    tidy(() => expect(() => linearThen(randn([2, 4]), randn([3, 5]), null)).toThrow(/shapes/));
  });
});

describe('quickAttention', () => {
  it('equals the operators for any shape, bias and number of threads, on packed projections', () => {
    const shape = fc.record({
      images: fc.integer({ min: 1, max: 3 }),
      queries: fc.integer({ min: 1, max: 40 }),
      keys: fc.integer({ min: 1, max: 40 }),
      heads: fc.integer({ min: 1, max: 4 }),
      d: fc.integer({ min: 1, max: 20 }),
      bias: fc.constantFrom('none', 'shared', 'each' as const),
      threads: fc.constantFrom(1, 2),
      seed: fc.nat(1000),
    });
    fc.assert(
      fc.property(shape, ({ images, queries, keys, heads, d, bias, threads, seed }) => {
        setThreads(threads);
        const generator = Generator.seeded(seed);
        tidy(() => {
          const c = heads * d;
          const q = randn([images, queries, c], { generator });
          const [k, v] = randn([images, keys, 2 * c], { generator }).chunk(2, -1) as [Tensor, Tensor];
          const added = {
            none: () => null,
            shared: () => randn([queries, keys], { generator }),
            each: () => randn([images * heads, queries, keys], { generator }),
          }[bias]();
          const quick = quickAttention(q, k, v, { heads, bias: added });
          expect(quick).not.toBeNull();
          expect(largestDifference(quick as Tensor, attention(q, k, v, heads, added))).toBeLessThan(1e-5);
        });
      }),
      { numRuns: 30 },
    );
  });

  it('goes through long rows of weights in parts', () => {
    tidy(() => {
      const [q, k, v] = [randn([1, 70, 8]), randn([1, 9000, 8]), randn([1, 9000, 8])];
      const quick = quickAttention(q, k, v, { heads: 2 }) as Tensor;
      expect(largestDifference(quick, attention(q, k, v, 2, null))).toBeLessThan(1e-5);
    });
  });

  it('a masked key has no weight; a query without any key gives NaN', () => {
    tidy(() => {
      const [q, k, v] = [randn([1, 2, 4]), randn([1, 3, 4]), randn([1, 3, 4])];
      const none = -Infinity;
      const bias = tensor([
        [0, none, none],
        [none, none, none],
      ]);
      const [first, second] = (quickAttention(q, k, v, { heads: 1, bias }) as Tensor).select(0, 0).unbind(0);
      expect(numbers(first as Tensor)).toEqual(numbers(v.select(0, 0).select(0, 0)));
      expect(numbers(second as Tensor).every(Number.isNaN)).toBe(true);
    });
  });

  it('steps aside with gradients, autocast, other element types, and layouts and shapes it cannot read', () => {
    tidy(() => {
      const x = randn([2, 5, 8]);
      const none = (q: Tensor, heads = 2) => quickAttention(q, x, x, { heads });
      expect(none(x)).not.toBeNull();
      expect(none(x.detach().requiresGrad_())).toBeNull();
      expect(noGrad(() => none(x.detach().requiresGrad_()))).not.toBeNull();
      expect(autocast({ device: 'cpu' }, () => none(x))).toBeNull();
      expect(none(x.to('float64'))).toBeNull();
      expect(none(randn([2, 8, 5]).transpose(1, 2))).toBeNull();
      expect(none(x, 3)).toBeNull();
      expect(quickAttention(x, x, x, { heads: 2, bias: randn([5, 4]) })).toBeNull();
    });
  });

  it('leaves no tensor behind', () => {
    expectNoLeak(() =>
      tidy(() => {
        const x = randn([2, 5, 8]);
        quickAttention(x, x, x, { heads: 2 });
        linearThen(x, randn([8, 8]), null, { activation: 'gelu', residual: x });
      }),
    );
  });
});
