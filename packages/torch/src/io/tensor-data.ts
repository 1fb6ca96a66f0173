// A tensor outside the engine: element type, shape, typed array. What checkpoint files hold and what golden
// checks compare. Element types carry the names of the safetensors format.
// Not here: engine tensors (tensor.ts), files (safetensors.ts, pth.ts).

import { endianness } from 'node:os';
import { EngineError, UsageError } from '../errors.ts';

/** Element types that files may hold, by their safetensors names. */
export type TensorDtype = 'F64' | 'F32' | 'F16' | 'BF16' | 'I64' | 'I32' | 'I16' | 'I8' | 'U8' | 'BOOL';

/** What `TensorData.data` may be; which one belongs to which dtype stands at `TensorData`. */
export type TensorArray =
  | Float64Array
  | Float32Array
  | Uint16Array
  | BigInt64Array
  | Int32Array
  | Int16Array
  | Int8Array
  | Uint8Array;

/**
 * A dense, row-major tensor. F16 and BF16 are bit patterns in a `Uint16Array`, I64 a `BigInt64Array`, BOOL a
 * `Uint8Array` of 0 and 1, the others their typed array. `data.length` is the product of `shape`; a scalar has
 * shape `[]` and one element. Treat `data` as read-only: tied weights may share one buffer.
 */
export type TensorData = { dtype: TensorDtype; shape: number[]; data: TensorArray };

type DtypeInfo = {
  readonly bytes: 1 | 2 | 4 | 8;
  readonly arrayName: string;
  readonly view: (buffer: ArrayBufferLike, byteOffset: number, length: number) => TensorArray;
};

const DTYPES: Readonly<Record<TensorDtype, DtypeInfo>> = {
  F64: { bytes: 8, arrayName: 'Float64Array', view: (b, o, n) => new Float64Array(b, o, n) },
  F32: { bytes: 4, arrayName: 'Float32Array', view: (b, o, n) => new Float32Array(b, o, n) },
  F16: { bytes: 2, arrayName: 'Uint16Array', view: (b, o, n) => new Uint16Array(b, o, n) },
  BF16: { bytes: 2, arrayName: 'Uint16Array', view: (b, o, n) => new Uint16Array(b, o, n) },
  I64: { bytes: 8, arrayName: 'BigInt64Array', view: (b, o, n) => new BigInt64Array(b, o, n) },
  I32: { bytes: 4, arrayName: 'Int32Array', view: (b, o, n) => new Int32Array(b, o, n) },
  I16: { bytes: 2, arrayName: 'Int16Array', view: (b, o, n) => new Int16Array(b, o, n) },
  I8: { bytes: 1, arrayName: 'Int8Array', view: (b, o, n) => new Int8Array(b, o, n) },
  U8: { bytes: 1, arrayName: 'Uint8Array', view: (b, o, n) => new Uint8Array(b, o, n) },
  BOOL: { bytes: 1, arrayName: 'Uint8Array', view: (b, o, n) => new Uint8Array(b, o, n) },
};

/** All element types, in the order of the safetensors documentation's families (wide to narrow). */
export const TENSOR_DTYPES = Object.keys(DTYPES) as readonly TensorDtype[];

export function isTensorDtype(name: string): name is TensorDtype {
  return Object.hasOwn(DTYPES, name);
}

/** Size of one element in bytes. */
export function dtypeBytes(dtype: TensorDtype): 1 | 2 | 4 | 8 {
  return DTYPES[dtype].bytes;
}

/** More dimensions than any engine takes; keeps hostile shapes from costing anything. */
export const MAX_RANK = 64;

/**
 * Product of a shape; `undefined` when a dimension is not a non-negative safe integer, when the product is too
 * large to count exactly, or when there are more than `MAX_RANK` dimensions.
 */
export function elementCount(shape: readonly number[]): number | undefined {
  if (shape.length > MAX_RANK) return undefined;
  let count = 1;
  let hasZero = false;
  for (const size of shape) {
    if (!Number.isSafeInteger(size) || size < 0) return undefined;
    if (size === 0) hasZero = true;
    else count *= size;
    if (!Number.isSafeInteger(count)) return undefined;
  }
  return hasZero ? 0 : count;
}

/** The raw bytes of a typed array, without a copy. */
export function bytesOf(data: TensorArray): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/**
 * Little-endian bytes as the typed array of `dtype`. Shares the memory when it is aligned to the element size and
 * copies it otherwise.
 */
export function arrayFromBytes(dtype: TensorDtype, bytes: Uint8Array): TensorArray {
  if (endianness() !== 'LE') {
    throw new EngineError(
      'arrayFromBytes: this machine is big-endian, checkpoints are little-endian: use a little-endian machine.',
    );
  }
  const { bytes: size, view } = DTYPES[dtype];
  const aligned = bytes.byteOffset % size === 0 ? bytes : new Uint8Array(bytes);
  return view(aligned.buffer, aligned.byteOffset, aligned.byteLength / size);
}

/** Index of the first byte of BOOL data that is neither 0 nor 1, or -1. Such a byte is undefined behaviour in C++. */
export function firstBadBool(data: Uint8Array): number {
  return data.findIndex((value) => value > 1);
}

