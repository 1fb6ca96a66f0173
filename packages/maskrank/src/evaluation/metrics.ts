// The metrics of an evaluation by key: name, unit, direction, how to read one from a case's record, and the two sums
// that make its pooled value. Not here: measuring (measure.ts).

import type { CaseResult, Tolerance } from './schema.ts';

export type Metric = {
  /** Key in summaries and comparisons: `dice`, `surfaceDice@2px`, `hd95Px`. */
  readonly key: string;
  readonly title: string;
  /** `share`: 0..1, shown as percent. */
  readonly unit: 'share' | 'px' | 'mm';
  readonly higherIsBetter: boolean;
  /** Changes up to this size count as unchanged, in the unit. */
  readonly epsilon: number;
  /** The record's value; null or undefined where it has none. */
  readonly value: (record: CaseResult) => number | null | undefined;
  /** Numerator and denominator of the pooled value, which add up over cases; absent for distances. */
  readonly pooled?: (record: CaseResult) => { readonly part: number; readonly whole: number };
};

/** A tenth of a point, as in the share of images that get better or worse. */
const SHARE_EPSILON = 0.001;
/** A tenth of a pixel or millimetre. */
const DISTANCE_EPSILON = 0.1;

const share = { unit: 'share', higherIsBetter: true, epsilon: SHARE_EPSILON } as const;
const distance = { higherIsBetter: false, epsilon: DISTANCE_EPSILON } as const;

const OVERLAP: readonly Metric[] = [
  {
    ...share,
    key: 'dice',
    title: 'Dice',
    value: (r) => r.dice,
    pooled: ({ counts: c }) => ({
      part: 2 * c.truePositive,
      whole: 2 * c.truePositive + c.falsePositive + c.falseNegative,
    }),
  },
  {
    ...share,
    key: 'iou',
    title: 'IoU',
    value: (r) => r.iou,
    pooled: ({ counts: c }) => ({
      part: c.truePositive,
      whole: c.truePositive + c.falsePositive + c.falseNegative,
    }),
  },
  {
    ...share,
    key: 'precision',
    title: 'Precision',
    value: (r) => r.precision,
    pooled: ({ counts: c }) => ({ part: c.truePositive, whole: c.truePositive + c.falsePositive }),
  },
  {
    ...share,
    key: 'recall',
    title: 'Recall',
    value: (r) => r.recall,
    pooled: ({ counts: c }) => ({ part: c.truePositive, whole: c.truePositive + c.falseNegative }),
  },
];

const DISTANCES_PX: readonly Metric[] = [
  { ...distance, key: 'hd95Px', title: 'Hausdorff 95 %', unit: 'px', value: (r) => r.hd95Px },
  {
    ...distance,
    key: 'averageDistancePx',
    title: 'Average surface distance',
    unit: 'px',
    value: (r) => r.averageDistancePx,
  },
];

const DISTANCES_MM: readonly Metric[] = [
  { ...distance, key: 'hd95Mm', title: 'Hausdorff 95 %', unit: 'mm', value: (r) => r.hd95Mm },
  {
    ...distance,
    key: 'averageDistanceMm',
    title: 'Average surface distance',
    unit: 'mm',
    value: (r) => r.averageDistanceMm,
  },
];

/** `{2, px}` -> `2px`. */
export function tolerance(value: number, unit: 'px' | 'mm'): Tolerance {
  return { key: `${value}${unit}`, value, unit };
}

/** All metrics of an evaluation, in the order to show. `millimetres`: its cases have a spacing. */
export function metricsOf(tolerances: readonly Tolerance[], millimetres: boolean): Metric[] {
  const surface = tolerances.map(
    ({ key, value, unit }): Metric => ({
      ...share,
      key: `surfaceDice@${key}`,
      title: `Surface Dice at ${value} ${unit}`,
      value: (r) => r.surfaceDice[key],
      pooled: (r) => ({ part: r.surfaceWithin[key] ?? 0, whole: r.surfaceTotal[unit] ?? 0 }),
    }),
  );
  return [...OVERLAP, ...surface, ...DISTANCES_PX, ...(millimetres ? DISTANCES_MM : [])];
}
