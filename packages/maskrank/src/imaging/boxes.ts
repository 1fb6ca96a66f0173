// Box prompts: boxes of masks and of their components, overlap, and the jitters used in training.
// Not here: from which mask a prompt may be made (prompting/), drawing (overlay.ts).

import { DataError, UsageError } from '@maskrank/torch/errors';
import type { Random } from '../util/random.ts';
import { byArea, type Connectivity, labelComponents } from './components.ts';
import type { Box, Mask, Size } from './types.ts';

/** Tight box around all foreground; undefined for an empty mask. */
export function boxOfMask({ width, height, data }: Mask): Box | undefined {
  let [x0, y0, x1, y1] = [width, height, 0, 0];
  for (let y = 0; y < height; y++) {
    const row = data.subarray(y * width, (y + 1) * width);
    let first = 0;
    while (first < width && row[first] === 0) first++;
    if (first === width) continue;
    let last = width - 1;
    while (row[last] === 0) last--;
    if (y < y0) y0 = y;
    y1 = y + 1;
    if (first < x0) x0 = first;
    if (last >= x1) x1 = last + 1;
  }
  return x1 === 0 ? undefined : { x0, y0, x1, y1 };
}

export type ComponentBoxesOptions = {
  /** Only so many, the largest areas. Default: all. */
  readonly maxComponents?: number;
  /** Smaller components give no box, px. Default 1. */
  readonly minAreaPx?: number;
  /** Default 8, as skimage's `label`. */
  readonly connectivity?: Connectivity;
};

/** A tight box for each component, the largest area first. */
export function boxesOfComponents(
  mask: Mask,
  { maxComponents = Infinity, minAreaPx = 1, connectivity = 8 }: ComponentBoxesOptions = {},
): Box[] {
  const large = labelComponents(mask, connectivity).components.filter(({ areaPx }) => areaPx >= minAreaPx);
  return byArea(large)
    .slice(0, maxComponents)
    .map(({ box }) => box);
}

/**
 * Exactly `count` boxes as SAM-Med2D's loader makes them: of the largest components; where there are fewer, all in raster
 * order and then again from the first. The reference crashes on an empty mask, this says so.
 */
export function sammed2dBoxes(mask: Mask, count: number): Box[] {
  const { components } = labelComponents(mask, 8);
  if (components.length === 0) {
    throw new DataError(
      'sammed2dBoxes: the mask is empty; a box needs at least one foreground pixel: skip this mask.',
    );
  }
  if (components.length >= count) return boxesOfComponents(mask, { maxComponents: count });
  return Array.from({ length: count }, (_, i) => components[i % components.length]!.box);
}

/** Area of the intersection over area of the union, in [0, 1]; 0 when both are empty. */
export function boxIou(a: Box, b: Box): number {
  const width = Math.min(a.x1, b.x1) - Math.max(a.x0, b.x0);
  const height = Math.min(a.y1, b.y1) - Math.max(a.y0, b.y0);
  const shared = Math.max(0, width) * Math.max(0, height);
  const union = boxArea(a) + boxArea(b) - shared;
  return union > 0 ? shared / union : 0;
}

/** px^2; 0 for a box turned inside out. */
export function boxArea({ x0, y0, x1, y1 }: Box): number {
  return Math.max(0, x1 - x0) * Math.max(0, y1 - y0);
}

/** The box cut to the image; it may become empty. */
export function clampBox({ x0, y0, x1, y1 }: Box, { width, height }: Size): Box {
  const clamp = (v: number, max: number): number => Math.min(Math.max(v, 0), max);
  return { x0: clamp(x0, width), y0: clamp(y0, height), x1: clamp(x1, width), y1: clamp(y1, height) };
}

export type TranslationJitter = {
  /** Standard deviation of the reference's naming, as a share of the shorter side. Default 0.1. */
  readonly fraction?: number;
  /** Largest shift, px. Default 5. */
  readonly maxPx?: number;
};

/**
 * SAM-Med2D's jitter: with m = min(maxPx, floor(5 * fraction * shorter side)), one dx and one dy for both corners, whole
 * numbers uniform in [-m, m). The size stays, the box may leave the image.
 */
export function jitterByTranslation(
  box: Box,
  random: Random,
  { fraction = 0.1, maxPx = 5 }: TranslationJitter = {},
): Box {
  const shorter = Math.min(Math.abs(box.x1 - box.x0), Math.abs(box.y1 - box.y0));
  const largest = Math.min(maxPx, Math.trunc(shorter * fraction * 5));
  if (largest < 1) return box;
  const dx = random.int(-largest, largest);
  const dy = random.int(-largest, largest);
  return { x0: box.x0 + dx, y0: box.y0 + dy, x1: box.x1 + dx, y1: box.y1 + dy };
}

/**
 * A hand-drawn box's error: every side moves on its own, normally distributed with a standard deviation of `fraction` of
 * the box's width (left, right) or height (top, bottom). Sides that would cross are swapped; at least one pixel is left.
 */
export function jitterBySides(box: Box, random: Random, fraction: number): Box {
  if (!(fraction >= 0)) throw new UsageError(`jitterBySides: fraction = ${fraction}; allowed: 0 or more.`);
  const horizontal = (): number => random.normal() * fraction * (box.x1 - box.x0);
  const vertical = (): number => random.normal() * fraction * (box.y1 - box.y0);
  const [x0, x1] = ordered(box.x0 + horizontal(), box.x1 + horizontal());
  const [y0, y1] = ordered(box.y0 + vertical(), box.y1 + vertical());
  return { x0, y0, x1, y1 };
}

function ordered(a: number, b: number): [number, number] {
  const [low, high] = [Math.min(a, b), Math.max(a, b)];
  const missing = Math.max(0, 1 - (high - low)) / 2;
  return [low - missing, high + missing];
}
