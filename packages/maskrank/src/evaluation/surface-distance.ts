// Distances between the surfaces of two masks and the metrics made of them: surface Dice and overlap at a tolerance
// (Nikolov 2021), robust Hausdorff, average distance. Images and volumes, any spacing. Semantics, border codes and element
// sizes are those of google-deepmind/surface-distance, quirks included (empty masks give NaN and Infinity).
// Not here: what an evaluation makes of empty masks (measure.ts), overlap of areas (overlap.ts).

import { UsageError } from '@maskrank/torch/errors';
import type { Mask } from '../imaging/types.ts';
import { nearestDistances } from './nearest-surface.ts';
import { type Grid, type Lattice, latticeOf, surfaceElements } from './surface-elements.ts';

export type { Grid } from './surface-elements.ts';

/**
 * For each surface element of either mask: its distance to the other mask's surface, and its size. Distances have the
 * spacing's unit (Infinity when the other mask is empty), sizes too in 2-D (a length) and its square in 3-D (an area).
 * Elements stand in row-major order; the reference sorts them by distance.
 */
export type SurfaceDistances = {
  readonly truthToPrediction: Float64Array;
  readonly predictionToTruth: Float64Array;
  readonly truthSizes: Float64Array;
  readonly predictionSizes: Float64Array;
};

/** A mask as a grid, without a copy. */
export function gridOf(mask: Mask): Grid {
  return { shape: [mask.height, mask.width], data: mask.data };
}

/**
 * Surface distances between two grids of one shape.
 *
 * @param spacing size of a pixel or voxel by axis, in the order of the shape (row height first): millimetres for
 *   distances in mm, ones for distances in pixels
 */
export function surfaceDistances(
  truth: Grid,
  prediction: Grid,
  spacing: readonly number[],
): SurfaceDistances {
  check(truth, prediction, spacing);
  const t = surfaceElements(truth, spacing);
  const p = surfaceElements(prediction, spacing);
  const lattice = latticeOf(truth);
  const steps = (spacing.length === 2 ? [1, ...spacing] : spacing) as unknown as Lattice;
  return {
    truthToPrediction: nearestDistances(p.corners, t.corners, lattice, steps),
    predictionToTruth: nearestDistances(t.corners, p.corners, lattice, steps),
    truthSizes: t.sizes,
    predictionSizes: p.sizes,
  };
}

/** Surface within a tolerance of the other mask's surface, and all of it, of both masks together. */
export type SurfaceAgreement = { readonly within: number; readonly total: number };

/** The two sums of surface Dice, which add up over images for a pooled value. */
export function surfaceAgreement(d: SurfaceDistances, tolerance: number): SurfaceAgreement {
  return {
    within:
      sizeWithin(d.truthToPrediction, d.truthSizes, tolerance) +
      sizeWithin(d.predictionToTruth, d.predictionSizes, tolerance),
    total: sum(d.truthSizes) + sum(d.predictionSizes),
  };
}

/**
 * Surface Dice: the share of both surfaces that lies within `tolerance` (inclusive, unit of the spacing) of the other.
 * NaN when both masks are empty, 0 when one is.
 */
export function surfaceDice(d: SurfaceDistances, tolerance: number): number {
  const { within, total } = surfaceAgreement(d, tolerance);
  return within / total;
}

/** Share of each surface within `tolerance` (inclusive) of the other; NaN for an empty mask. */
export function surfaceOverlap(
  d: SurfaceDistances,
  tolerance: number,
): { readonly truth: number; readonly prediction: number } {
  return {
    truth: sizeWithin(d.truthToPrediction, d.truthSizes, tolerance) / sum(d.truthSizes),
    prediction: sizeWithin(d.predictionToTruth, d.predictionSizes, tolerance) / sum(d.predictionSizes),
  };
}

/**
 * Robust Hausdorff distance: the larger of both directions' percentiles, weighted by element size. `percent` 100 is the
 * Hausdorff distance. Infinity when either mask is empty, also when both are (as the reference has it).
 */
export function robustHausdorff(d: SurfaceDistances, percent: number): number {
  if (!(percent >= 0 && percent <= 100)) {
    throw new UsageError(`robustHausdorff: percent = ${percent}; allowed: 0 to 100.`);
  }
  return Math.max(
    weightedPercentile(d.truthToPrediction, d.truthSizes, percent),
    weightedPercentile(d.predictionToTruth, d.predictionSizes, percent),
  );
}

