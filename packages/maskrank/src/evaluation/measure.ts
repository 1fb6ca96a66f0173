// Measures one predicted mask against one true mask: the measured part of a case's record in evaluation.json. What is measured and what it is
// worth where a mask is empty are two steps, so that a record can be valued anew under another policy.
// Not here: which case, class and stage it is, and where the prediction comes from (the caller adds these).

import { UsageError } from '@maskrank/torch/errors';
import {
  countOverlap,
  distanceWhereEmpty,
  type EmptiesPolicy,
  emptinessOf,
  type OverlapMetric,
  overlap,
  shareWhereEmpty,
} from './overlap.ts';
import type { CaseResult, Tolerance } from './schema.ts';
import {
  averageSurfaceDistance,
  type Grid,
  robustHausdorff,
  type SurfaceDistances,
  surfaceAgreement,
  surfaceDistances,
} from './surface-distance.ts';

export type MeasureOptions = {
  /** Tolerances of surface Dice. Those in mm need `spacingMm`. */
  readonly tolerances: readonly Tolerance[];
  readonly empties: EmptiesPolicy;
  /** Size of a pixel by axis in the order of the grid's shape (row height first), mm. Adds the distances in mm. */
  readonly spacingMm?: readonly number[];
};

export type Measurement = Omit<CaseResult, 'case' | 'group' | 'class' | 'stage' | 'prompt'>;

/** What of a record is measured, whatever the policy for empty masks; distances of an empty mask are of no matter. */
type Measured = Pick<
  CaseResult,
  'shape' | 'spacingMm' | 'empty' | 'counts' | 'surfaceWithin' | 'surfaceTotal' | Distance
>;
type Distance = 'hd95Px' | 'hd95Mm' | 'averageDistancePx' | 'averageDistanceMm';

/** Both grids need the same shape; masks become grids by `gridOf`. */
export function measure(truth: Grid, prediction: Grid, options: MeasureOptions): Measurement {
  const { tolerances, empties, spacingMm } = options;
  const counts = countOverlap(truth.data, prediction.data);
  const px = surfaceDistances(truth, prediction, onesFor(truth.shape));
  const mm = spacingMm && surfaceDistances(truth, prediction, spacingMm);
  const surfaceWithin: Record<string, number> = {};
  for (const { key, value, unit } of tolerances) {
    const distances = unit === 'px' ? px : mm;
    if (distances === undefined) {
      throw new UsageError(
        `measure: tolerance ${key} is in mm, but the image has no spacing; give spacingMm or a tolerance in px.`,
      );
    }
    surfaceWithin[key] = surfaceAgreement(distances, value).within;
  }
  const total = (distances: SurfaceDistances) => surfaceAgreement(distances, 0).total;
  const measured: Measured = {
    shape: [...truth.shape],
    empty: emptinessOf(counts),
    counts,
    surfaceWithin,
    surfaceTotal: { px: total(px), ...(mm && { mm: total(mm) }) },
    ...distancesOf(px, 'Px'),
    ...(spacingMm && mm && { spacingMm: [...spacingMm], ...distancesOf(mm, 'Mm') }),
  };
  return { ...measured, ...valuesUnder(measured, tolerances, empties) };
}

/** The metrics of a record under a policy for empty masks. */
export function valuesUnder(
  { shape, spacingMm, empty, counts, surfaceWithin, surfaceTotal, ...distances }: Measured,
  tolerances: readonly Tolerance[],
  empties: EmptiesPolicy,
) {
  const share = (metric: OverlapMetric) => orNull(overlap(metric, counts, empties));
  const surfaceDice = tolerances.map(({ key, unit }) => {
    const value = (surfaceWithin[key] ?? Number.NaN) / (surfaceTotal[unit] ?? Number.NaN);
    return [key, orNull(shareWhereEmpty(value, empty, empties))] as const;
  });
  const distance = (key: Distance, spacing: readonly number[]) =>
    orNull(distanceWhereEmpty(distances[key] ?? Number.NaN, empty, empties, diagonal(shape, spacing)));
  const ones = onesFor(shape);
  return {
    dice: share('dice'),
    iou: share('iou'),
    precision: share('precision'),
    recall: share('recall'),
    surfaceDice: Object.fromEntries(surfaceDice),
    hd95Px: distance('hd95Px', ones),
    averageDistancePx: distance('averageDistancePx', ones),
    ...(spacingMm && {
      hd95Mm: distance('hd95Mm', spacingMm),
      averageDistanceMm: distance('averageDistanceMm', spacingMm),
    }),
  };
}

function distancesOf<U extends 'Px' | 'Mm'>(distances: SurfaceDistances, unit: U) {
  const { truthToPrediction, predictionToTruth } = averageSurfaceDistance(distances);
  return {
    [`hd95${unit}`]: robustHausdorff(distances, 95),
    [`averageDistance${unit}`]: (truthToPrediction + predictionToTruth) / 2,
  } as Record<`hd95${U}` | `averageDistance${U}`, number>;
}

const onesFor = (shape: readonly number[]): number[] => shape.map(() => 1);

/** Largest distance that fits in the image, in the spacing's unit. */
function diagonal(shape: readonly number[], spacing: readonly number[]): number {
  return Math.hypot(...shape.map((n, axis) => n * spacing[axis]!));
}

const orNull = (value: number): number | null => (Number.isNaN(value) ? null : value);
