// From a saliency map or a label map to a prompt: foreground, its largest components, their boxes, points inside. When
// nothing is found the result says which fallback made it, and why; nothing is replaced in silence.
// Coordinates are pixels of the map. Deterministic: every draw comes from the stream that is passed in.
// Not here: writing prompts.jsonl, text.

import { DataError, UsageError } from '@maskrank/torch/errors';
import { boxOfMask, clampBox } from '../../imaging/boxes.ts';
import {
  byArea,
  type Component,
  componentMask,
  keepLargest,
  labelComponents,
} from '../../imaging/components.ts';
import type { Box, FloatMap, LabelMap, Mask, Point, Size } from '../../imaging/types.ts';
import type { Random } from '../../util/random.ts';
import type { CrfImage } from '../crf/index.ts';
import { above, type ForegroundRule, foregroundOf } from './foreground.ts';
import type { FallbackRule, KeepOptions, RegionOptions } from './options.ts';
import { pointsInside, pointsOutside } from './region-points.ts';

/** Boxes and points, in pixels of the map, and how they came to be. */
export type RegionPrompt = {
  readonly boxes: readonly Box[];
  readonly points: readonly Point[];
  /** The regions that were kept; all of the image under the fallback `whole-image`, nothing under `none`. */
  readonly mask: Mask;
  /** Which fallback made this prompt; null: none was needed. */
  readonly fallback: null | FallbackRule;
  /** What made it necessary; null: nothing did. */
  readonly reason: null | string;
};

/** What a prompt is drawn with besides the map. */
export type RegionInputs = {
  /** Source of all draws; a stream of the case and class. */
  readonly random: Random;
  /** The image, of the map's size: needed by the foreground rule `crf`. */
  readonly image?: CrfImage;
};

/** A prompt from saliency in 0..1. */
export function promptFromSaliency(
  saliency: FloatMap,
  options: RegionOptions,
  { random, image }: RegionInputs,
): RegionPrompt {
  checkOptions(options);
  const { min, max } = rangeOf(saliency);
  const flat = min === max;
  // A CRF's labels follow neighbours, a threshold may lie anywhere: what is equal everywhere still shows no place.
  const foreground = flat ? emptyMask(saliency) : foregroundOf(saliency, options.foreground, image);
  const reason = flat
    ? `the saliency is ${min} everywhere`
    : `no region of at least ${options.keep.minAreaPx} px by the rule ${describe(options.foreground)}; saliency ${min.toPrecision(3)}..${max.toPrecision(3)}`;
  return promptOf(foreground, saliency, options, random, reason);
}

/** A prompt from a map of labels, such as a CRF's; points of placing `saliency` need the saliency. */
export function promptFromLabels(
  map: LabelMap,
  label: number,
  options: Omit<RegionOptions, 'foreground'>,
  { random, saliency = null }: { readonly random: Random; readonly saliency?: FloatMap | null },
): RegionPrompt {
  checkOptions(options);
  if (saliency === null && (options.points.placing === 'saliency' || options.fallback === 'peak')) {
    throw new UsageError(
      `promptFromLabels: points.placing = ${options.points.placing}, fallback = ${options.fallback} without a saliency map; allowed without it: placing uniform or core, fallback whole-image or none.`,
    );
  }
  const { width, height, data } = map;
  const foreground = { width, height, data: data.map((l) => (l === label ? 1 : 0)) };
  const reason = `no region of at least ${options.keep.minAreaPx} px with label ${label}`;
  return promptOf(foreground, saliency, options, random, reason);
}

/** How many prompts came by which way, for the report of a run. */
export function countFallbacks(
  prompts: Iterable<Pick<RegionPrompt, 'fallback'>>,
): Readonly<Record<FallbackRule | 'found', number>> {
  const counts = { found: 0, peak: 0, 'whole-image': 0, none: 0 };
  for (const { fallback } of prompts) counts[fallback ?? 'found']++;
  return counts;
}

function promptOf(
  foreground: Mask,
  saliency: FloatMap | null,
  options: Omit<RegionOptions, 'foreground'>,
  random: Random,
  reason: string,
): RegionPrompt {
  const mask = keepRegions(foreground, options.keep);
  if (mask.data.includes(1)) {
    return { ...boxesAndPoints(mask, saliency, options, random), mask, fallback: null, reason: null };
  }
  if (options.fallback === 'peak') {
    const peak = keepRegions(peakOf(saliency!, options.peakShare), { ...options.keep, minAreaPx: 1 });
    if (peak.data.includes(1)) {
      return { ...boxesAndPoints(peak, saliency, options, random), mask: peak, fallback: 'peak', reason };
    }
  }
  if (options.fallback === 'none') {
    return { boxes: [], points: [], mask: emptyMask(foreground), fallback: 'none', reason };
  }
  const { width, height } = foreground;
  const all = { width, height, data: new Uint8Array(width * height).fill(1) };
  const box = { x0: 0, y0: 0, x1: width, y1: height };
  return { boxes: [box], points: [], mask: all, fallback: 'whole-image', reason };
}

