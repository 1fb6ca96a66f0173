// Making tensors: from JavaScript data, filled, random, and from other tensors.
// Numbers are float32 unless a dtype is given.

import { markAsUntransferable } from 'node:worker_threads';
import { arrayName, DTYPES, type Dtype, type TypedArray, unshared } from './dtype.ts';
import { EngineError } from './errors.ts';
import { native } from './native.ts';
import type { Generator } from './random.ts';
import { op, Tensor } from './tensor.ts';

export type TensorOptions = {
  readonly dtype?: Dtype;
  /** `cpu` (default), `cuda`, `cuda:1`. */
  readonly device?: string;
};

type Nested = number | readonly Nested[];

const zerosOp = op('aten::zeros');
const onesOp = op('aten::ones');
const emptyOp = op('aten::empty.memory_format');
const fullOp = op('aten::full');
const arangeOp = op('aten::arange.start_step');
const linspaceOp = op('aten::linspace');
const eyeOp = op('aten::eye');
const zerosLikeOp = op('aten::zeros_like');
const onesLikeOp = op('aten::ones_like');
const emptyLikeOp = op('aten::empty_like');
const randOp = op('aten::rand.generator');
const randnOp = op('aten::randn.generator');
const randpermOp = op('aten::randperm.generator');
const catOp = op('aten::cat');
const stackOp = op('aten::stack');
const whereOp = op('aten::where.self');

const DTYPE_OF_ARRAY: Readonly<Record<string, Dtype>> = {
  Float32Array: 'float32',
  Float64Array: 'float64',
  BigInt64Array: 'int64',
  Int32Array: 'int32',
  Int16Array: 'int16',
  Int8Array: 'int8',
  Uint8Array: 'uint8',
};

/**
 * A tensor of the given shape over the elements of a typed array, row-major. Copies, unless `share` is set: then tensor
 * and array are the same memory. `dtype` is needed for bits (`float16`, `bfloat16` in a Uint16Array) and `bool` (Uint8Array).
 */
export function fromTypedArray(
  data: TypedArray,
  shape: readonly number[],
  options: TensorOptions & { readonly share?: boolean } = {},
): Tensor {
  const dtype = options.dtype ?? DTYPE_OF_ARRAY[arrayName(data)];
  if (dtype === undefined)
    throw new EngineError(`fromTypedArray: a ${arrayName(data)} needs an explicit dtype`);
  if (DTYPES[dtype].bytes !== data.BYTES_PER_ELEMENT) {
    throw new EngineError(
      `fromTypedArray: ${dtype} has ${DTYPES[dtype].bytes} bytes, the array's elements ${data.BYTES_PER_ELEMENT}`,
    );
  }
  const count = shape.reduce((product, size) => product * size, 1);
  if (count !== data.length)
    throw new EngineError(
      `fromTypedArray: ${data.length} elements do not fill the shape [${shape}] (${count})`,
    );
  const share = options.share === true;
  if (share) pin(data);
  const { buffer, byteOffset } = share ? data : unshared(data);
  const made = new Tensor(native().fromBuffer(buffer, byteOffset, shape, DTYPES[dtype].code, !share));
  return options.device === undefined || options.device === 'cpu' ? made : made.to(options.device as 'cuda');
}

/**
 * Keeps an array's memory where it is while a tensor shares it: refuses memory that can shrink, and has every later
 * transfer of it refused. (The tensor itself keeps the memory alive.)
 */
function pin({ buffer }: TypedArray): void {
  if (!(buffer instanceof ArrayBuffer) || (buffer as { resizable?: boolean }).resizable === true) {
    throw new EngineError(
      'fromTypedArray: only an ordinary ArrayBuffer of fixed length can be shared with a tensor; leave out `share`',
    );
  }
  markAsUntransferable(buffer);
  for (const method of ['transfer', 'transferToFixedLength']) {
    if (!(method in buffer) || Object.hasOwn(buffer, method)) continue;
    const value = () => {
      throw new EngineError(`ArrayBuffer.${method}: a tensor shares this memory (fromTypedArray with share)`);
    };
    Object.defineProperty(buffer, method, { value });
  }
}

