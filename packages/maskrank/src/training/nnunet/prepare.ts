// From an image as stored to what nnU-Net's networks see, and back: cropped to what is not zero, resampled to the target spacing,
// each channel normalised by its scheme. Intensities stay as they are stored; normalisation is applied to patches.
// Axes are in the plan's order. Shapes: C channels, K logits, S... spatial sizes.

import type { NormalisationScheme, Sizes } from '../../models/nnunet/index.ts';
import { newShape, percentile } from '../../models/nnunet/index.ts';
import type { Random } from '../../util/random.ts';
import { countOf, forSharedRows, type Grid, resample, type Values, window } from './grid.ts';

/** A channel's normalisation: cut to low..high, less the mean, over the standard deviation. */
export type ChannelScale = {
  readonly low: number;
  readonly high: number;
  readonly mean: number;
  readonly sd: number;
};

/** Where a prepared image lies in the stored one. */
export type Placement = {
  readonly original: Sizes;
  /** The box that is not zero, voxels of the stored image. */
  readonly start: Sizes;
  readonly size: Sizes;
};

export type PreparedImage = Grid & {
  readonly scales: readonly ChannelScale[];
  /** 1 inside the object where normalisation is confined to it, [S...]; else null. */
  readonly inside: Uint8Array | null;
  readonly placement: Placement;
};

export type PrepareOptions = {
  /** Of the stored image and of the prepared one; one number an axis, any unit. */
  readonly spacing: Sizes;
  readonly targetSpacing: Sizes;
  /** A channel each. */
  readonly normalisation: readonly { readonly scheme: NormalisationScheme; readonly insideMask: boolean }[];
  /** Of all training images, a channel each; for scheme `ct`. */
  readonly foreground: readonly ForegroundStatistics[];
};

/** Of the intensities under the masks of all training images, a channel. */
export type ForegroundStatistics = ChannelScale;

export function prepareImage(image: Grid, options: PrepareOptions): PreparedImage {
  const { start, size } = nonzeroBox(image);
  const cropped = window(image, start, size);
  const isMasked = options.normalisation.some(({ insideMask }) => insideMask);
  const inside = isMasked ? objectMask(cropped) : null;
  const count = countOf(size);
  const scales = options.normalisation.map(({ scheme, insideMask }, c) =>
    SCALES[scheme](
      cropped.values.subarray(c * count, (c + 1) * count),
      insideMask ? inside : null,
      options.foreground[c],
    ),
  );
  const shape = newShape(size, options.spacing, options.targetSpacing).map((side) => Math.max(1, side));
  const mask = inside && resample({ shape: size, channels: 1, values: inside }, shape, 'nearest');
  return {
    ...resample(cropped, shape, 'smooth'),
    scales,
    inside: mask?.values ?? null,
    placement: { original: image.shape, start, size },
  };
}

/** Masks or labels of the stored image on the prepared one. */
export function prepareTruth(truth: Grid<Uint8Array>, { shape, placement }: PreparedImage): Grid<Uint8Array> {
  return resample(window(truth, placement.start, placement.size), shape, 'nearest');
}

/** Values on the prepared image at the stored one's size; outside the box they are `fill`. */
export function toOriginal(
  grid: Grid<Float32Array>,
  { original, start, size }: Placement,
  fill: number,
): Grid<Float32Array> {
  const inBox = resample(grid, size, 'linear');
  const from = start.map((s) => -s);
  return window(inBox, from, original, fill);
}

/** A window of the prepared image, normalised: [C, size...] of float32, 0 outside the image. */
export function normalisedWindow(image: PreparedImage, start: Sizes, size: Sizes): Float32Array<ArrayBuffer> {
  const { shape, channels, values, scales, inside } = image;
  const [count, windowed] = [countOf(shape), countOf(size)];
  const out = new Float32Array(channels * windowed);
  for (const [c, { low, high, mean, sd }] of scales.entries()) {
    forSharedRows(shape, start, size, (inGrid, inWindow, length) => {
      for (let i = 0; i < length; i++) {
        if (inside !== null && inside[inGrid + i] === 0) continue;
        const value = values[c * count + inGrid + i] as number;
        out[c * windowed + inWindow + i] = (Math.min(Math.max(value, low), high) - mean) / sd;
      }
    });
  }
  return out;
}

