// Measures one predicted mask against one true mask: the measured part of a case's record in evaluation.json.
// Not here: which case, class and stage it is, and where the prediction comes from (the caller adds these).

import { UsageError } from '@maskrank/torch/errors';
import {
  countOverlap,
  distanceWhereEmpty,
  type EmptiesPolicy,
  emptinessOf,
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

/** Both grids need the same shape; masks become grids by `gridOf`. */
export function measure(truth: Grid, prediction: Grid, options: MeasureOptions): Measurement {
  const { tolerances, empties, spacingMm } = options;
  const counts = countOverlap(truth.data, prediction.data);
  const empty = emptinessOf(counts);
  const ones = truth.shape.map(() => 1);
  const px = surfaceDistances(truth, prediction, ones);
  const mm = spacingMm && surfaceDistances(truth, prediction, spacingMm);

  const measurement: Measurement = {
    shape: [...truth.shape],
    empty,
    counts,
    dice: orNull(overlap('dice', counts, empties)),
    iou: orNull(overlap('iou', counts, empties)),
    precision: orNull(overlap('precision', counts, empties)),
    recall: orNull(overlap('recall', counts, empties)),
    surfaceDice: {},
    surfaceWithin: {},
    surfaceTotal: { px: surfaceAgreement(px, 0).total },
    ...distancesOf(px, 'Px', diagonal(truth.shape, ones)),
  };
  for (const { key, value, unit } of tolerances) {
    const distances = unit === 'px' ? px : mm;
    if (distances === undefined) {
      throw new UsageError(
        `measure: tolerance ${key} is in mm, but the image has no spacing; give spacingMm or a tolerance in px.`,
      );
    }
    const { within, total } = surfaceAgreement(distances, value);
    measurement.surfaceDice[key] = orNull(shareWhereEmpty(within / total, empty, empties));
    measurement.surfaceWithin[key] = within;
  }
  if (spacingMm === undefined || mm === undefined) return measurement;
  return {
    ...measurement,
    spacingMm: [...spacingMm],
    surfaceTotal: { ...measurement.surfaceTotal, mm: surfaceAgreement(mm, 0).total },
    ...distancesOf(mm, 'Mm', diagonal(truth.shape, spacingMm)),
  };

  function distancesOf<U extends 'Px' | 'Mm'>(d: SurfaceDistances, unit: U, largest: number) {
    const average = averageSurfaceDistance(d);
    const both = (average.truthToPrediction + average.predictionToTruth) / 2;
    return {
      [`hd95${unit}`]: orNull(distanceWhereEmpty(robustHausdorff(d, 95), empty, empties, largest)),
      [`averageDistance${unit}`]: orNull(distanceWhereEmpty(both, empty, empties, largest)),
    } as Record<`hd95${U}` | `averageDistance${U}`, number | null>;
  }
}

/** Largest distance that fits in the image, in the spacing's unit. */
function diagonal(shape: readonly number[], spacing: readonly number[]): number {
  return Math.hypot(...shape.map((n, axis) => n * spacing[axis]!));
}

const orNull = (value: number): number | null => (Number.isNaN(value) ? null : value);
