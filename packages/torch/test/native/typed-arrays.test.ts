import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  DTYPES,
  type Dtype,
  EngineError,
  fromTypedArray,
  type TypedArray,
  tidy,
  zeros,
} from '../../src/index.ts';
import { numbers, thrown } from '../support/values.ts';

const CONSTRUCTORS = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  int64: BigInt64Array,
  int32: Int32Array,
  int16: Int16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  bool: Uint8Array,
} as const satisfies Record<Dtype, unknown>;
const dtypes = Object.keys(CONSTRUCTORS) as Dtype[];

const make = (dtype: Dtype, list: readonly number[]): TypedArray =>
  dtype === 'int64' ? BigInt64Array.from(list, BigInt) : CONSTRUCTORS[dtype as 'float32'].from(list);

describe('typed arrays in and out', () => {
  it.each(dtypes)('%s: every element comes back', (dtype) => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 100 }), { minLength: 1, maxLength: 12 }), (list) => {
        const data = make(dtype, dtype === 'bool' ? list.map((v) => v % 2) : list);
        tidy(() => {
          const t = fromTypedArray(data, [list.length], { dtype });
          expect(t.dtype).toBe(dtype);
          const back = t.toTypedArray();
          expect(back.constructor).toBe(CONSTRUCTORS[dtype]);
          expect(back).toEqual(data);
          expect(back.buffer).not.toBe(data.buffer);
        });
      }),
      { numRuns: 10 },
    );
  });

  it.each(dtypes)('%s: on the same memory when shared, in both directions', (dtype) => {
    const data = make(dtype, [1, 0, 1]);
    tidy(() => {
      const shared = fromTypedArray(data, [3], { dtype, share: true });
      shared.zero_();
      expect(data).toEqual(make(dtype, [0, 0, 0]));
      const view = zeros([2], { dtype });
      const array = view.asTypedArray();
      expect(array.constructor).toBe(CONSTRUCTORS[dtype]);
      array.set(make(dtype, [1, 1]) as never);
      expect(view.toTypedArray()).toEqual(make(dtype, [1, 1]));
    });
  });

  it('float16 and bfloat16 are bits', () => {
    tidy(() => {
      const half = fromTypedArray(Uint16Array.of(0x3c00, 0xc000, 0x7c00), [3], { dtype: 'float16' });
      expect(numbers(half.to('float64'))).toEqual([1, -2, Infinity]);
      const brain = fromTypedArray(Uint16Array.of(0x3f80, 0xc000), [2], { dtype: 'bfloat16' });
      expect(numbers(brain.to('float32'))).toEqual([1, -2]);
      expect(brain.to('float32').to('bfloat16').toTypedArray()).toEqual(Uint16Array.of(0x3f80, 0xc000));
    });
  });

  it('int64 keeps what a number cannot', () => {
    const big = BigInt64Array.of(2n ** 62n + 1n, -(2n ** 63n));
    tidy(() => expect(fromTypedArray(big, [2]).toTypedArray()).toEqual(big));
  });

  it('any byte but 0 is true', () => {
    tidy(() => {
      const t = fromTypedArray(Uint8Array.of(0, 1, 2, 255), [4], { dtype: 'bool' });
      expect(t.toTypedArray()).toEqual(Uint8Array.of(0, 1, 1, 1));
      expect(t.copyFrom(Uint8Array.of(7, 0, 0, 9)).toTypedArray()).toEqual(Uint8Array.of(1, 0, 0, 1));
      expect(t.sum().item()).toBe(2);
    });
  });

  it('a part of a larger buffer, a Buffer of Node, and shared memory between threads', () => {
    tidy(() => {
      const whole = Float32Array.of(0, 1, 2, 3, 4, 5);
      for (const share of [false, true])
        expect(numbers(fromTypedArray(whole.subarray(2, 5), [3], { share }))).toEqual([2, 3, 4]);
      expect(numbers(fromTypedArray(Buffer.from([1, 2]) as unknown as Uint8Array<ArrayBuffer>, [2]))).toEqual(
        [1, 2],
      );
      const common = new Float32Array(new SharedArrayBuffer(8)).fill(
        3,
      ) as unknown as Float32Array<ArrayBuffer>;
      expect(numbers(fromTypedArray(common, [2]))).toEqual([3, 3]);
      expect(numbers(zeros([2]).copyFrom(common))).toEqual([3, 3]);
    });
  });

  it('nothing, and everything in one', () => {
    tidy(() => {
      expect(fromTypedArray(new Float32Array(0), [0, 3]).toTypedArray().length).toBe(0);
      expect(fromTypedArray(new Float32Array(0), [2, 0], { share: true }).shape).toEqual([2, 0]);
      expect(zeros([0]).asTypedArray().length).toBe(0);
      expect(fromTypedArray(Float32Array.of(5), []).item()).toBe(5);
    });
  });

  it('what is not contiguous comes out row-major', () => {
    tidy(() => {
      const t = fromTypedArray(Float32Array.of(0, 1, 2, 3, 4, 5), [2, 3]).t();
      expect(numbers(t)).toEqual([0, 3, 1, 4, 2, 5]);
      expect(Array.from(t.asTypedArray() as Float32Array)).toEqual([0, 3, 1, 4, 2, 5]);
      t.copyFrom(Float32Array.of(9, 8, 7, 6, 5, 4));
      expect(numbers(t)).toEqual([9, 8, 7, 6, 5, 4]);
    });
  });

  it('toFloat32Array converts', () => {
    tidy(() => {
      expect(fromTypedArray(BigInt64Array.of(3n), [1]).toFloat32Array()).toEqual(Float32Array.of(3));
      expect(fromTypedArray(Float32Array.of(3), [1]).toFloat32Array()).toEqual(Float32Array.of(3));
    });
  });

  it('item is a number', () => {
    tidy(() => {
      expect(fromTypedArray(BigInt64Array.of(7n), [1, 1]).item()).toBe(7);
      expect(fromTypedArray(Uint8Array.of(1), [1], { dtype: 'bool' }).item()).toBe(1);
      expect(fromTypedArray(Float64Array.of(0.1), [1]).item()).toBe(0.1);
      expect(thrown(() => zeros([2]).item()).message).toMatch(/^item: .*2 elements/);
    });
  });

  it('refuses what does not fit, and says what would', () => {
    tidy(() => {
      const refused = (body: () => unknown): string => {
        const error = thrown(body);
        expect(error).toBeInstanceOf(EngineError);
        return error.message;
      };
      expect(refused(() => fromTypedArray(new Float32Array(3), [2, 2]))).toContain('3 elements do not fill');
      expect(refused(() => fromTypedArray(new Uint16Array(2), [2]))).toContain('explicit dtype');
      expect(refused(() => fromTypedArray(new Uint8Array(4), [4], { dtype: 'float32' }))).toContain(
        '4 bytes',
      );
      expect(refused(() => fromTypedArray(new Float32Array(4), [-2, -2]))).toContain('size -2');
      expect(refused(() => zeros([2]).copyFrom(new Float32Array(3)))).toContain('of 3 given');
      expect(refused(() => zeros([2]).copyFrom(new Float64Array(2)))).toContain('Float32Array of 2 needed');
    });
  });

  it('copyFrom is seen by the history of gradients', () => {
    tidy(() => {
      const x = zeros([2]).requiresGrad_();
      const y = x.mul(x).sum();
      x.copyFrom(Float32Array.of(1, 1));
      expect(thrown(() => y.backward()).message).toContain('modified by an inplace operation');
    });
  });

  it("codes of element types are libtorch's", () => {
    expect(Object.fromEntries(dtypes.map((dtype) => [dtype, DTYPES[dtype].code]))).toEqual({
      uint8: 0,
      int8: 1,
      int16: 2,
      int32: 3,
      int64: 4,
      float16: 5,
      float32: 6,
      float64: 7,
      bool: 11,
      bfloat16: 15,
    });
  });
});
