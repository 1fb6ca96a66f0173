// What baselines with a term of unlabelled images share: which images, how they are moved, how their grey values change.

import type { AugmentOptions } from '../../imaging/augment.ts';
import { augment, DEFAULT_AUGMENTATION } from '../../imaging/augment.ts';
import type { UnlabelledTerm } from '../../training/baselines/unlabelled.ts';
import type { Augmentation } from '../../training/batch.ts';
import { augmentOptions } from '../finetune.ts';
import type { BaselineSetting } from './method.ts';

/** The unlabelled images and the labelled ones without their masks, as in the methods' own code; all moved as in stage 1. */
export async function unlabelledImages(
  setting: BaselineSetting,
  ratio: number,
): Promise<Pick<UnlabelledTerm, 'samples' | 'batchSize'> & { readonly move: Augmentation }> {
  const { config } = setting;
  return {
    samples: [...(await setting.unlabelled()), ...(await setting.samples('labelled'))],
    batchSize: ratio * config.baselines.unet.batchSize,
    move: changing(config.training.augmentation.probability, {
      ...augmentOptions(config.training.augmentation),
      ...NO_TONE,
    }),
  };
}

/**
 * Changes of grey values alone, `strength` times as large as in stage 1, and blur and coarseness with them.
 */
export function toneChanges({ config }: Pick<BaselineSetting, 'config'>, strength: number): Augmentation {
  const amounts = config.training.augmentation;
  const larger = (amount: number): number => Math.min(0.9, strength * amount);
  const { blur, lowResolution } = DEFAULT_AUGMENTATION;
  return changing(amounts.probability, {
    ...augmentOptions({
      ...amounts,
      brightness: larger(amounts.brightness),
      contrast: larger(amounts.contrast),
      gamma: larger(amounts.gamma),
      noise: larger(amounts.noise),
    }),
    ...NO_MOVEMENT,
    blur: {
      probability: strength * blur.probability,
      sigmaPx: [blur.sigmaPx[0], strength * blur.sigmaPx[1]],
    },
    lowResolution: {
      probability: strength * lowResolution.probability,
      range: [lowResolution.range[0] / strength, 1],
    },
  });
}

/** Leaves grey values as they are. */
export const unchanged: Augmentation = (image, masks) => ({ image, masks, motion: null });

const changing =
  (probability: number, options: AugmentOptions): Augmentation =>
  (image, masks, random) =>
    random.chance(probability)
      ? augment({ image, masks: [...masks] }, random, options)
      : unchanged(image, masks, random);

const NO_TONE = {
  brightness: { probability: 0, range: [1, 1] },
  contrast: { probability: 0, range: [1, 1] },
  gamma: { probability: 0, range: [1, 1] },
  noise: { probability: 0, range: [0, 0] },
  blur: { probability: 0, sigmaPx: [0, 0] },
  lowResolution: { probability: 0, range: [1, 1] },
} as const satisfies Partial<AugmentOptions>;

const NO_MOVEMENT = {
  flipHorizontal: 0,
  flipVertical: 0,
  rotation: { probability: 0, maxDegrees: 0 },
  scale: { probability: 0, range: [1, 1] },
  translation: { probability: 0, maxFraction: 0 },
  elastic: { probability: 0, sdFraction: 0, nodes: 1 },
} as const satisfies Partial<AugmentOptions>;
