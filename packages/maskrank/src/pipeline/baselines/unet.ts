// Baseline: a 2-D U-Net from random weights, on the labelled cases alone, on a canvas of its own if it has one.

import { Generator } from '@maskrank/torch';
import { createUnet, UNET_WIDTHS, type Unet } from '../../models/unet/index.ts';
import type { Config } from '../../run/config.ts';
import { classScores } from '../../training/baselines/loss.ts';
import { trainSupervised } from '../../training/baselines/supervised.ts';
import { type BaselineMethod, supervisedOptions } from './method.ts';

export const unet = {
  name: 'unet',
  title: 'U-Net from scratch',
  sections: ['baselines.unet'],
  view: (config: Config): Config => {
    const { imageSize } = config.baselines.unet;
    return imageSize === null ? config : { ...config, data: { ...config.data, imageSize } };
  },
  prepare: ({ config, outputs, random }) => {
    const { network, upsampling } = config.baselines.unet;
    const shape = { width: UNET_WIDTHS[network], bilinear: upsampling === 'bilinear' };
    const generator = Generator.seeded(random('unet weights').int(0, 0x7fffffff));
    return createUnet({ inChannels: 3, outChannels: outputs, ...shape }, generator);
  },
  train: async (network, setting, loop) =>
    trainSupervised({ network, ...(await supervisedOptions(setting, setting.config.baselines.unet, loop)) }),
  predict: (network, images, { relation }) => classScores(network.forward(images), relation),
} as const satisfies BaselineMethod<Unet>;
