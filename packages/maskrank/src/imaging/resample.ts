// Resizing of typed-array rasters, spelled after the implementations that models were trained with:
// nearest as OpenCV's INTER_NEAREST, filters as Pillow's `resize` (8-bit: bit for bit) and torch's `interpolate`
// (align_corners=False, with and without antialias; floats). Not here: where an image lands on a model's canvas
// (geometry.ts), rotation and other warps (augment/).

import { UsageError } from '@maskrank/torch/errors';
import type { Size } from './types.ts';

/** Anything row-major with interleaved channels; the number of channels follows from the length of `data`. */
export type Raster<T> = Size & { readonly data: T };

/**
 * A kernel by the distance of a source pixel's centre, px; `widen` (1 or more) is how much wider it is for shrinking.
 * Weights need not add up to one.
 */
type Filter = {
  /** Distance from which on the weight is zero, px. */
  readonly support: (widen: number) => number;
  readonly weight: (distancePx: number, widen: number) => number;
};

const FILTERS = {
  /** Mean over the covered area, pixels at its rim counted by their share (OpenCV's INTER_AREA when shrinking). */
  area: {
    support: (widen) => widen / 2 + 0.5,
    weight: (distance, widen) => Math.min(1, Math.max(0, widen / 2 + 0.5 - Math.abs(distance))),
  },
  /** Bilinear. */
  triangle: {
    support: (widen) => widen,
    weight: (distance, widen) => Math.max(0, 1 - Math.abs(distance / widen)),
  },
  /** Bicubic with a = -0.5, as Pillow. */
  cubic: { support: (widen) => 2 * widen, weight: (distance, widen) => cubicWeight(distance / widen) },
} satisfies Record<string, Filter>;

export type FilterName = keyof typeof FILTERS;

export type ResizeOptions = {
  /** Kernel. Default `triangle` (bilinear). */
  readonly filter?: FilterName;
  /** Widen the kernel when shrinking, so that every source pixel counts. Default true, as Pillow; false as torch. */
  readonly antialias?: boolean;
};

/** Source index of every target index under OpenCV's INTER_NEAREST: `floor(i / (target / source))`. */
export function nearestIndices(source: number, target: number): Int32Array {
  const step = 1 / (target / source);
  return Int32Array.from({ length: target }, (_, i) => Math.min(Math.floor(i * step), source - 1));
}

/** Nearest neighbour, exact for labels and masks; any element type and number of channels. */
export function resizeNearest<R extends Raster<Uint8Array | Uint16Array | Float32Array>>(
  raster: R,
  size: Size,
): R {
  const channels = checkSizes('resizeNearest', raster, size);
  const columns = nearestIndices(raster.width, size.width).map((x) => x * channels);
  const rows = nearestIndices(raster.height, size.height);
  const source = raster.data;
  const data = new (source.constructor as typeof Uint8Array)(size.width * size.height * channels);
  const rowLength = size.width * channels;
  for (let y = 0; y < size.height; y++) {
    const to = y * rowLength;
    if (y > 0 && rows[y] === rows[y - 1]) {
      data.copyWithin(to, to - rowLength, to);
      continue;
    }
    const from = rows[y]! * raster.width * channels;
    if (channels === 1) {
      for (let x = 0; x < size.width; x++) data[to + x] = source[from + columns[x]!]!;
    } else {
      for (let x = 0; x < size.width; x++) {
        for (let c = 0; c < channels; c++) data[to + x * channels + c] = source[from + columns[x]! + c]!;
      }
    }
  }
  return { ...raster, width: size.width, height: size.height, data };
}

/**
 * Separable filtering, first along rows, then along columns. Bytes are rounded after each pass as in Pillow (22-bit fixed
 * point), floats are kept. OpenCV's INTER_LINEAR on bytes is `antialias: false`, up to one grey level.
 */
export function resize<R extends Raster<Uint8Array> | Raster<Float32Array>>(
  raster: R,
  size: Size,
  { filter = 'triangle', antialias = true }: ResizeOptions = {},
): R {
  const channels = checkSizes('resize', raster, size);
  const kernel: Filter = FILTERS[filter];
  const { width, height } = raster;
  let data: Uint8Array | Float32Array = raster.data;
  if (size.width !== width) {
    data = filterRows(data, height, channels, makeTaps(width, size.width, kernel, antialias));
  }
  if (size.height !== height) {
    data = filterColumns(data, size.width * channels, makeTaps(height, size.height, kernel, antialias));
  }
  if (data === raster.data) data = data.slice();
  return { ...raster, width: size.width, height: size.height, data } as R;
}

/** torch's `interpolate(mode='bilinear', align_corners=False)`: what SAM does with its logits. */
export function resizeBilinear<R extends Raster<Float32Array>>(raster: R, size: Size): R {
  return resize(raster, size, { filter: 'triangle', antialias: false });
}

/** For every target pixel the first source pixel and `count` weights that sum to one (zero beyond the kernel). */
type Taps = {
  readonly source: number;
  readonly target: number;
  readonly count: number;
  readonly first: Int32Array;
  readonly weights: Float64Array;
};

