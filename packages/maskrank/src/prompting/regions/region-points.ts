// Points inside regions (and outside them), drawn without replacement from a weight for every pixel. Coordinates are pixel
// indices. Not here: points from masks in training (imaging/points.ts).

import { invert } from '../../imaging/morphology.ts';
import { depthsInside } from '../../imaging/points.ts';
import type { FloatMap, Mask, Point } from '../../imaging/types.ts';
import type { Random } from '../../util/random.ts';
import type { PointOptions } from './options.ts';

type Weights = Float64Array;
type Placing = (region: Mask, options: PointOptions, saliency: FloatMap | null) => Weights;

const PLACINGS: Readonly<Record<PointOptions['placing'], Placing>> = {
  uniform: (region) => Float64Array.from(region.data),
  core: (region, { depthShare }) => {
    const depths = depthsInside(region);
    const limit = depths.reduce((a, b) => Math.max(a, b), 0) * depthShare ** 2;
    return depths.map((depth) => (depth > 0 && depth >= limit ? 1 : 0));
  },
  saliency: (region, _options, saliency) => {
    const weights = Float64Array.from(region.data, (inside, i) => (inside === 0 ? 0 : saliency!.data[i]!));
    return weights.some((w) => w > 0) ? weights : Float64Array.from(region.data);
  },
};

/** Foreground points in a region; fewer where it has fewer pixels to choose from. */
export function pointsInside(
  region: Mask,
  options: PointOptions,
  saliency: FloatMap | null,
  random: Random,
): Point[] {
  if (options.count === 0) return [];
  const weights = PLACINGS[options.placing](region, options, saliency);
  return drawPoints(weights, region.width, options.count, random, 1);
}

/** Background points: anywhere outside. */
export function pointsOutside(regions: Mask, count: number, random: Random): Point[] {
  if (count === 0) return [];
  return drawPoints(Float64Array.from(invert(regions).data), regions.width, count, random, 0);
}

function drawPoints(weights: Weights, width: number, count: number, random: Random, label: 0 | 1): Point[] {
  const left = weights.slice();
  const points: Point[] = [];
  while (points.length < count) {
    const pixel = drawPixel(left, random);
    if (pixel === undefined) break;
    left[pixel] = 0;
    points.push({ x: pixel % width, y: Math.floor(pixel / width), label });
  }
  return points;
}

/** A pixel in proportion to its weight; undefined where no weight is left. */
function drawPixel(weights: Weights, random: Random): number | undefined {
  let total = 0;
  for (let i = 0; i < weights.length; i++) total += weights[i]!;
  let rest = total * random.next();
  let last: number | undefined;
  for (let i = 0; i < weights.length; i++) {
    const weight = weights[i]!;
    if (weight <= 0) continue;
    if (rest < weight) return i;
    rest -= weight;
    last = i;
  }
  return last;
}