/** A tensor from a number or nested lists of numbers: `tensor([[1, 2], [3, 4]])`. */
export function tensor(values: Nested, options: TensorOptions = {}): Tensor {
  const shape: number[] = [];
  for (let level: Nested = values; typeof level !== 'number'; level = level[0] as Nested) {
    shape.push(level.length);
    if (level.length === 0) break;
  }
  const flat: number[] = [];
  const fill = (level: Nested, depth: number): void => {
    if (typeof level === 'number') {
      if (depth !== shape.length) throw new EngineError('tensor: the lists are ragged');
      flat.push(level);
    } else {
      if (level.length !== shape[depth]) throw new EngineError('tensor: the lists are ragged');
      for (const element of level) fill(element, depth + 1);
    }
  };
  fill(values, 0);
  const { dtype = 'float32', device } = options;
  const made = fromTypedArray(Float64Array.from(flat), shape);
  const typed = made.to(dtype);
  if (typed !== made) made.dispose();
  return device === undefined ? typed : typed.to(device as 'cuda');
}

export function zeros(shape: readonly number[], options: TensorOptions = {}): Tensor {
  return zerosOp(shape, options.dtype ?? 'float32', null, options.device);
}
export function ones(shape: readonly number[], options: TensorOptions = {}): Tensor {
  return onesOp(shape, options.dtype ?? 'float32', null, options.device);
}
/** Uninitialised memory. */
export function empty(shape: readonly number[], options: TensorOptions = {}): Tensor {
  return emptyOp(shape, options.dtype ?? 'float32', null, options.device);
}
export function full(shape: readonly number[], value: number, options: TensorOptions = {}): Tensor {
  return fullOp(shape, value, options.dtype ?? 'float32', null, options.device);
}
/** start, start + step, ... below end. */
export function arange(start: number, end: number, step = 1, options: TensorOptions = {}): Tensor {
  return arangeOp(start, end, step, options.dtype ?? 'float32', null, options.device);
}
export function linspace(start: number, end: number, steps: number, options: TensorOptions = {}): Tensor {
  return linspaceOp(start, end, steps, options.dtype ?? 'float32', null, options.device);
}
export function eye(size: number, options: TensorOptions = {}): Tensor {
  return eyeOp(size, options.dtype ?? 'float32', null, options.device);
}
export function zerosLike(like: Tensor): Tensor {
  return zerosLikeOp(like);
}
export function onesLike(like: Tensor): Tensor {
  return onesLikeOp(like);
}
export function emptyLike(like: Tensor): Tensor {
  return emptyLikeOp(like);
}
/** Uniform in [0, 1). */
export function rand(
  shape: readonly number[],
  options: TensorOptions & { generator?: Generator } = {},
): Tensor {
  return randOp(shape, options.generator ?? null, options.dtype ?? 'float32', null, options.device);
}
/** Standard normal. */
export function randn(
  shape: readonly number[],
  options: TensorOptions & { generator?: Generator } = {},
): Tensor {
  return randnOp(shape, options.generator ?? null, options.dtype ?? 'float32', null, options.device);
}
/** A random order of 0..n-1, int64. */
export function randperm(n: number, options: { generator?: Generator } = {}): Tensor {
  return randpermOp(n, options.generator ?? null, 'int64');
}
export function cat(tensors: readonly Tensor[], dim = 0): Tensor {
  return catOp(tensors, dim);
}
export function stack(tensors: readonly Tensor[], dim = 0): Tensor {
  return stackOp(tensors, dim);
}
/** `a` where the condition holds, else `b`. */
export function where(condition: Tensor, a: Tensor, b: Tensor): Tensor {
  return whereOp(condition, a, b);
}
