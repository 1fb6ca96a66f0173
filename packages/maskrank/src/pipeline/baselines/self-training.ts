// Baseline: self-training (Lee 2013; Xie 2020). A U-Net learns the labelled cases and paints the unlabelled ones; a second one, of
// the same weights at the start, learns both, hard masks of the images that the first was sure of (whole images, as in Yang 2022).

import { nn } from '@maskrank/torch';
import type { Unet } from '../../models/unet/index.ts';
import { loopOf, trainSupervised } from '../../training/baselines/supervised.ts';
import { type BaselineMethod, paint, supervisedOptions } from './method.ts';
import { ON_UNET } from './semi-supervised.ts';
import { unet } from './unet.ts';

export const selfTraining: BaselineMethod<Unet> = {
  name: 'self-training',
  title: 'Self-training',
  sections: ['baselines.unet', 'baselines.selfTraining'],
  ...ON_UNET,
  train: async (network, setting, loop) => {
    const { unet: config, selfTraining: own } = setting.config.baselines;
    const options = await supervisedOptions(setting, config, loop);
    await trainSupervised({ ...options, network, loop: loopOf(loop, 'teacher') });
    const painted = (await setting.unlabelled()).flatMap((sample) => {
      const { masks, confidence } = paint(unet, network, sample, setting);
      return masks.size > 0 && confidence >= own.minConfidence ? [{ ...sample, masks }] : [];
    });
    using fresh = await unet.prepare(setting);
    nn.loadStateDict(network, fresh.stateDict());
    return trainSupervised({ ...options, network, samples: [...options.samples, ...painted] });
  },
};
