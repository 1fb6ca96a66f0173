// From a layer's raw sums to a map of 0 to 1 on the whole image. Typed arrays only.

import { resizeBilinear } from '../../imaging/resample.ts';
import type { Box, FloatMap, Size } from '../../imaging/types.ts';

/** How much each place of an image speaks for a text: 0 to 1, row-major, at the image's size. */
export type SaliencyMap = FloatMap;

/** Negative values to 0, then (x - min) / (max - min + 1e-8). A map without a range becomes all zeros. */
export function normaliseMap({ width, height, data }: FloatMap): FloatMap {
  const positive = data.map((x) => Math.max(0, x));
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const x of positive) {
    low = Math.min(low, x);
    high = Math.max(high, x);
  }
  return { width, height, data: positive.map((x) => (x - low) / (high - low + 1e-8)) };
}

/** Whole pixels that a box of fractions covers best, inside the image and at least one. */
function wholePixels({ x0, y0, x1, y1 }: Box, { width, height }: Size): Box {
  const start = (at: number, size: number) => Math.min(size - 1, Math.max(0, Math.round(at)));
  const [left, top] = [start(x0, width), start(y0, height)];
  const end = (at: number, from: number, size: number) => Math.max(from + 1, Math.min(size, Math.round(at)));
  return { x0: left, y0: top, x1: end(x1, left, width), y1: end(y1, top, height) };
}

/**
 * A raw map of what a network saw, on the whole image: bilinear between cells, 0 to 1. `shown` is the part of the image that the
 * network saw, in its pixels; there is nothing to say about the rest, which stays 0.
 */
export function toWholeImage(raw: FloatMap, shown: Box, size: Size): SaliencyMap {
  const { width, height } = size;
  const box = wholePixels(shown, size);
  const part = normaliseMap(
    resizeBilinear(normaliseMap(raw), { width: box.x1 - box.x0, height: box.y1 - box.y0 }),
  );
  if (part.width === width && part.height === height) return part;
  const data = new Float32Array(width * height);
  for (let y = 0; y < part.height; y++) {
    data.set(part.data.subarray(y * part.width, (y + 1) * part.width), (box.y0 + y) * width + box.x0);
  }
  return { width, height, data };
}
