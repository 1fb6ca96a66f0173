// What nnU-Net trains on: prepared images with their truth, and random patches of them, a third of which are bound to hold
// foreground. Not here: changing patches at random (augment.ts).
// Letters: C channels, T channels of the truth, S... spatial sizes.

import type { Sizes } from '../../models/nnunet/index.ts';
import type { Random } from '../../util/random.ts';
import { countOf, type Grid, window } from './grid.ts';
import { normalisedWindow, type PreparedImage } from './prepare.ts';

export type NnunetSample = {
  readonly image: PreparedImage;
  /** Labels [1, S...] (0 background, 1.. in the order of the classes), or regions [C, S...] of 0 and 1. */
  readonly truth: Grid<Uint8Array>;
  /** A list a class that is in the image: flat positions of it, at most 10,000. */
  readonly places: readonly Uint32Array[];
};

/** Positions kept of a class; more tell nothing new. */
const MOST_PLACES = 10_000;

export function makeSample(image: PreparedImage, truth: Grid<Uint8Array>, random: Random): NnunetSample {
  const count = countOf(truth.shape);
  const found = new Map<number, number[]>();
  for (let i = 0; i < truth.values.length; i++) {
    const value = truth.values[i] as number;
    if (value === 0) continue;
    const key = truth.channels === 1 ? value : Math.floor(i / count);
    const list = found.get(key);
    if (list === undefined) found.set(key, [i % count]);
    else list.push(i % count);
  }
  const classes = [...found].sort(([a], [b]) => a - b);
  return {
    image,
    truth,
    places: classes.map(([key, list]) =>
      Uint32Array.from(
        list.length <= MOST_PLACES ? list : random.fork(`places ${key}`).shuffle(list).slice(0, MOST_PLACES),
      ),
    ),
  };
}

export type Patch = {
  readonly image: Float32Array<ArrayBuffer>; // [C, size...]
  readonly truth: Uint8Array<ArrayBuffer>; // [T, size...]
};

export type PatchOptions = {
  /** Of the window that is cut out, at least as large as the patch; what turns and shrinks need lies around it. */
  readonly size: Sizes;
  /** Of the patch that training sees, the middle of the window. */
  readonly patch: Sizes;
  /** Whether the patch is to be around a random position of a random class. */
  readonly foreground: boolean;
};

/** A window at a random place, which may lie partly outside the image so that its middle reaches every border. */
export function randomPatch(
  { image, truth, places }: NnunetSample,
  options: PatchOptions,
  random: Random,
): Patch {
  const { size, patch, foreground } = options;
  const bounds = image.shape.map((side, axis) => {
    const n = size[axis] as number;
    const margin = Math.max(n - (patch[axis] as number), n - side);
    return { low: -Math.ceil(margin / 2), high: side + Math.ceil(margin / 2) - n };
  });
  const around = foreground && places.length > 0 ? placeOf(random.choice(places), image.shape, random) : null;
  const start = bounds.map(({ low, high }, axis) =>
    around === null
      ? random.int(low, Math.max(low, high) + 1)
      : Math.max(low, (around[axis] as number) - Math.floor((size[axis] as number) / 2)),
  );
  return {
    image: normalisedWindow(image, start, size),
    truth: window(truth, start, size).values as Uint8Array<ArrayBuffer>,
  };
}

/** Coordinates of one of the positions. */
function placeOf(places: Uint32Array, shape: Sizes, random: Random): number[] {
  let rest = places[random.int(0, places.length)] as number;
  const coordinates: number[] = [];
  for (const side of shape.toReversed()) {
    coordinates.unshift(rest % side);
    rest = Math.floor(rest / side);
  }
  return coordinates;
}

/** How many of a batch's patches are random; the rest holds foreground. */
export const randomPatches = (batchSize: number, foregroundShare: number): number =>
  Math.round(batchSize * (1 - foregroundShare));
