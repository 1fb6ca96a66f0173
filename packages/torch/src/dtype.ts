// Element types: libtorch's codes, the JavaScript arrays that hold them, and the names used here.
// Not here: conversion between them (Tensor.to).

/** Element types that cross the edge to JavaScript. */
export type Dtype =
  | 'float32'
  | 'float64'
  | 'float16'
  | 'bfloat16'
  | 'int64'
  | 'int32'
  | 'int16'
  | 'int8'
  | 'uint8'
  | 'bool';

/** float16 and bfloat16 appear as their bits; bool as bytes 0 and 1. */
export type TypedArray =
  | Float32Array<ArrayBuffer>
  | Float64Array<ArrayBuffer>
  | Uint16Array<ArrayBuffer>
  | BigInt64Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>
  | Int16Array<ArrayBuffer>
  | Int8Array<ArrayBuffer>
  | Uint8Array<ArrayBuffer>;

type DtypeInfo = {
  /** c10::ScalarType */
  readonly code: number;
  readonly bytes: number;
  readonly view: (buffer: ArrayBuffer) => TypedArray;
};

export const DTYPES: Readonly<Record<Dtype, DtypeInfo>> = {
  uint8: { code: 0, bytes: 1, view: (b) => new Uint8Array(b) },
  int8: { code: 1, bytes: 1, view: (b) => new Int8Array(b) },
  int16: { code: 2, bytes: 2, view: (b) => new Int16Array(b) },
  int32: { code: 3, bytes: 4, view: (b) => new Int32Array(b) },
  int64: { code: 4, bytes: 8, view: (b) => new BigInt64Array(b) },
  float16: { code: 5, bytes: 2, view: (b) => new Uint16Array(b) },
  float32: { code: 6, bytes: 4, view: (b) => new Float32Array(b) },
  float64: { code: 7, bytes: 8, view: (b) => new Float64Array(b) },
  bool: { code: 11, bytes: 1, view: (b) => new Uint8Array(b) },
  bfloat16: { code: 15, bytes: 2, view: (b) => new Uint16Array(b) },
};

const NAMES = new Map<number, Dtype>(
  (Object.keys(DTYPES) as Dtype[]).map((name) => [DTYPES[name].code, name] as const),
);

/** The name of a c10::ScalarType code; undefined for types that have no JavaScript form (complex, quantised). */
export function dtypeName(code: number): Dtype | undefined {
  return NAMES.get(code);
}

/** `Float32Array` and the like, also for subclasses as Node's Buffer. */
export function arrayName(data: TypedArray): string {
  return data[Symbol.toStringTag];
}

/** The same elements on an ordinary ArrayBuffer: a copy of what lies on a SharedArrayBuffer, else the array itself. */
export function unshared(data: TypedArray): TypedArray {
  return (data.buffer as ArrayBufferLike) instanceof SharedArrayBuffer ? (data.slice() as TypedArray) : data;
}