/** The mask of the components that `keep` leaves. */
export function keepRegions(mask: Mask, keep: KeepOptions): Mask {
  const { maxRegions, connectivity, minAreaPx, minShareOfLargest, ties } = keep;
  const areas = labelComponents(mask, connectivity).components.map(({ areaPx }) => areaPx);
  const largest = areas.reduce((a, b) => Math.max(a, b), 0);
  const limit = Math.max(minAreaPx, minShareOfLargest * largest);
  return keepLargest(mask, maxRegions, { connectivity, minAreaPx: limit, ties });
}

function boxesAndPoints(
  mask: Mask,
  saliency: FloatMap | null,
  { keep, boxes, points }: Omit<RegionOptions, 'foreground'>,
  random: Random,
): { boxes: Box[]; points: Point[] } {
  const labelled = labelComponents(mask, keep.connectivity);
  const regions = byArea(labelled.components);
  const tight = boxes.around === 'each' ? regions.map(({ box }: Component) => box) : [boxOfMask(mask)!];
  const areas = points.per === 'prompt' ? [mask] : regions.map((region) => componentMask(labelled, [region]));
  return {
    boxes: tight.map((box) => widen(box, boxes.marginShare, mask)),
    points: [
      ...areas.flatMap((area) => pointsInside(area, points, saliency, random)),
      ...pointsOutside(mask, points.negatives, random),
    ],
  };
}

function widen(box: Box, share: number, size: Size): Box {
  const dx = share * (box.x1 - box.x0);
  const dy = share * (box.y1 - box.y0);
  return clampBox({ x0: box.x0 - dx, y0: box.y0 - dy, x1: box.x1 + dx, y1: box.y1 + dy }, size);
}

/** The highest values, about `share` of all pixels; nothing where the map is flat. */
function peakOf(saliency: FloatMap, share: number): Mask {
  const sorted = saliency.data.slice().sort();
  const rank = Math.min(sorted.length - 1, Math.floor(sorted.length * (1 - share)));
  const limit = sorted[rank]!;
  if (limit > sorted[0]!) {
    return { ...saliency, data: Uint8Array.from(saliency.data, (s) => (s >= limit ? 1 : 0)) };
  }
  return above(saliency, limit);
}

function rangeOf({ width, height, data }: FloatMap): { min: number; max: number } {
  let [min, max] = [Infinity, -Infinity];
  for (let i = 0; i < data.length; i++) {
    const s = data[i]!;
    if (!(s >= 0 && s <= 1)) {
      throw new DataError(
        `promptFromSaliency: saliency at (${i % width}, ${Math.floor(i / width)}) is ${s}; allowed: 0..1. Rescale the map first.`,
      );
    }
    min = Math.min(min, s);
    max = Math.max(max, s);
  }
  if (data.length !== width * height || data.length === 0) {
    throw new DataError(
      `promptFromSaliency: ${data.length} values; expected ${width} * ${height}, at least one.`,
    );
  }
  return { min, max };
}

const emptyMask = ({ width, height }: Size): Mask => ({
  width,
  height,
  data: new Uint8Array(width * height),
});

const describe = (rule: ForegroundRule): string =>
  rule.kind === 'threshold' ? `threshold ${rule.value}` : rule.kind;

/** Throws UsageError for the first setting that is out of range. */
function checkOptions({ keep, boxes, points, peakShare }: Omit<RegionOptions, 'foreground'>): void {
  const whole = (v: number, from: number): boolean => Number.isInteger(v) && v >= from;
  const share = (v: number): boolean => v >= 0 && v <= 1;
  const rules: readonly (readonly [name: string, value: number, ok: boolean, allowed: string])[] = [
    ['keep.maxRegions', keep.maxRegions, whole(keep.maxRegions, 1), 'whole numbers from 1'],
    ['keep.minAreaPx', keep.minAreaPx, keep.minAreaPx >= 1, '1 or more'],
    ['keep.minShareOfLargest', keep.minShareOfLargest, share(keep.minShareOfLargest), '0..1'],
    ['boxes.marginShare', boxes.marginShare, boxes.marginShare >= 0, '0 or more'],
    ['points.count', points.count, whole(points.count, 0), 'whole numbers from 0'],
    ['points.depthShare', points.depthShare, share(points.depthShare), '0..1'],
    ['points.negatives', points.negatives, whole(points.negatives, 0), 'whole numbers from 0'],
    ['peakShare', peakShare, share(peakShare), '0..1'],
  ];
  for (const [name, value, ok, allowed] of rules) {
    if (!ok) throw new UsageError(`prompt from regions: ${name} = ${value}; allowed: ${allowed}.`);
  }
}