/** Refuses a tensor whose array type or length does not fit its dtype and shape. `who` opens the message. */
export function checkTensorData(who: string, tensor: TensorData): void {
  const { dtype, shape, data } = tensor;
  if (!isTensorDtype(dtype)) {
    throw new UsageError(`${who}: dtype ${String(dtype)}, allowed ${TENSOR_DTYPES.join(', ')}.`);
  }
  const count = elementCount(shape);
  if (count === undefined) {
    throw new UsageError(
      `${who}: shape [${shape}], allowed up to ${MAX_RANK} whole sizes >= 0 with a product below 2^53.`,
    );
  }
  const found = data.constructor.name === 'Buffer' ? 'Uint8Array' : data.constructor.name;
  if (found !== DTYPES[dtype].arrayName) {
    throw new UsageError(`${who}: ${found} for dtype ${dtype}, allowed ${DTYPES[dtype].arrayName}.`);
  }
  if (data.length !== count) {
    throw new UsageError(`${who}: ${data.length} elements for shape [${shape}], allowed ${count}.`);
  }
  if (dtype === 'BOOL') {
    const bad = firstBadBool(data as Uint8Array);
    if (bad >= 0) throw new UsageError(`${who}: BOOL element ${bad} is ${data[bad]}, allowed 0 or 1.`);
  }
}

/**
 * The values as float32 (row-major). F32 comes back as the same array, everything else as a new one; I64 and F64
 * are rounded to the nearest float32.
 */
export function toFloat32(tensor: TensorData): Float32Array {
  const { dtype, data } = tensor;
  switch (dtype) {
    case 'F32':
      return data as Float32Array;
    case 'F16':
      return float16ToFloat32(data as Uint16Array);
    case 'BF16':
      return bfloat16ToFloat32(data as Uint16Array);
    case 'I64':
      return Float32Array.from(data as BigInt64Array, Number);
    case 'F64':
    case 'I32':
    case 'I16':
    case 'I8':
    case 'U8':
    case 'BOOL':
      return new Float32Array(data as Float64Array);
    default:
      dtype satisfies never;
      throw new UsageError(`toFloat32: dtype ${String(dtype)}, allowed ${TENSOR_DTYPES.join(', ')}.`);
  }
}

/** IEEE 754 binary16 bit patterns -> float32, exactly (subnormals, infinities and NaN included). */
export function float16ToFloat32(bits: Uint16Array): Float32Array {
  halfTable ??= makeHalfTable();
  const table = halfTable;
  const out = new Float32Array(bits.length);
  for (let i = 0; i < bits.length; i++) out[i] = table[bits[i]!]!;
  return out;
}

/** float32 -> IEEE 754 binary16 bit patterns, to nearest, ties to even; beyond 65504 becomes infinity. */
export function float32ToFloat16(values: Float32Array): Uint16Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const out = new Uint16Array(values.length);
  for (let i = 0; i < words.length; i++) out[i] = halfBits(words[i]!);
  return out;
}

/** bfloat16 bit patterns -> float32, exactly. */
export function bfloat16ToFloat32(bits: Uint16Array): Float32Array {
  const words = new Uint32Array(bits.length);
  for (let i = 0; i < bits.length; i++) words[i] = bits[i]! << 16;
  return new Float32Array(words.buffer);
}

/** float32 -> bfloat16 bit patterns, to nearest, ties to even; a NaN stays a NaN. */
export function float32ToBfloat16(values: Float32Array): Uint16Array {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  const out = new Uint16Array(values.length);
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    const isNan = (word & 0x7fffffff) > 0x7f800000;
    out[i] = isNan ? (word >>> 16) | 0x40 : (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  }
  return out;
}

/** All 65,536 half values, made on first use (256 kB). */
let halfTable: Float32Array | undefined;

function makeHalfTable(): Float32Array {
  const table = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits++) {
    const sign = bits & 0x8000 ? -1 : 1;
    const exponent = (bits >>> 10) & 0x1f;
    const fraction = bits & 0x3ff;
    if (exponent === 0) table[bits] = sign * fraction * 2 ** -24;
    else if (exponent === 31) table[bits] = fraction ? Number.NaN : sign * Number.POSITIVE_INFINITY;
    else table[bits] = sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
  }
  return table;
}

function halfBits(word: number): number {
  const sign = (word >>> 16) & 0x8000;
  const magnitude = word & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00; // NaN
  if (magnitude >= 0x47800000) return sign | 0x7c00; // 65536 and beyond, infinity
  if (magnitude >= 0x38800000) {
    // normal: move the exponent's bias from 127 to 15, round away 13 fraction bits; a carry may give infinity
    const rebased = magnitude - 0x38000000;
    return sign | ((rebased + 0xfff + ((rebased >>> 13) & 1)) >>> 13);
  }
  const exponent = magnitude >>> 23;
  if (exponent < 102) return sign; // below half of the smallest subnormal
  const significand = (magnitude & 0x7fffff) | 0x800000;
  const shift = 126 - exponent; // 14..24: to units of 2^-24
  const kept = significand >>> shift;
  const rest = significand & ((1 << shift) - 1);
  const half = 1 << (shift - 1);
  const roundUp = rest > half || (rest === half && (kept & 1) === 1);
  return sign | (kept + (roundUp ? 1 : 0));
}
