// Baseline: FixMatch (Sohn 2020), pixel by pixel as for segmentation. Where a U-Net is sure of an image that was only moved, it must
// say the same of a copy whose grey values were changed strongly.

import type { Unet } from '../../models/unet/index.ts';
import { pseudoLabelLoss, pseudoLabels } from '../../training/baselines/consistency.ts';
import { trainSupervised } from '../../training/baselines/supervised.ts';
import { type BaselineMethod, supervisedOptions } from './method.ts';
import { ON_UNET, toneChanges, unchanged, unlabelledImages } from './semi-supervised.ts';

export const fixmatch: BaselineMethod<Unet> = {
  name: 'fixmatch',
  title: 'FixMatch',
  sections: ['baselines.unet', 'baselines.fixmatch'],
  ...ON_UNET,
  train: async (network, setting, loop) => {
    const { unet: config, fixmatch: own } = setting.config.baselines;
    const { relation } = setting;
    const options = await supervisedOptions(setting, config, loop);
    const { move, ...images } = await unlabelledImages(setting, options.samples, own.unlabelledRatio);
    return trainSupervised({
      ...options,
      network,
      unlabelled: {
        ...images,
        views: { move, seen: toneChanges(setting, own.strength), target: unchanged },
        weightAt: () => own.weight,
        loss: (logits, targets) => {
          const labels = pseudoLabels(targets, relation, own.threshold);
          const total = pseudoLabelLoss(logits, labels, { relation, ...config });
          return { total, sureShare: labels.sure.mean() };
        },
      },
    });
  },
};