function makeTaps(source: number, target: number, filter: Filter, antialias: boolean): Taps {
  const scale = source / target;
  const widen = antialias ? Math.max(scale, 1) : 1;
  const support = filter.support(widen);
  const windows = Array.from({ length: target }, (_, i) => {
    const center = (i + 0.5) * scale;
    const from = Math.max(0, Math.trunc(center - support + 0.5));
    const to = Math.min(source, Math.trunc(center + support + 0.5));
    return { center, from, to };
  });
  const count = windows.reduce((most, { from, to }) => Math.max(most, to - from), 1);
  const first = new Int32Array(target);
  const weights = new Float64Array(target * count);
  for (const [i, { center, from, to }] of windows.entries()) {
    // Windows at the far edge begin earlier, with weights of zero, so that the loops below need no bounds.
    const start = Math.min(from, source - count);
    let sum = 0;
    for (let j = from; j < to; j++) {
      const weight = filter.weight(j - center + 0.5, widen);
      weights[i * count + j - start] = weight;
      sum += weight;
    }
    for (let k = i * count; k < (i + 1) * count; k++) weights[k] = weights[k]! / sum;
    first[i] = start;
  }
  return { source, target, count, first, weights };
}

// Four loops, because this is where the time goes: along rows every output pixel sums its own few neighbours; along columns
// whole rows are added up. Bytes are computed with 22-bit fixed-point weights.

const FIXED_BITS = 22;
const FIXED_HALF = 1 << (FIXED_BITS - 1);

function toFixed(weights: Float64Array): Int32Array {
  const fixed = new Int32Array(weights.length);
  for (let i = 0; i < fixed.length; i++) {
    fixed[i] = weights[i]! * (1 << FIXED_BITS) + (weights[i]! < 0 ? -0.5 : 0.5);
  }
  return fixed;
}

function filterRows(data: Uint8Array | Float32Array, rows: number, channels: number, taps: Taps) {
  return data instanceof Uint8Array
    ? filterByteRows(data, rows, channels, taps)
    : filterFloatRows(data, rows, channels, taps);
}

function filterByteRows(data: Uint8Array, rows: number, channels: number, taps: Taps): Uint8Array {
  const { source, target, count, first } = taps;
  const fixed = toFixed(taps.weights);
  const out = new Uint8ClampedArray(rows * target * channels);
  let to = 0;
  for (let y = 0; y < rows; y++) {
    for (let i = 0; i < target; i++) {
      const pixel = (y * source + first[i]!) * channels;
      for (let c = 0; c < channels; c++) {
        let sum = FIXED_HALF;
        let from = pixel + c;
        for (let w = i * count; w < (i + 1) * count; w++) {
          sum = (sum + Math.imul(fixed[w]!, data[from]!)) | 0;
          from += channels;
        }
        out[to++] = sum >> FIXED_BITS;
      }
    }
  }
  return new Uint8Array(out.buffer);
}

function filterFloatRows(data: Float32Array, rows: number, channels: number, taps: Taps): Float32Array {
  const { source, target, count, first, weights } = taps;
  const out = new Float32Array(rows * target * channels);
  let to = 0;
  for (let y = 0; y < rows; y++) {
    for (let i = 0; i < target; i++) {
      const pixel = (y * source + first[i]!) * channels;
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        let from = pixel + c;
        for (let w = i * count; w < (i + 1) * count; w++) {
          sum += weights[w]! * data[from]!;
          from += channels;
        }
        out[to++] = sum;
      }
    }
  }
  return out;
}

function filterColumns(data: Uint8Array | Float32Array, rowLength: number, taps: Taps) {
  return data instanceof Uint8Array
    ? filterByteColumns(data, rowLength, taps)
    : filterFloatColumns(data, rowLength, taps);
}

function filterByteColumns(data: Uint8Array, rowLength: number, taps: Taps): Uint8Array {
  const { target, count, first } = taps;
  const fixed = toFixed(taps.weights);
  const out = new Uint8ClampedArray(target * rowLength);
  const sums = new Int32Array(rowLength);
  for (let i = 0; i < target; i++) {
    sums.fill(FIXED_HALF);
    for (let t = 0; t < count; t++) {
      const weight = fixed[i * count + t]!;
      if (weight === 0) continue;
      const from = (first[i]! + t) * rowLength;
      for (let k = 0; k < rowLength; k++) sums[k] = (sums[k]! + Math.imul(weight, data[from + k]!)) | 0;
    }
    const to = i * rowLength;
    for (let k = 0; k < rowLength; k++) out[to + k] = sums[k]! >> FIXED_BITS;
  }
  return new Uint8Array(out.buffer);
}

function filterFloatColumns(data: Float32Array, rowLength: number, taps: Taps): Float32Array {
  const { target, count, first, weights } = taps;
  const out = new Float32Array(target * rowLength);
  const sums = new Float64Array(rowLength);
  for (let i = 0; i < target; i++) {
    sums.fill(0);
    for (let t = 0; t < count; t++) {
      const weight = weights[i * count + t]!;
      if (weight === 0) continue;
      const from = (first[i]! + t) * rowLength;
      for (let k = 0; k < rowLength; k++) sums[k] = sums[k]! + weight * data[from + k]!;
    }
    out.set(sums, i * rowLength);
  }
  return out;
}

/** Channels of a raster whose sizes are sound. */
function checkSizes(who: string, { width, height, data }: Raster<ArrayLike<number>>, size: Size): number {
  const channels = data.length / (width * height);
  if (!Number.isInteger(channels) || channels < 1) {
    throw new UsageError(`${who}: ${data.length} values do not make ${width} x ${height} pixels.`);
  }
  if (!(Number.isInteger(size.width) && Number.isInteger(size.height) && size.width > 0 && size.height > 0)) {
    throw new UsageError(`${who}: target size ${size.width} x ${size.height}; allowed: positive integers.`);
  }
  return channels;
}

function cubicWeight(x: number): number {
  const a = -0.5;
  const d = Math.abs(x);
  if (d < 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  return d < 2 ? (((d - 5) * d + 8) * d - 4) * a : 0;
}
