// Strided views into dense tensors, on raw bytes so that every bit pattern survives (NaN payloads too).
// Not here: bounds checks of the view (torch-globals.ts), files.

/** A view: shape and strides in elements, offset in elements. Must lie within the source. */
export type StridedView = {
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  readonly offset: number;
};

/** True when the view's elements lie densely in row-major order. */
export function isContiguous({ shape, strides }: StridedView): boolean {
  let expected = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    if (shape[i] === 0) return true;
    if (shape[i] !== 1 && strides[i] !== expected) return false;
    expected *= shape[i]!;
  }
  return true;
}

/** Copies a view into new dense bytes. `source` must begin at a multiple of the element size in its buffer. */
export function gather(source: Uint8Array, elementBytes: 1 | 2 | 4 | 8, view: StridedView): Uint8Array {
  const count = view.shape.reduce((product, size) => product * size, 1);
  const target = new Uint8Array(count * elementBytes);
  if (count === 0) return target;
  if (elementBytes === 8) {
    // an element of 8 bytes is a last dimension of two words
    const shape = [...view.shape, 2];
    const strides = [...view.strides.map((stride) => 2 * stride), 1];
    copyStrided(words(source, 4), words(target, 4), { shape, strides, offset: 2 * view.offset });
  } else {
    copyStrided(words(source, elementBytes), words(target, elementBytes), view);
  }
  return target;
}

type Words = Uint8Array | Uint16Array | Uint32Array;

function words(bytes: Uint8Array, size: 1 | 2 | 4): Words {
  const count = Math.floor(bytes.byteLength / size);
  if (size === 1) return bytes;
  return size === 2
    ? new Uint16Array(bytes.buffer, bytes.byteOffset, count)
    : new Uint32Array(bytes.buffer, bytes.byteOffset, count);
}

/** Rows of the last dimension, one after the other; `index` counts the outer dimensions like an odometer. */
function copyStrided(source: Words, target: Words, { shape, strides, offset }: StridedView): void {
  const outer = shape.length - 1;
  const rowLength = shape[outer] ?? 1;
  const rowStride = strides[outer] ?? 1;
  const index = new Array<number>(Math.max(0, outer)).fill(0);
  let from = offset;
  for (let to = 0; to < target.length; to += rowLength) {
    if (rowStride === 1 && rowLength >= 16) target.set(source.subarray(from, from + rowLength), to);
    else for (let i = 0; i < rowLength; i++) target[to + i] = source[from + i * rowStride]!;
    for (let d = outer - 1; d >= 0; d--) {
      from += strides[d]!;
      if (++index[d]! < shape[d]!) break;
      from -= shape[d]! * strides[d]!;
      index[d] = 0;
    }
  }
}
