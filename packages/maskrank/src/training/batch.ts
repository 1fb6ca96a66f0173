// Batches of stage 1: images changed at random, their masks with them, and prompts drawn from the changed masks.
// Typed arrays up to the last moment; `toTensors` hands them to the engine. Letters: B images, K masks an image, S canvas.

import { fromTypedArray, type Tensor } from '@maskrank/torch';
import { normaliseInto } from '../imaging/normalise.ts';
import type { Image, Mask } from '../imaging/types.ts';
import type { PromptTensors } from '../models/sam/index.ts';
import { type CanvasPrompt, collatePrompts, type PromptLayout } from '../prompting/collate.ts';
import { type FromMaskOptions, promptFromMask } from '../prompting/from-mask.ts';
import type { Random } from '../util/random.ts';
import type { CanvasCache } from './canvas.ts';

/** A labelled case with the classes that are present in it. */
export type TrainingCase = { readonly caseId: string; readonly classIds: readonly number[] };

/** Random changes of an image and its masks. */
export type Augmentation = (
  image: Image,
  masks: readonly Mask[],
  random: Random,
) => { image: Image; masks: readonly Mask[] };

export type BatchOptions = {
  readonly cache: CanvasCache;
  readonly augment: Augmentation;
  readonly fromMask: FromMaskOptions;
  readonly layout: PromptLayout;
  /** K: masks drawn, with replacement, for each image. */
  readonly masksPerImage: number;
  /** Shares of the samples that get their box, get their points, and are stripped of everything. */
  readonly boxProbability: number;
  readonly pointProbability: number;
  readonly noPromptProbability: number;
};

export type Batch = {
  readonly size: number;
  readonly masksPerImage: number;
  readonly side: number;
  /** [B, 3, S, S], normalised. */
  readonly images: Float32Array<ArrayBuffer>;
  /** [B K, S, S], 0 or 1. */
  readonly targets: Uint8Array<ArrayBuffer>;
  /** B K prompts, image by image. */
  readonly prompts: readonly CanvasPrompt[];
};

function samplePrompt(mask: Mask, options: BatchOptions, random: Random): CanvasPrompt {
  if (random.chance(options.noPromptProbability)) return { boxes: [], points: [] };
  const full = promptFromMask(mask, options.fromMask, random);
  const withBox = random.chance(options.boxProbability);
  const withPoints = random.chance(options.pointProbability);
  // A sample that was not to be stripped keeps at least its box.
  return { boxes: withBox || !withPoints ? full.boxes : [], points: withPoints ? full.points : [] };
}

/** A batch from `cases`, one image each; every random choice comes from `random`. */
export function makeBatch(cases: readonly TrainingCase[], options: BatchOptions, random: Random): Batch {
  const side = options.cache.options.imageSize;
  const pixels = side * side;
  const k = options.masksPerImage;
  const images = new Float32Array(cases.length * 3 * pixels);
  const targets = new Uint8Array(cases.length * k * pixels);
  const prompts: CanvasPrompt[] = [];
  for (const [b, { caseId, classIds }] of cases.entries()) {
    const stream = random.fork(`sample ${b}`);
    const canvas = options.cache.image(caseId);
    const chosen = Array.from({ length: k }, () => stream.choice(classIds));
    const distinct = [...new Set(chosen)];
    const changed = options.augment(
      canvas.pixels,
      distinct.map((classId) => options.cache.mask(caseId, classId)),
      stream,
    );
    const data = images.subarray(b * 3 * pixels, (b + 1) * 3 * pixels);
    normaliseInto(
      { data, width: side, height: side, x0: 0, y0: 0 },
      changed.image,
      options.cache.options.normalisation,
    );
    for (const [j, classId] of chosen.entries()) {
      const mask = changed.masks[distinct.indexOf(classId)] as Mask;
      targets.set(mask.data, (b * k + j) * pixels);
      prompts.push(samplePrompt(mask, options, stream));
    }
  }
  return { size: cases.length, masksPerImage: k, side, images, targets, prompts };
}

/** The batch on a device; the caller's scope owns the tensors. */
export function toTensors(
  batch: Batch,
  layout: PromptLayout,
  device: string,
): { images: Tensor; targets: Tensor; prompts: PromptTensors } {
  const { size, masksPerImage, side } = batch;
  return {
    images: fromTypedArray(batch.images, [size, 3, side, side], { share: true }).to(device as 'cuda'), // [B, 3, S, S]
    targets: fromTypedArray(batch.targets, [size * masksPerImage, side, side], { share: true })
      .to(device as 'cuda')
      .to('float32'), // [B K, S, S]
    prompts: promptsTo(collatePrompts(batch.prompts, layout), device),
  };
}

/** Every tensor of the prompts on a device. */
export function promptsTo(prompts: PromptTensors, device: string): PromptTensors {
  const move = (tensor: Tensor): Tensor => tensor.to(device as 'cuda');
  return Object.fromEntries(
    Object.entries(prompts).map(([key, value]) => [
      key,
      value !== undefined && 'coords' in value
        ? { coords: move(value.coords), labels: move(value.labels) }
        : move(value as Tensor),
    ]),
  );
}
