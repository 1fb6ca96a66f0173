import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromTypedArray, type Tensor, tensor, tidy } from '../../src/index.ts';
import { expectGradients, values } from '../support/gradients.ts';
import { expectClose, numbers } from '../support/values.ts';

const erf = (x: number): number => {
  let term = x;
  let sum = x;
  for (let n = 1; n < 80; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
};
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

type Unary = {
  readonly method: (x: Tensor) => Tensor;
  readonly number: (x: number) => number;
  /** Where the function is defined and smooth. */
  readonly range?: readonly [number, number];
  readonly smooth?: false;
};

const UNARY: Readonly<Record<string, Unary>> = {
  neg: { method: (x) => x.neg(), number: (x) => -x },
  abs: { method: (x) => x.abs(), number: Math.abs },
  exp: { method: (x) => x.exp(), number: Math.exp },
  log: { method: (x) => x.log(), number: Math.log, range: [0.1, 3] },
  log1p: { method: (x) => x.log1p(), number: Math.log1p, range: [-0.8, 3] },
  sqrt: { method: (x) => x.sqrt(), number: Math.sqrt, range: [0.1, 3] },
  rsqrt: { method: (x) => x.rsqrt(), number: (x) => 1 / Math.sqrt(x), range: [0.1, 3] },
  sin: { method: (x) => x.sin(), number: Math.sin },
  cos: { method: (x) => x.cos(), number: Math.cos },
  tanh: { method: (x) => x.tanh(), number: Math.tanh },
  sigmoid: { method: (x) => x.sigmoid(), number: sigmoid },
  logSigmoid: { method: (x) => x.logSigmoid(), number: (x) => Math.log(sigmoid(x)) },
  softplus: { method: (x) => x.softplus(), number: (x) => Math.log1p(Math.exp(x)) },
  relu: { method: (x) => x.relu(), number: (x) => Math.max(x, 0) },
  silu: { method: (x) => x.silu(), number: (x) => x * sigmoid(x) },
  gelu: { method: (x) => x.gelu(), number: (x) => (x / 2) * (1 + erf(x / Math.SQRT2)) },
  'gelu tanh': {
    method: (x) => x.gelu('tanh'),
    number: (x) => (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  },
  'pow 3': { method: (x) => x.pow(3), number: (x) => x ** 3 },
  'clamp both': { method: (x) => x.clamp(-0.5, 0.7), number: (x) => Math.min(0.7, Math.max(-0.5, x)) },
  'clamp below': { method: (x) => x.clamp(-0.5), number: (x) => Math.max(-0.5, x) },
  'clamp above': { method: (x) => x.clamp(null, 0.5), number: (x) => Math.min(0.5, x) },
  'add number': { method: (x) => x.add(2.5), number: (x) => x + 2.5 },
  'add number, alpha': { method: (x) => x.add(2, 3), number: (x) => x + 6 },
  'sub number': { method: (x) => x.sub(2.5), number: (x) => x - 2.5 },
  'sub number, alpha': { method: (x) => x.sub(2, 3), number: (x) => x - 6 },
  'rsub number': { method: (x) => x.rsub(1), number: (x) => 1 - x },
  'mul number': { method: (x) => x.mul(-1.5), number: (x) => x * -1.5 },
  'div number': { method: (x) => x.div(4), number: (x) => x / 4 },
  floor: { method: (x) => x.floor(), number: Math.floor },
  round: { method: (x) => x.round(), number: Math.round },
  sign: { method: (x) => x.sign(), number: Math.sign },
};

type Binary = {
  readonly method: (a: Tensor, b: Tensor) => Tensor;
  readonly number: (a: number, b: number) => number;
  readonly range?: readonly [number, number];
};
const BINARY: Readonly<Record<string, Binary>> = {
  add: { method: (a, b) => a.add(b), number: (a, b) => a + b },
  'add, alpha': { method: (a, b) => a.add(b, 0.5), number: (a, b) => a + 0.5 * b },
  sub: { method: (a, b) => a.sub(b), number: (a, b) => a - b },
  'sub, alpha': { method: (a, b) => a.sub(b, 0.5), number: (a, b) => a - 0.5 * b },
  mul: { method: (a, b) => a.mul(b), number: (a, b) => a * b },
  div: { method: (a, b) => a.div(b), number: (a, b) => a / b, range: [0.3, 2] },
  pow: { method: (a, b) => a.pow(b), number: (a, b) => a ** b, range: [0.3, 2] },
  maximum: { method: (a, b) => a.maximum(b), number: Math.max },
  minimum: { method: (a, b) => a.minimum(b), number: Math.min },
};

describe('functions of one tensor', () => {
  it.each(Object.entries(UNARY))('%s', (_, { method, number, range = [-2, 2] }) => {
    tidy(() => {
      const x = values([2, 5], ...range);
      expectClose(method(x), numbers(x).map(number), 1e-12);
      expectGradients(method, [x]);
    });
  });
});

describe('functions of two tensors, of equal shape and spread over dimensions', () => {
  it.each(Object.entries(BINARY))('%s', (_, { method, number, range = [-2, 2] }) => {
    tidy(() => {
      const [a, b, row] = [values([2, 3], ...range), values([2, 3], ...range, 1), values([3], ...range, 2)];
      const [x, y, z] = [numbers(a), numbers(b), numbers(row)];
      expectClose(
        method(a, b),
        x.map((v, i) => number(v, y[i] as number)),
        1e-12,
      );
      expectClose(
        method(a, row),
        x.map((v, i) => number(v, z[i % 3] as number)),
        1e-12,
      );
      expectGradients(method, [a, b]);
      expectGradients(method, [a, row]);
    });
  });
});

describe('comparisons', () => {
  const COMPARE: Readonly<Record<string, (a: number, b: number) => boolean>> = {
    eq: (a, b) => a === b,
    ne: (a, b) => a !== b,
    gt: (a, b) => a > b,
    ge: (a, b) => a >= b,
    lt: (a, b) => a < b,
    le: (a, b) => a <= b,
  };
  const whole = fc.integer({ min: -2, max: 2 });
  it.each(Object.entries(COMPARE))('%s with tensors and numbers', (name, compare) => {
    fc.assert(
      fc.property(fc.array(fc.tuple(whole, whole), { minLength: 1, maxLength: 8 }), whole, (pairs, n) => {
        tidy(() => {
          const [a, b] = [tensor(pairs.map(([x]) => x)), tensor(pairs.map(([, y]) => y))];
          const call = (other: Tensor | number): Tensor => a[name as 'eq'](other);
          expect(call(b).dtype).toBe('bool');
          expect(numbers(call(b))).toEqual(pairs.map(([x, y]) => Number(compare(x, y))));
          expect(numbers(call(n))).toEqual(pairs.map(([x]) => Number(compare(x, n))));
        });
      }),
      { numRuns: 20 },
    );
  });

  it('logical operators, any, all, isfinite', () => {
    tidy(() => {
      const [a, b] = [tensor([0, 0, 1, 1], { dtype: 'bool' }), tensor([0, 1, 0, 1], { dtype: 'bool' })];
      expect(numbers(a.logicalAnd(b))).toEqual([0, 0, 0, 1]);
      expect(numbers(a.logicalOr(b))).toEqual([0, 1, 1, 1]);
      expect(numbers(a.logicalNot())).toEqual([1, 1, 0, 0]);
      expect(a.any().item()).toBe(1);
      expect(a.all().item()).toBe(0);
      const odd = fromTypedArray(Float32Array.of(1, Number.NaN, Infinity, -Infinity), [4]);
      expect(numbers(odd.isfinite())).toEqual([1, 0, 0, 0]);
    });
  });

  it('maskedFill, and its gradient', () => {
    tidy(() => {
      const mask = tensor([1, 0, 0, 1], { dtype: 'bool' });
      expectClose(tensor([1, 2, 3, 4]).maskedFill(mask, -7), [-7, 2, 3, -7]);
      expectGradients((x) => x.maskedFill(mask, -7), [values([4])]);
    });
  });
});

describe('in place', () => {
  const start = () => tensor([1, 2, 3]);
  const CASES: Readonly<Record<string, readonly [(t: Tensor) => Tensor, readonly number[]]>> = {
    'add_ number': [(t) => t.add_(2), [3, 4, 5]],
    'add_ number, alpha': [(t) => t.add_(2, 3), [7, 8, 9]],
    'add_ tensor, alpha': [(t) => t.add_(tensor([1, 0, 1]), 10), [11, 2, 13]],
    'sub_ number': [(t) => t.sub_(1), [0, 1, 2]],
    'sub_ tensor, alpha': [(t) => t.sub_(tensor([1, 0, 1]), 2), [-1, 2, 1]],
    'mul_ number': [(t) => t.mul_(2), [2, 4, 6]],
    'mul_ tensor': [(t) => t.mul_(tensor([2, 0, -1])), [2, 0, -3]],
    'div_ number': [(t) => t.div_(2), [0.5, 1, 1.5]],
    'div_ tensor': [(t) => t.div_(tensor([2, 1, 3])), [0.5, 2, 1]],
    copy_: [(t) => t.copy_(tensor([7, 8, 9], { dtype: 'float64' })), [7, 8, 9]],
    zero_: [(t) => t.zero_(), [0, 0, 0]],
    fill_: [(t) => t.fill_(4), [4, 4, 4]],
  };
  it.each(Object.entries(CASES))('%s writes into the tensor and returns it', (_, [method, expected]) => {
    tidy(() => {
      const t = start();
      const view = t.view([3, 1]);
      expect(method(t)).toBe(t);
      expectClose(t, expected);
      expectClose(view, expected);
    });
  });

  it('chains keep the element type of whole numbers', () => {
    tidy(() => {
      const t = tensor([1, 2], { dtype: 'int64' }).add_(1).mul_(3);
      expect(t.dtype).toBe('int64');
      expect(numbers(t)).toEqual([6, 9]);
      expect(t.add(1).dtype).toBe('int64');
      expect(t.add(0.5).dtype).toBe('float32');
    });
  });
});
