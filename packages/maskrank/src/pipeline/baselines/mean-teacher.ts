// Baseline: mean teacher (Tarvainen and Valpola 2017; for segmentation Cui 2019, Yu 2019). A U-Net learns the labelled cases, and to
// say of any image of the run what the average of its weights says of another view of it. The average is the result.

import type { Unet } from '../../models/unet/index.ts';
import { probabilityDistance, rampUp } from '../../training/baselines/consistency.ts';
import { trainSupervised } from '../../training/baselines/supervised.ts';
import { type BaselineMethod, supervisedOptions } from './method.ts';
import { ON_UNET, toneChanges, unlabelledImages } from './semi-supervised.ts';
import { unet } from './unet.ts';

export const meanTeacher: BaselineMethod<Unet> = {
  name: 'mean-teacher',
  title: 'Mean teacher',
  sections: ['baselines.unet', 'baselines.meanTeacher'],
  ...ON_UNET,
  train: async (network, setting, loop) => {
    const { unet: config, meanTeacher: own } = setting.config.baselines;
    const options = await supervisedOptions(setting, config, loop);
    const { move, ...images } = await unlabelledImages(setting, options.samples, own.unlabelledRatio);
    const tone = toneChanges(setting, 1);
    using teacher = await unet.prepare(setting); // the same weights as the network's
    teacher.to(setting.workspace.device as 'cuda');
    return await trainSupervised({
      ...options,
      network,
      unlabelled: {
        ...images,
        views: { move, seen: tone, target: tone },
        weightAt: (step, totalSteps) => own.weight * rampUp(step, own.rampUp * totalSteps),
        loss: (logits, targets) => ({ total: probabilityDistance(logits, targets, setting.relation) }),
        teacher: { network: teacher, decay: own.decay },
      },
    });
  },
};