/** The smallest box that holds every position where a channel is not zero; everything where there is none. */
export function nonzeroBox({ shape, channels, values }: Grid): {
  readonly start: number[];
  readonly size: number[];
} {
  const low = shape.map((side) => side);
  const high = shape.map(() => -1);
  const count = countOf(shape);
  const place = shape.map(() => 0);
  for (let i = 0; i < count; i++) {
    let isNonzero = false;
    for (let c = 0; c < channels && !isNonzero; c++) isNonzero = values[c * count + i] !== 0;
    if (isNonzero) {
      for (const [axis, at] of place.entries()) {
        if (at < (low[axis] as number)) low[axis] = at;
        if (at > (high[axis] as number)) high[axis] = at;
      }
    }
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const next = (place[axis] as number) + 1;
      place[axis] = next === shape[axis] ? 0 : next;
      if (next !== shape[axis]) break;
    }
  }
  if (high.some((at) => at < 0)) return { start: shape.map(() => 0), size: [...shape] };
  return { start: low, size: high.map((at, axis) => at - (low[axis] as number) + 1) };
}

/** 1 where a channel is not zero, and in the holes of that: what cannot be reached from the border through zeros. */
export function objectMask({ shape, channels, values }: Grid): Uint8Array<ArrayBuffer> {
  const count = countOf(shape);
  const mask = new Uint8Array(count).fill(1);
  const isZero = (i: number): boolean => {
    for (let c = 0; c < channels; c++) if (values[c * count + i] !== 0) return false;
    return true;
  };
  const steps = shape.map((_, axis) => countOf(shape.slice(axis + 1)));
  const at = (i: number, axis: number): number =>
    Math.floor(i / (steps[axis] as number)) % (shape[axis] as number);
  const queue: number[] = [];
  const visit = (i: number): void => {
    if (mask[i] === 0 || !isZero(i)) return;
    mask[i] = 0;
    queue.push(i);
  };
  for (let i = 0; i < count; i++) {
    if (shape.some((side, axis) => at(i, axis) === 0 || at(i, axis) === side - 1)) visit(i);
  }
  for (let i = queue.pop(); i !== undefined; i = queue.pop()) {
    for (const [axis, side] of shape.entries()) {
      if (at(i, axis) > 0) visit(i - (steps[axis] as number));
      if (at(i, axis) < side - 1) visit(i + (steps[axis] as number));
    }
  }
  return mask;
}

/** A scale for each scheme, from a channel's values and, where it counts alone, what is inside the object. */
const SCALES: Readonly<
  Record<
    NormalisationScheme,
    (values: Values, inside: Uint8Array | null, foreground: ForegroundStatistics | undefined) => ChannelScale
  >
> = {
  'z-score': (values, inside) => ({ ...UNCUT, ...moments(values, inside) }),
  ct: (_, __, foreground) => foreground ?? { ...UNCUT, mean: 0, sd: 1 },
  rescale: (values) => {
    let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (const value of values) {
      low = Math.min(low, value);
      high = Math.max(high, value);
    }
    return { ...UNCUT, mean: low, sd: Math.max(high - low, 1e-8) };
  },
  rgb: () => ({ ...UNCUT, mean: 0, sd: 255 }),
  none: () => ({ ...UNCUT, mean: 0, sd: 1 }),
};

const UNCUT = { low: Number.NEGATIVE_INFINITY, high: Number.POSITIVE_INFINITY } as const;

function moments(values: Values, inside: Uint8Array | null): { readonly mean: number; readonly sd: number } {
  let [count, sum, squares] = [0, 0, 0];
  for (let i = 0; i < values.length; i++) {
    if (inside !== null && inside[i] === 0) continue;
    const value = values[i] as number;
    count += 1;
    sum += value;
    squares += value * value;
  }
  const mean = count === 0 ? 0 : sum / count;
  const variance = count === 0 ? 0 : Math.max(squares / count - mean * mean, 0);
  return { mean, sd: Math.max(Math.sqrt(variance), 1e-8) };
}

/** Values under masks that are looked at, of all images together. */
const MOST_VALUES = 1_000_000;

/** Collects the intensities under masks, image by image, and says what they are like. */
export class ForegroundCollector {
  readonly #values: number[][];
  readonly #perImage: number;

  constructor(channels: number, images: number) {
    this.#values = Array.from({ length: channels }, () => []);
    this.#perImage = Math.max(1, Math.floor(MOST_VALUES / Math.max(images, 1)));
  }

  /** @param places flat positions of the foreground */
  add({ shape, values }: Grid, places: ArrayLike<number>, random: Random): void {
    const count = countOf(shape);
    const all = places.length <= this.#perImage;
    for (let k = 0; k < Math.min(places.length, this.#perImage); k++) {
      const place = places[all ? k : random.int(0, places.length)] as number;
      for (const [c, list] of this.#values.entries()) list.push(values[c * count + place] as number);
    }
  }

  /** A channel each; an image's own values remain as they are where nothing was collected. */
  statistics(): ForegroundStatistics[] {
    return this.#values.map((list) =>
      list.length === 0
        ? { ...UNCUT, mean: 0, sd: 1 }
        : {
            low: percentile(list, 0.5),
            high: percentile(list, 99.5),
            ...moments(Float32Array.from(list), null),
          },
    );
  }
}
