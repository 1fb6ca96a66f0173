// What baselines with a term of unlabelled images share: the network, which images, how
// they are moved, how their grey values change.

import {
  type AugmentOptions,
  augment,
  DEFAULT_AUGMENTATION,
  NO_MOVEMENT,
  NO_TONE,
} from '../../imaging/augment.ts';
import type { Unet } from '../../models/unet/index.ts';
import type { DenseSample } from '../../training/baselines/batch.ts';
import { supervisedSteps } from '../../training/baselines/supervised.ts';
import type { UnlabelledTerm } from '../../training/baselines/unlabelled.ts';
import type { Augmentation } from '../../training/batch.ts';
import { augmentOptions } from '../finetune.ts';
import type { BaselineMethod, BaselineSetting } from './method.ts';
import { unet } from './unet.ts';

/** The network of all of them, its canvas, and how it is asked: the U-Net's. */
export const ON_UNET = {
  usesUnlabelled: true,
  steps: ({ baselines }, cases) => supervisedSteps(baselines.unet, cases),
  view: unet.view,
  prepare: unet.prepare,
  predict: unet.predict,
} as const satisfies Partial<BaselineMethod<Unet>>;

/**
 * The unlabelled images and the labelled ones, whose masks nobody looks at, as in the methods' own code; all moved as in stage 1.
 *
 * @param ratio images a step for each labelled one
 */
export async function unlabelledImages(
  setting: BaselineSetting,
  labelled: readonly DenseSample[],
  ratio: number,
): Promise<Pick<UnlabelledTerm, 'samples' | 'batchSize'> & { readonly move: Augmentation }> {
  const { config } = setting;
  return {
    samples: [...(await setting.unlabelled()), ...labelled],
    batchSize: ratio * config.baselines.unet.batchSize,
    move: changing(config.training.augmentation.probability, {
      ...augmentOptions(config.training.augmentation),
      ...NO_TONE,
    }),
  };
}

/** Changes of grey values alone, `strength` times as large as in stage 1, and blur and coarseness with them. */
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
