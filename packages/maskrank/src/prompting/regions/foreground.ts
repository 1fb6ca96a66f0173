// From a saliency map to foreground: which pixels speak for the class. Rules as plain data, one function for each.
// Not here: what is kept of the foreground (regions.ts), where saliency comes from.

import { UsageError } from '@maskrank/torch/errors';
import { otsuMask } from '../../imaging/otsu.ts';
import { resize, resizeNearest } from '../../imaging/resample.ts';
import type { FloatMap, Mask } from '../../imaging/types.ts';
import {
  type CrfImage,
  type DenseCrfOptions,
  denseCrf,
  type SaliencyUnary,
  unaryFromSaliency,
  workingSize,
} from '../crf/index.ts';
import { twoMeansThreshold } from './two-means.ts';

/** How foreground is told from background. */
export type ForegroundRule =
  /** Saliency above a number. */
  | {
      readonly kind: 'threshold';
      /** 0..1; MedCLIP-SAMv2 has 0.3. */
      readonly value: number;
    }
  /** Otsu's threshold on 256 grey levels: adapts to the map, finds something in every map that is not flat. */
  | { readonly kind: 'otsu' }
  /** The upper of two clusters of saliency, MedCLIP-SAMv2's default. */
  | {
      readonly kind: 'two-means';
      /** Clusters are found on a square of this side, nearest resampling there and back, px; null: on the map itself. */
      readonly sidePx: number | null;
    }
  /**
   * Labels of a dense CRF over the image, with the saliency as unary energies: borders follow the image's edges. With
   * `crf.workingSidePx` map and image are shrunk for it.
   */
  | { readonly kind: 'crf'; readonly unary: SaliencyUnary; readonly crf: DenseCrfOptions };

/**
 * The foreground of a map with values in 0..1.
 * @param image of the map's size; only the rule `crf` looks at it
 */
export function foregroundOf(map: FloatMap, rule: ForegroundRule, image?: CrfImage): Mask {
  switch (rule.kind) {
    case 'threshold':
      return above(map, rule.value);
    case 'otsu':
      return otsuMask({ ...map, data: Uint8Array.from(map.data, (s) => Math.round(255 * s)) });
    case 'two-means':
      return upperCluster(map, rule.sidePx);
    case 'crf': {
      if (image === undefined) {
        throw new UsageError('foregroundOf: the rule crf needs the image; pass it, or choose another rule.');
      }
      return refined(map, image, rule);
    }
    default:
      return rule satisfies never;
  }
}

function refined(
  map: FloatMap,
  image: CrfImage,
  { unary, crf }: Extract<ForegroundRule, { kind: 'crf' }>,
): Mask {
  const { width, height } = image;
  if (map.width !== width || map.height !== height)
    throw new UsageError(
      `foregroundOf: map ${map.width} x ${map.height}, image ${width} x ${height}; allowed: equal sizes.`,
    );
  const size = workingSize(image, crf.workingSidePx ?? null);
  const isWhole = size.width === width && size.height === height;
  // The map is shrunk before its energies are computed, which cost more than all else on a large image.
  const small = isWhole ? map : inRange(resize(map, size, { filter: 'area' }));
  return denseCrf(image, unaryFromSaliency(small, unary), crf).labels;
}

/** Means of values in 0..1 may leave it by rounding. */
const inRange = (map: FloatMap): FloatMap => ({
  ...map,
  data: map.data.map((s) => Math.min(1, Math.max(0, s))),
});

/** Where a map is above a number. */
export function above({ width, height, data }: FloatMap, threshold: number): Mask {
  return { width, height, data: Uint8Array.from(data, (s) => (s > threshold ? 1 : 0)) };
}

function upperCluster(map: FloatMap, sidePx: number | null): Mask {
  const { width, height } = map;
  const small = sidePx === null ? map : resizeNearest(map, { width: sidePx, height: sidePx });
  const threshold = twoMeansThreshold(small.data);
  if (threshold === undefined) return { width, height, data: new Uint8Array(width * height) };
  const mask = above(small, threshold);
  return sidePx === null ? mask : resizeNearest(mask, { width, height });
}
