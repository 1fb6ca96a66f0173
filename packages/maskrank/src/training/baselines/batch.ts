// Batches of images with the masks of all classes, changed at random as in stage 1: the same augmentation, the same treatment of
// padding. Not here: prompts (training/batch.ts).
// Letters: B images, C classes, S canvas side.

import type { Image, Mask } from '../../imaging/types.ts';
import type { Random } from '../../util/random.ts';
import type { Augmentation } from '../batch.ts';
import { type CanvasCache, imageArea, normaliseCanvas } from '../canvas.ts';

/** An image on the canvas with its masks. */
export type DenseSample = {
  readonly pixels: Image;
  /** Where the image itself lies; null where it fills the canvas. */
  readonly area: Mask | null;
  /** Class id -> mask; classes that are not in the image have none. */
  readonly masks: ReadonlyMap<number, Mask>;
};

export type DenseBatch = {
  /** [B, 3, S, S], normalised. */
  readonly images: Float32Array<ArrayBuffer>;
  /** [B, C, S, S], 0 or 1. */
  readonly masks: Uint8Array<ArrayBuffer>;
  readonly shape: { readonly images: number; readonly classes: number; readonly side: number };
};

export type DenseBatchOptions = {
  /** In the order of the network's outputs. */
  readonly classIds: readonly number[];
  readonly normalisation: CanvasCache['options']['normalisation'];
  readonly augment: Augmentation;
};

/** The samples of cases whose images and masks were loaded. */
export function denseSamples(
  cache: CanvasCache,
  caseIds: readonly string[],
  classIds: readonly number[],
): DenseSample[] {
  return caseIds.map((caseId) => {
    const canvas = cache.image(caseId);
    const masks = classIds.map((classId) => [classId, cache.mask(caseId, classId)] as const);
    return {
      pixels: canvas.pixels,
      area: imageArea(canvas),
      masks: new Map(masks.filter(([, { data }]) => data.includes(1))),
    };
  });
}

/** A batch; every random choice comes from `random`. */
export function denseBatch(
  samples: readonly DenseSample[],
  { classIds, normalisation, augment }: DenseBatchOptions,
  random: Random,
): DenseBatch {
  const side = samples[0]?.pixels.width ?? 0;
  const count = side * side;
  const images = new Float32Array(samples.length * 3 * count);
  const masks = new Uint8Array(samples.length * classIds.length * count);
  for (const [b, sample] of samples.entries()) {
    const present = classIds.filter((classId) => sample.masks.has(classId));
    const own = present.map((classId) => sample.masks.get(classId) as Mask);
    const changed = augment(
      sample.pixels,
      [...own, ...(sample.area === null ? [] : [sample.area])],
      random.fork(`sample ${b}`),
    );
    const inside = sample.area === null ? null : (changed.masks[own.length] as Mask);
    normaliseCanvas(
      changed.image,
      inside,
      normalisation,
      images.subarray(b * 3 * count, (b + 1) * 3 * count),
    );
    for (const [k, classId] of present.entries()) {
      const place = b * classIds.length + classIds.indexOf(classId);
      masks.set((changed.masks[k] as Mask).data, place * count);
    }
  }
  return { images, masks, shape: { images: samples.length, classes: classIds.length, side } };
}

/** Where two classes may share pixels by accident: borders that were resampled. */
const SHARED_AT_MOST = 0.001;

/** Whether no pixel has two classes, up to a thousandth of the foreground; false where a class was never seen, as nothing tells. */
export function areExclusive(samples: readonly DenseSample[], classIds: readonly number[]): boolean {
  if (!classIds.every((classId) => samples.some(({ masks }) => masks.has(classId)))) return false;
  let [foreground, shared] = [0, 0];
  for (const { pixels, masks } of samples) {
    for (let i = 0; i < pixels.width * pixels.height; i++) {
      let claims = 0;
      for (const { data } of masks.values()) claims += data[i] as number;
      foreground += Number(claims > 0);
      shared += Number(claims > 1);
    }
  }
  return shared <= SHARED_AT_MOST * foreground;
}
