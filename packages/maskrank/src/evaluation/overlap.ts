// Overlap of a predicted and a true mask: Dice, IoU, precision, recall, from pixel counts, for one image or for many
// pooled; and what they are worth where a mask is empty, which every tool decides differently and few say.
// Not here: distances between surfaces (surface-distance.ts).

import { UsageError } from '@maskrank/torch/errors';

/** Pixels (voxels) by agreement. True negatives take no part in any of these metrics. */
export type OverlapCounts = {
  readonly truePositive: number;
  /** Predicted, not true. */
  readonly falsePositive: number;
  /** True, not predicted. */
  readonly falseNegative: number;
};

/** Which of the two masks holds nothing. */
export type Emptiness = 'neither' | 'truth' | 'prediction' | 'both';

/**
 * What an image counts where a mask is empty. Dice and IoU are 0/0 where both are; precision where nothing is predicted;
 * recall where nothing is there to find.
 *
 * - `exclude` (default): 0/0 is no value (NaN). The image leaves the mean and is counted as excluded. A missed object
 *   and a false alarm still have Dice 0. As in google-deepmind/surface-distance.
 * - `one`: both empty is perfect agreement, 1; any other 0/0 is 0. As in SAM-Med2D and MedCLIP-SAMv2. Raises the mean
 *   by the share of empty images.
 * - `zero`: any 0/0 is 0.
 * - `zero-if-missed`: only images that hold the object count: an empty truth is no value whatever was predicted, an
 *   empty prediction on it is 0 in every metric.
 */
export type EmptiesPolicy = (typeof EMPTIES_POLICIES)[number];
export const EMPTIES_POLICIES = ['exclude', 'one', 'zero', 'zero-if-missed'] as const;

/** Counts of one image. Non-zero is foreground. */
export function countOverlap(truth: Uint8Array, prediction: Uint8Array): OverlapCounts {
  if (truth.length !== prediction.length) {
    throw new UsageError(
      `countOverlap: truth has ${truth.length} pixels, prediction ${prediction.length}; both need the same size.`,
    );
  }
  let [truePositive, truths, predictions] = [0, 0, 0];
  for (let i = 0; i < truth.length; i++) {
    const t = truth[i] === 0 ? 0 : 1;
    const p = prediction[i] === 0 ? 0 : 1;
    truths += t;
    predictions += p;
    truePositive += t & p;
  }
  return { truePositive, falsePositive: predictions - truePositive, falseNegative: truths - truePositive };
}

/** Counts of many images taken as one: every pixel weighs the same, so large objects dominate. */
export function poolCounts(counts: Iterable<OverlapCounts>): OverlapCounts {
  let [truePositive, falsePositive, falseNegative] = [0, 0, 0];
  for (const c of counts) {
    truePositive += c.truePositive;
    falsePositive += c.falsePositive;
    falseNegative += c.falseNegative;
  }
  return { truePositive, falsePositive, falseNegative };
}

export function emptinessOf(counts: OverlapCounts): Emptiness {
  const truth = counts.truePositive + counts.falseNegative === 0;
  const prediction = counts.truePositive + counts.falsePositive === 0;
  if (truth && prediction) return 'both';
  return truth ? 'truth' : prediction ? 'prediction' : 'neither';
}

/** The four overlap metrics as ratios of counts; 0/0 is NaN here. */
export const OVERLAP_METRICS = {
  /** 2 TP / (2 TP + FP + FN) */
  dice: (c: OverlapCounts) => (2 * c.truePositive) / (2 * c.truePositive + c.falsePositive + c.falseNegative),
  /** TP / (TP + FP + FN) */
  iou: (c: OverlapCounts) => c.truePositive / (c.truePositive + c.falsePositive + c.falseNegative),
  /** TP / (TP + FP) */
  precision: (c: OverlapCounts) => c.truePositive / (c.truePositive + c.falsePositive),
  /** TP / (TP + FN) */
  recall: (c: OverlapCounts) => c.truePositive / (c.truePositive + c.falseNegative),
} as const;

export type OverlapMetric = keyof typeof OVERLAP_METRICS;

/** An overlap metric under a policy; NaN means that the image is excluded. */
export function overlap(
  metric: OverlapMetric,
  counts: OverlapCounts,
  empties: EmptiesPolicy = 'exclude',
): number {
  return shareWhereEmpty(OVERLAP_METRICS[metric](counts), emptinessOf(counts), empties);
}

export const dice = (counts: OverlapCounts, empties?: EmptiesPolicy): number =>
  overlap('dice', counts, empties);
export const iou = (counts: OverlapCounts, empties?: EmptiesPolicy): number =>
  overlap('iou', counts, empties);
export const precision = (counts: OverlapCounts, empties?: EmptiesPolicy): number =>
  overlap('precision', counts, empties);
export const recall = (counts: OverlapCounts, empties?: EmptiesPolicy): number =>
  overlap('recall', counts, empties);

/** Applies a policy to a metric that is a share (overlap, surface Dice). `value` is NaN where it is 0/0. */
export function shareWhereEmpty(value: number, empty: Emptiness, policy: EmptiesPolicy): number {
  switch (policy) {
    case 'exclude':
      return value;
    case 'one':
      return empty === 'both' ? 1 : zeroForNaN(value);
    case 'zero':
      return zeroForNaN(value);
    case 'zero-if-missed':
      return empty === 'truth' || empty === 'both' ? Number.NaN : zeroForNaN(value);
    default:
      return policy satisfies never;
  }
}

/**
 * Applies a policy to a surface distance. Where exactly one mask is empty the distance is undefined and counts as
 * `largest`, since leaving it out would reward missing an object; where both are, 0 under `one` and no value else.
 */
export function distanceWhereEmpty(
  value: number,
  empty: Emptiness,
  policy: EmptiesPolicy,
  largest: number,
): number {
  if (empty === 'neither') return value;
  if (empty === 'both') return policy === 'one' ? 0 : Number.NaN;
  return empty === 'truth' && policy === 'zero-if-missed' ? Number.NaN : largest;
}

const zeroForNaN = (value: number): number => (Number.isNaN(value) ? 0 : value);