/** Mean distance in each direction, weighted by element size. NaN from an empty mask, Infinity to one. */
export function averageSurfaceDistance(d: SurfaceDistances): {
  readonly truthToPrediction: number;
  readonly predictionToTruth: number;
} {
  return {
    truthToPrediction: weightedMean(d.truthToPrediction, d.truthSizes),
    predictionToTruth: weightedMean(d.predictionToTruth, d.predictionSizes),
  };
}

function check(truth: Grid, prediction: Grid, spacing: readonly number[]): void {
  const [a, b] = [truth.shape, prediction.shape];
  if (a.length !== b.length || a.some((n, axis) => n !== b[axis])) {
    throw new UsageError(
      `surfaceDistances: truth is [${a}], prediction is [${b}]; both need the same shape.`,
    );
  }
  if (a.length !== 2 && a.length !== 3) {
    throw new UsageError(
      `surfaceDistances: shape [${a}]; allowed: [rows, columns] or [slices, rows, columns].`,
    );
  }
  const places = a.reduce((n, size) => n * size, 1);
  for (const [name, { data }] of Object.entries({ truth, prediction })) {
    if (data.length !== places) {
      throw new UsageError(
        `surfaceDistances: ${name} has ${data.length} values; its shape [${a}] needs ${places}.`,
      );
    }
  }
  if (spacing.length !== a.length || !spacing.every((s) => s > 0 && Number.isFinite(s))) {
    throw new UsageError(
      `surfaceDistances: spacing = [${spacing}]; allowed: ${a.length} positive numbers, one an axis of [${a}].`,
    );
  }
}

function sum(values: Float64Array): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

function sizeWithin(distances: Float64Array, sizes: Float64Array, tolerance: number): number {
  let within = 0;
  for (let i = 0; i < distances.length; i++) if (distances[i]! <= tolerance) within += sizes[i]!;
  return within;
}

function weightedMean(distances: Float64Array, sizes: Float64Array): number {
  let total = 0;
  for (let i = 0; i < distances.length; i++) total += distances[i]! * sizes[i]!;
  return total / sum(sizes);
}

/**
 * First distance, in ascending order, at which the cumulated share of sizes reaches the percentage. Small shapes reach 50
 * or 95 % exactly, and rounding then decides; so order and sums are the reference's: by distance, then by size, the
 * shares cumulated one by one and divided by numpy's pairwise total.
 */
function weightedPercentile(distances: Float64Array, sizes: Float64Array, percent: number): number {
  if (distances.length === 0) return Infinity;
  const sortedDistances = distances.slice().sort();
  const sortedSizes = sizesInOrder(sortedDistances, distances, sizes);
  const total = pairwiseSum(sortedSizes, 0, sortedSizes.length);
  let cumulated = 0;
  for (let i = 0; i < sortedSizes.length; i++) {
    cumulated += sortedSizes[i]!;
    if (cumulated / total >= percent / 100) return sortedDistances[i]!;
  }
  return sortedDistances.at(-1)!;
}

/** Sizes of the sorted distances, ascending among equal ones. (Sorting pairs by a comparator takes ten times as long.) */
function sizesInOrder(sorted: Float64Array, distances: Float64Array, sizes: Float64Array): Float64Array {
  const out = new Float64Array(sorted.length);
  const taken = new Int32Array(sorted.length); // places used, by the first place of a run of equal distances
  for (let i = 0; i < distances.length; i++) {
    let [low, high] = [0, sorted.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sorted[middle]! >= distances[i]!) high = middle;
      else low = middle + 1;
    }
    out[low + taken[low]!++] = sizes[i]!;
  }
  for (let start = 0; start < taken.length; start += taken[start]!) {
    if (taken[start]! > 1) out.subarray(start, start + taken[start]!).sort();
  }
  return out;
}

/** The order in which numpy adds: halves down to 128 values, these in eight interleaved sums. */
function pairwiseSum(values: Float64Array, start: number, count: number): number {
  if (count > 128) {
    const half = (count >> 1) - ((count >> 1) % 8);
    return pairwiseSum(values, start, half) + pairwiseSum(values, start + half, count - half);
  }
  const lanes = count < 8 ? [] : [...values.subarray(start, start + 8)];
  let i = lanes.length;
  for (; lanes.length > 0 && i + 8 <= count; i += 8) {
    for (let lane = 0; lane < 8; lane++) lanes[lane]! += values[start + i + lane]!;
  }
  const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = lanes;
  let total = a + b + (c + d) + (e + f + (g + h));
  for (; i < count; i++) total += values[start + i]!;
  return total;
}
