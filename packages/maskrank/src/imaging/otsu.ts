// Otsu's threshold (1979) with the arithmetic of OpenCV. Not here: several thresholds, local thresholds.

import type { Mask } from './types.ts';

/** Below this share of the pixels a class does not count, as in OpenCV (FLT_EPSILON). */
const SMALLEST_CLASS = 1.1920929e-7;

/** The threshold that separates the two classes best: foreground is `value > threshold`. 0 for an image of one value. */
export function otsuThreshold(values: Uint8Array): number {
  const counts = new Float64Array(256);
  for (const value of values) counts[value]!++;
  const scale = 1 / values.length;
  let total = 0;
  for (let i = 0; i < 256; i++) total += i * counts[i]!;
  const mean = total * scale;
  let [share, below, best, threshold] = [0, 0, 0, 0];
  for (let i = 0; i < 256; i++) {
    const p = counts[i]! * scale;
    const sum = below * share;
    share += p;
    const rest = 1 - share;
    if (Math.min(share, rest) < SMALLEST_CLASS || Math.max(share, rest) > 1 - SMALLEST_CLASS) {
      below = sum;
      continue;
    }
    below = (sum + i * p) / share;
    const above = (mean - share * below) / rest;
    const between = share * rest * (below - above) ** 2;
    if (between > best) {
      best = between;
      threshold = i;
    }
  }
  return threshold;
}

/** The mask of the values above their Otsu threshold. */
export function otsuMask(image: {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}): Mask {
  const threshold = otsuThreshold(image.data);
  const data = image.data.map((v) => (v > threshold ? 1 : 0));
  return { width: image.width, height: image.height, data };
}
