// Point prompts sampled from masks and from errors, by the rules of SAM-Med2D's training. Coordinates are pixel indices
// (x = column, y = row). Not here: how many points a round gets (training/), points from saliency (prompting/).

import { DataError, UsageError } from '@maskrank/torch/errors';
import type { Random } from '../util/random.ts';
import { byArea, labelComponents } from './components.ts';
import { squaredDistanceTransform } from './distance-transform.ts';
import { invert } from './morphology.ts';
import type { Mask, Point } from './types.ts';

/**
 * The first points of a case. One: a random foreground pixel, or a background pixel (label 0) where the mask is empty.
 * More: half foreground (rounded down), half background, with replacement, in random order; a side that has no pixels
 * gives its share to the other, where the reference crashes.
 */
export function initialPoints(mask: Mask, count: number, random: Random): Point[] {
  if (!Number.isInteger(count) || count < 1) {
    throw new UsageError(`initialPoints: count = ${count}; allowed: whole numbers from 1.`);
  }
  const foreground = pixelsWhere(mask, (i) => mask.data[i] !== 0);
  const background = pixelsWhere(mask, (i) => mask.data[i] === 0);
  const wanted = count === 1 ? 1 : Math.floor(count / 2);
  const inside = foreground.length === 0 ? 0 : background.length === 0 ? count : wanted;
  return random.shuffle([
    ...sample(mask, foreground, inside, random, 1),
    ...sample(mask, background, count - inside, random, 0),
  ]);
}

/**
 * Points on the prediction's errors, uniform with replacement: label 1 where foreground was missed, 0 where background was
 * taken. No errors give no points (the reference adds points with the ignored label -1, which are padding).
 */
export function correctionPoints(predicted: Mask, truth: Mask, count: number, random: Random): Point[] {
  if (predicted.data.length !== truth.data.length || predicted.width !== truth.width) {
    throw new UsageError(
      `correctionPoints: prediction ${predicted.width} x ${predicted.height}, truth ${truth.width} x ${truth.height}; allowed: equal sizes.`,
    );
  }
  const errors = pixelsWhere(truth, (i) => (predicted.data[i] !== 0) !== (truth.data[i] !== 0));
  if (errors.length === 0) return [];
  return Array.from({ length: count }, () => {
    const pixel = errors[random.int(0, errors.length)]!;
    return pointAt(truth, pixel, truth.data[pixel] !== 0 ? 1 : 0);
  });
}

/**
 * Foreground points away from the border: uniform over the pixels whose depth (distance to the nearest pixel outside)
 * is at least `depthShare` of the mask's greatest depth. With `depthShare` 0 the whole mask, with 1 its innermost pixels.
 */
export function corePoints(mask: Mask, count: number, random: Random, depthShare = 0.5): Point[] {
  if (!(depthShare >= 0 && depthShare <= 1)) {
    throw new UsageError(`corePoints: depthShare = ${depthShare}; allowed: 0..1.`);
  }
  const depths = depthsInside(mask);
  const deepest = depths.reduce((a, b) => Math.max(a, b), 0);
  if (deepest === 0)
    throw new DataError('corePoints: the mask is empty; allowed: at least one foreground pixel.');
  const core = pixelsWhere(mask, (i) => depths[i]! > 0 && depths[i]! >= deepest * depthShare * depthShare);
  return sample(mask, core, count, random, 1);
}

/** The pixel farthest from the border of each of the largest regions, the largest first; of equals the first in raster order. */
export function innermostPoints(mask: Mask, count: number): Point[] {
  const { labels, components } = labelComponents(mask);
  const depths = depthsInside(mask);
  const deepest = new Map<number, number>();
  for (const [i, label] of labels.entries()) {
    const best = deepest.get(label);
    if (label > 0 && (best === undefined || depths[i]! > depths[best]!)) deepest.set(label, i);
  }
  return byArea(components)
    .slice(0, count)
    .map(({ label }) => pointAt(mask, deepest.get(label)!, 1));
}

/** Squared distance of every pixel to the nearest background pixel, everything beyond the image's edge being background. */
export function depthsInside(mask: Mask): Float64Array {
  const { width, height, data } = mask;
  const framed = new Uint8Array((width + 2) * (height + 2));
  for (let y = 0; y < height; y++)
    framed.set(data.subarray(y * width, (y + 1) * width), (y + 1) * (width + 2) + 1);
  const outside = invert({ width: width + 2, height: height + 2, data: framed }).data;
  const region = { x0: 1, y0: 1, x1: width + 1, y1: height + 1 };
  return squaredDistanceTransform(outside, width + 2, height + 2, [1, 1], { region });
}

function pixelsWhere({ data }: Mask, test: (index: number) => boolean): Int32Array {
  const found = new Int32Array(data.length);
  let count = 0;
  for (let i = 0; i < data.length; i++) if (test(i)) found[count++] = i;
  return found.subarray(0, count);
}

function sample(mask: Mask, pixels: Int32Array, count: number, random: Random, label: 0 | 1): Point[] {
  return Array.from({ length: count }, () => pointAt(mask, pixels[random.int(0, pixels.length)]!, label));
}

const pointAt = ({ width }: Mask, index: number, label: 0 | 1): Point => ({
  x: index % width,
  y: Math.floor(index / width),
  label,
});
