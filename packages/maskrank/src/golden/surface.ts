// Fixture surface_distance: surface distances, element sizes and the metrics made of them, images and volumes, with empty,
// full and touching cases; the tables of contour lengths and surface areas.

import { countOverlap, OVERLAP_METRICS } from '../evaluation/overlap.ts';
import {
  averageSurfaceDistance,
  type Grid,
  robustHausdorff,
  type SurfaceDistances,
  surfaceDice,
  surfaceDistances,
  surfaceOverlap,
} from '../evaluation/surface-distance.ts';
import { contourLengths, surfaceAreas } from '../evaluation/surface-tables.ts';
import { compareElements, need, numbers } from './compare.ts';
import type { CheckResult, Fixture, GoldenCheck } from './types.ts';

const ARRAYS = { absolute: 0, relative: 1e-5 };
const SCALARS = { absolute: 0, relative: 1e-6 };

/** The fixture writes numbers that JSON has not as `inf` and `nan`. */
type Scalar = number | 'inf' | 'nan';
type Scalars = {
  readonly average_surface_distance_gt_to_pred_pred_to_gt: readonly [Scalar, Scalar];
  readonly robust_hausdorff: Readonly<Record<string, Scalar>>;
  readonly surface_overlap_gt_pred: Readonly<Record<string, readonly [Scalar, Scalar]>>;
  readonly surface_dice: Readonly<Record<string, Scalar>>;
  readonly volumetric_dice: Scalar;
};

const toNumber = (x: Scalar): number =>
  x === 'inf' ? Number.POSITIVE_INFINITY : x === 'nan' ? Number.NaN : x;

function gridIn(fixture: Fixture, name: string): Grid {
  const { shape, data } = need(fixture, name);
  return { shape, data: data as Uint8Array };
}

/** The reference sorts the elements by distance, then by size. */
function sorted(distances: Float64Array, sizes: Float64Array): [Float64Array, Float64Array] {
  const order = [...distances.keys()].sort((a, b) => distances[a]! - distances[b]! || sizes[a]! - sizes[b]!);
  return [Float64Array.from(order, (i) => distances[i]!), Float64Array.from(order, (i) => sizes[i]!)];
}

function compareArrays(fixture: Fixture, name: string, d: SurfaceDistances): CheckResult[] {
  const [truthToPrediction, truthSizes] = sorted(d.truthToPrediction, d.truthSizes);
  const [predictionToTruth, predictionSizes] = sorted(d.predictionToTruth, d.predictionSizes);
  const arrays = {
    distances_gt_to_pred: truthToPrediction,
    distances_pred_to_gt: predictionToTruth,
    surfel_areas_gt: truthSizes,
    surfel_areas_pred: predictionSizes,
  };
  return Object.entries(arrays).map(([key, got]) =>
    compareElements(`${name} ${key}`, got, numbers(fixture, `out/${name}.${key}`), ARRAYS),
  );
}

function compareScalars(name: string, d: SurfaceDistances, ref: Scalars): CheckResult[] {
  const one = (what: string, got: readonly number[], expected: readonly Scalar[]) =>
    compareElements(`${name} ${what}`, got, expected.map(toNumber), SCALARS);
  const average = averageSurfaceDistance(d);
  return [
    one(
      'average distance',
      [average.truthToPrediction, average.predictionToTruth],
      ref.average_surface_distance_gt_to_pred_pred_to_gt,
    ),
    ...Object.entries(ref.robust_hausdorff).map(([percent, expected]) =>
      one(`robust Hausdorff ${percent} %`, [robustHausdorff(d, Number(percent))], [expected]),
    ),
    ...Object.entries(ref.surface_overlap_gt_pred).map(([tolerance, expected]) => {
      const got = surfaceOverlap(d, Number(tolerance));
      return one(`surface overlap at ${tolerance}`, [got.truth, got.prediction], expected);
    }),
    ...Object.entries(ref.surface_dice).map(([tolerance, expected]) =>
      one(`surface Dice at ${tolerance}`, [surfaceDice(d, Number(tolerance))], [expected]),
    ),
  ];
}

function compareCase(fixture: Fixture, name: string): CheckResult[] {
  const truth = gridIn(fixture, `in/${name}.gt`);
  const prediction = gridIn(fixture, `in/${name}.pred`);
  const d = surfaceDistances(truth, prediction, fixture.json.cases[name].spacing as number[]);
  const scalars = fixture.json.scalars_float64[name] as Scalars;
  const dice = OVERLAP_METRICS.dice(countOverlap(truth.data, prediction.data));
  return [
    ...compareArrays(fixture, name, d),
    ...compareScalars(name, d, scalars),
    compareElements(`${name} Dice`, [dice], [toNumber(scalars.volumetric_dice)], SCALARS),
  ];
}

/** Tables by the prefix of their name; the spacing follows, `spacing3_0.75_0.875`. */
const TABLES: Readonly<Record<string, (spacing: readonly number[]) => Float64Array>> = {
  'out/table_2d_contour_length.spacing': (s) => contourLengths(s as [number, number]),
  'out/table_3d_surface_area.spacing': (s) => surfaceAreas(s as [number, number, number]),
};

function compareTables(fixture: Fixture): CheckResult[] {
  return Object.entries(TABLES).flatMap(([prefix, table]) =>
    [...fixture.tensors.keys()]
      .filter((name) => name.startsWith(prefix))
      .map((name) => {
        const spacing = name.slice(prefix.length).split('_').map(Number);
        return compareElements(name, table(spacing), numbers(fixture, name), ARRAYS);
      }),
  );
}

export const surface: GoldenCheck = {
  covers: (name) => name === 'surface_distance',
  run: (fixture) => [
    ...compareTables(fixture),
    ...Object.keys(fixture.json.cases).flatMap((name) => compareCase(fixture, name)),
  ],
};
