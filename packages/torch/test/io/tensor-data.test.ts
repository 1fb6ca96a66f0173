import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  arrayFromBytes,
  bfloat16ToFloat32,
  bytesOf,
  checkTensorData,
  elementCount,
  float16ToFloat32,
  float32ToBfloat16,
  float32ToFloat16,
  type TENSOR_DTYPES,
  toFloat32,
} from '../../src/io/tensor-data.ts';

const half = (x: number) => float32ToFloat16(new Float32Array([x]))[0]!;
const bf16 = (x: number) => float32ToBfloat16(new Float32Array([x]))[0]!;
const allBits = Uint16Array.from({ length: 65536 }, (_, i) => i);

describe('float16', () => {
  it('has the values of IEEE 754', () => {
    const bits = new Uint16Array([0x3c00, 0xc000, 0x7bff, 0x0001, 0x0400, 0x7c00, 0xfc00, 0x8000, 0x3555]);
    const values = [1, -2, 65504, 2 ** -24, 2 ** -14, Infinity, -Infinity, -0, 0.333251953125];
    expect([...float16ToFloat32(bits)]).toEqual(values);
  });

  it('survives float32 and back for all 65,536 patterns; every NaN stays a NaN', () => {
    const back = float32ToFloat16(float16ToFloat32(allBits));
    for (let bits = 0; bits < 65536; bits++) {
      const isNan = (bits & 0x7fff) > 0x7c00;
      if (isNan) expect(back[bits]! & 0x7fff).toBeGreaterThan(0x7c00);
      else if (back[bits] !== bits) expect(back[bits]).toBe(bits);
    }
  });

  it('rounds to nearest, ties to even, and overflows to infinity', () => {
    expect(half(2049)).toBe(half(2048)); // halfway between 2048 and 2050: even
    expect(half(2051)).toBe(half(2052));
    expect(half(65519)).toBe(0x7bff);
    expect(half(65520)).toBe(0x7c00);
    expect(half(2 ** -25)).toBe(0); // halfway between 0 and the smallest: even
    expect(half(2 ** -25 * 1.0001)).toBe(1);
    expect(half(-1e-30)).toBe(0x8000);
  });

  it('is never further away than either neighbour', () => {
    const table = float16ToFloat32(allBits);
    fc.assert(
      fc.property(fc.float({ min: -65000, max: 65000, noNaN: true }), (x) => {
        const bits = half(x);
        const error = Math.abs(table[bits]! - x);
        for (const neighbour of [bits - 1, bits + 1]) {
          const value = table[neighbour & 0xffff]!;
          if (Number.isFinite(value)) expect(Math.abs(value - x)).toBeGreaterThanOrEqual(error);
        }
      }),
    );
  });
});

describe('bfloat16', () => {
  it('survives float32 and back for all patterns', () => {
    const back = float32ToBfloat16(bfloat16ToFloat32(allBits));
    for (let bits = 0; bits < 65536; bits++) {
      if ((bits & 0x7fff) > 0x7f80) expect(back[bits]! & 0x7fff).toBeGreaterThan(0x7f80);
      else if (back[bits] !== bits) expect(back[bits]).toBe(bits);
    }
  });

  it('rounds to nearest, ties to even', () => {
    expect(bf16(1 + 2 ** -8)).toBe(0x3f80);
    expect(bf16(1 + 3 * 2 ** -8)).toBe(0x3f82);
    expect(bf16(3.4e38)).toBe(0x7f80);
    expect(bf16(Number.NaN) & 0x7fff).toBeGreaterThan(0x7f80);
  });
});

describe('toFloat32', () => {
  it('converts every dtype', () => {
    const shape = [2];
    const of = (dtype: (typeof TENSOR_DTYPES)[number], data: Parameters<typeof bytesOf>[0]) => [
      ...toFloat32({ dtype, shape, data }),
    ];
    expect(of('F64', new Float64Array([0.1, -2]))).toEqual([Math.fround(0.1), -2]);
    expect(of('F32', new Float32Array([0.5, 2]))).toEqual([0.5, 2]);
    expect(of('F16', new Uint16Array([0x3c00, 0xc000]))).toEqual([1, -2]);
    expect(of('BF16', new Uint16Array([0x3f80, 0xc000]))).toEqual([1, -2]);
    expect(of('I64', new BigInt64Array([-3n, 2n ** 53n]))).toEqual([-3, 2 ** 53]);
    expect(of('I32', new Int32Array([-3, 4]))).toEqual([-3, 4]);
    expect(of('I16', new Int16Array([-3, 4]))).toEqual([-3, 4]);
    expect(of('I8', new Int8Array([-3, 4]))).toEqual([-3, 4]);
    expect(of('U8', new Uint8Array([3, 255]))).toEqual([3, 255]);
    expect(of('BOOL', new Uint8Array([0, 1]))).toEqual([0, 1]);
  });

  it('gives F32 back without a copy', () => {
    const data = new Float32Array([1]);
    expect(toFloat32({ dtype: 'F32', shape: [1], data })).toBe(data);
  });
});

describe('elementCount', () => {
  it('multiplies, with 1 for a scalar and 0 for an empty dimension', () => {
    expect(elementCount([])).toBe(1);
    expect(elementCount([2, 3, 4])).toBe(24);
    expect(elementCount([2, 0, 4])).toBe(0);
  });

  it.each([[[-1]], [[1.5]], [[Number.NaN]], [[2 ** 53]], [[2 ** 30, 2 ** 30]], [[2 ** 52, 2 ** 52, 0]]])(
    'refuses %j',
    (shape) => expect(elementCount(shape)).toBeUndefined(),
  );

  it('refuses more dimensions than any engine takes', () => {
    expect(elementCount(new Array(64).fill(1))).toBe(1);
    expect(elementCount(new Array(65).fill(1))).toBeUndefined();
  });
});

describe('arrayFromBytes', () => {
  it('copies unaligned bytes and shares aligned ones', () => {
    const bytes = new Uint8Array(16);
    const floats = arrayFromBytes('F32', bytes.subarray(4, 12));
    expect(floats.buffer).toBe(bytes.buffer);
    bytes.set(bytesOf(new Float32Array([1.5])), 3);
    const copied = arrayFromBytes('F32', bytes.subarray(3, 7));
    expect([...(copied as Float32Array)]).toEqual([1.5]);
    expect(copied.buffer).not.toBe(bytes.buffer);
  });
});

describe('checkTensorData', () => {
  const fails = (tensor: unknown) => () =>
    checkTensorData('t', tensor as Parameters<typeof checkTensorData>[1]);

  it('names what is wrong and what is allowed', () => {
    expect(fails({ dtype: 'F8', shape: [1], data: new Uint8Array(1) })).toThrow(
      't: dtype F8, allowed F64, F32',
    );
    expect(fails({ dtype: 'F32', shape: [-1], data: new Float32Array(1) })).toThrow('t: shape [-1], allowed');
    expect(fails({ dtype: 'F16', shape: [1], data: new Float32Array(1) })).toThrow(
      't: Float32Array for dtype F16, allowed Uint16Array.',
    );
    expect(fails({ dtype: 'F32', shape: [2, 2], data: new Float32Array(3) })).toThrow(
      't: 3 elements for shape [2,2], allowed 4.',
    );
    expect(fails({ dtype: 'BOOL', shape: [2], data: new Uint8Array([1, 2]) })).toThrow('BOOL element 1 is 2');
  });

  it('accepts a Buffer where bytes are wanted', () => {
    expect(fails({ dtype: 'U8', shape: [2], data: Buffer.from([1, 2]) })).not.toThrow();
  });
});
