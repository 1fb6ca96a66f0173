// Batches of stage 1: images changed at random, their masks with them, and prompts: drawn from the changed masks, or given for
// the unchanged image and moved with it. Padding is what it is at inference: exactly 0 after normalisation, whatever was changed.
// Typed arrays up to the last moment; `toTensors` hands them to the engine. Letters: B images, K masks an image, S canvas.

import { fromTypedArray, type Tensor } from '@maskrank/torch';
import { type Motion, moveBox, movePoint } from '../imaging/motion.ts';
import type { Image, Mask } from '../imaging/types.ts';
import type { PromptTensors } from '../models/sam/index.ts';
import {
  type CanvasPrompt,
  collatePrompts,
  type PromptLayout,
  type TextFeatureRow,
} from '../prompting/collate.ts';
import { type FromMaskOptions, promptFromMask } from '../prompting/from-mask.ts';
import type { Random } from '../util/random.ts';
import { type CanvasCache, imageArea, normaliseCanvas } from './canvas.ts';

/** A labelled case with the classes that are present in it. */
export type TrainingCase = { readonly caseId: string; readonly classIds: readonly number[] };

/** Random changes of an image and its masks, and how they were moved; null where they were not. */
export type Augmentation = (
  image: Image,
  masks: readonly Mask[],
  random: Random,
) => { image: Image; masks: readonly Mask[]; motion: Motion | null };

export type BatchOptions = {
  readonly cache: CanvasCache;
  readonly augment: Augmentation;
  /** How prompts are drawn from masks where none are given. */
  readonly fromMask: FromMaskOptions;
  /** Prompts on the unchanged canvas, in place of those from masks. */
  readonly given?: (caseId: string, classId: number) => CanvasPrompt;
  /** Text of a case and class, beside boxes and points of either origin. */
  readonly text?: (caseId: string, classId: number) => TextFeatureRow;
  readonly layout: PromptLayout;
  /** K: masks drawn, with replacement, for each image. */
  readonly masksPerImage: number;
  /** Shares of the samples that get their box, get their points, get their text, and are stripped of everything. */
  readonly boxProbability: number;
  readonly pointProbability: number;
  /** Needed with `text`. */
  readonly textProbability?: number;
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

/** A mask of a batch: which, how it looks now, and how it came there. */
type Target = {
  readonly caseId: string;
  readonly classId: number;
  readonly mask: Mask;
  readonly motion: Motion | null;
  /** Place among its image's masks. */
  readonly index: number;
};

/** A given prompt where its image is now. */
function moved({ boxes, points }: CanvasPrompt, motion: Motion | null): CanvasPrompt {
  if (motion === null) return { boxes, points };
  return {
    boxes: boxes.flatMap((box) => moveBox(motion, box) ?? []),
    points: points.flatMap((point) => movePoint(motion, point) ?? []),
  };
}

function samplePrompt(target: Target, options: BatchOptions, random: Random): CanvasPrompt {
  const { caseId, classId, mask, motion, index } = target;
  if (random.chance(options.noPromptProbability)) return { boxes: [], points: [] };
  const full =
    options.given === undefined
      ? promptFromMask(mask, options.fromMask, random)
      : moved(options.given(caseId, classId), motion);
  const withBox = random.chance(options.boxProbability);
  const withPoints = random.chance(options.pointProbability);
  // A sample that was not to be stripped keeps at least its box.
  const shown = { boxes: withBox || !withPoints ? full.boxes : [], points: withPoints ? full.points : [] };
  if (options.text === undefined) return shown;
  // From a stream of its own: boxes and points are the same with text and without.
  const withText = random.fork(`text ${index}`).chance(options.textProbability ?? 1);
  const bare = shown.boxes.length + shown.points.length === 0;
  return withText || bare ? { ...shown, text: options.text(caseId, classId) } : shown;
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
    const area = imageArea(canvas);
    const changed = options.augment(
      canvas.pixels,
      [
        ...distinct.map((classId) => options.cache.mask(caseId, classId)),
        ...(area === null ? [] : [area]), // last: where the image itself lies, to know padding when all was moved
      ],
      stream,
    );
    const inside = area === null ? null : (changed.masks[distinct.length] as Mask);
    const data = images.subarray(b * 3 * pixels, (b + 1) * 3 * pixels);
    normaliseCanvas(changed.image, inside, options.cache.options.normalisation, data);
    for (const [j, classId] of chosen.entries()) {
      const mask = changed.masks[distinct.indexOf(classId)] as Mask;
      targets.set(mask.data, (b * k + j) * pixels);
      prompts.push(
        samplePrompt({ caseId, classId, mask, motion: changed.motion, index: j }, options, stream),
      );
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
