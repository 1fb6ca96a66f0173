// What can be set on the way from saliency to prompts, as plain data, and settings of published methods.

import type { Connectivity } from '../../imaging/components.ts';
import { CRF_PRESETS } from '../crf/index.ts';
import type { ForegroundRule } from './foreground.ts';

/** Which connected components of the foreground are kept. */
export type KeepOptions = {
  /** At most so many, the largest areas: 1 for a lesion, 2 for lungs. */
  readonly maxRegions: number;
  /** 4: pixels that share a side; 8: also those that share a corner. */
  readonly connectivity: Connectivity;
  /** Smaller components are noise, px. */
  readonly minAreaPx: number;
  /** So are components below this share of the largest one's area: without it a speck would pass as the second lung. 0..1 */
  readonly minShareOfLargest: number;
  /** Of equal areas at the limit: the first in raster order, or all of them (MedCLIP-SAMv2). */
  readonly ties: 'first' | 'all';
};

/** How regions become boxes. */
export type BoxOptions = {
  /** A box around each region, or one around all of them. */
  readonly around: 'each' | 'all';
  /** Every side moves outwards by this share of the box's width or height, within the image. 0 is a tight box. */
  readonly marginShare: number;
};

/** How points are drawn from regions. */
export type PointOptions = {
  /** Foreground points; a region of fewer pixels gives fewer. */
  readonly count: number;
  /** In every region so many, or so many in all. */
  readonly per: 'region' | 'prompt';
  /**
   * - `uniform`: anywhere in the regions
   * - `core`: away from their borders, where saliency is coarse
   * - `saliency`: in proportion to it; anywhere where it is zero in the whole region
   */
  readonly placing: 'uniform' | 'core' | 'saliency';
  /** For `core`: at least this share of the region's greatest depth, 0..1. */
  readonly depthShare: number;
  /** Points on the background, anywhere outside the regions. */
  readonly negatives: number;
};

/**
 * What to give when nothing is left:
 * - `peak`: the regions of the map's highest values, as many pixels as `peakShare` says; a flat map gives the whole image
 * - `whole-image`: a box around everything, no points (MedCLIP-SAM)
 * - `none`: no prompt
 */
export type FallbackRule = 'peak' | 'whole-image' | 'none';

/** The whole way from a map with values in 0..1 to boxes and points. */
export type RegionOptions = {
  readonly foreground: ForegroundRule;
  readonly keep: KeepOptions;
  readonly boxes: BoxOptions;
  readonly points: PointOptions;
  readonly fallback: FallbackRule;
  /** Share of the image's pixels that the fallback `peak` takes, 0..1. */
  readonly peakShare: number;
};

const BASE = {
  keep: { maxRegions: 1, connectivity: 8, minAreaPx: 1, minShareOfLargest: 0, ties: 'first' },
  boxes: { around: 'each', marginShare: 0 },
  points: { count: 0, per: 'prompt', placing: 'uniform', depthShare: 0.5, negatives: 0 },
  fallback: 'whole-image',
  peakShare: 0.02,
} as const satisfies Omit<RegionOptions, 'foreground'>;

const UNARY = { form: 'medclip-sam', tau: 1.05, epsilon: 1e-8 } as const;

/** Settings of the paper and of published programs; spread one and change what you need. */
export const REGION_PRESETS = {
  /**
   * The paper's steps: saliency, dense CRF, the largest component (`maxRegions` 2 for lungs), a box each, points inside. Its
   * numbers are not stated: the CRF's are MedCLIP-SAM's, on images of at most 512 px; three points from the core of every region.
   */
  paper: {
    ...BASE,
    foreground: { kind: 'crf', unary: UNARY, crf: { ...CRF_PRESETS['medclip-sam'], workingSidePx: 512 } },
    keep: { ...BASE.keep, minAreaPx: 16, minShareOfLargest: 0.1 },
    points: { ...BASE.points, count: 3, per: 'region', placing: 'core' },
  },
  /** MedCLIP-SAM: dense CRF, one box around the largest component. */
  'medclip-sam': {
    ...BASE,
    foreground: { kind: 'crf', unary: UNARY, crf: CRF_PRESETS['medclip-sam'] },
  },
  /** MedCLIP-SAMv2 as it is called by default: two clusters, the largest component, one box and ten points. */
  'medclip-sam-v2': {
    ...BASE,
    foreground: { kind: 'two-means', sidePx: 256 },
    keep: { ...BASE.keep, ties: 'all' },
    boxes: { around: 'all', marginShare: 0 },
    points: { ...BASE.points, count: 10 },
  },
} as const satisfies Record<string, RegionOptions>;

export type RegionPreset = keyof typeof REGION_PRESETS;

/**
 * The options for an image of so many channels. One grey channel stands for three equal ones, whose squared distance is three
 * times as large: the same picture gives the same prompt whichever way it was saved.
 */
export function forChannels(options: RegionOptions, channels: 1 | 3): RegionOptions {
  const { foreground } = options;
  if (channels === 3 || foreground.kind !== 'crf') return options;
  const terms = foreground.crf.terms.map((term) =>
    term.kind === 'bilateral' ? { ...term, sigmaColour: (term.sigmaColour as number) / Math.sqrt(3) } : term,
  );
  return { ...options, foreground: { ...foreground, crf: { ...foreground.crf, terms } } };
}
