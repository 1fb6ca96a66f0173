// `maskrank baseline mean-teacher`: a U-Net and the average of its weights.

import { defineBaseline, UNET_SECTIONS, UNET_SHORTCUTS } from '../baseline-verb.ts';

export const baselineMeanTeacher = defineBaseline({
  name: 'baseline mean-teacher',
  summary: 'a U-Net that agrees with the average of its weights on unlabelled cases',
  details: `A U-Net learns the labelled cases, and on other views of all images of the run to agree with the average of its weights, which is
the result. Network, loss, optimiser and steps are those of baseline unet; no case needs a judgement. Ctrl-C stops at the next step;
the same command goes on there, to the same weights.`,
  examples: [
    [
      'maskrank baseline mean-teacher --run runs/busi',
      'beside the stages of a run, at its labelled and unlabelled cases',
    ],
    [
      'maskrank baseline mean-teacher data/busi --run runs/teacher --baselines.mean-teacher.weight 1',
      'by itself, with a weaker teacher',
    ],
  ],
  sections: [...UNET_SECTIONS, 'baselines.meanTeacher'],
  shortcuts: UNET_SHORTCUTS,
  title: 'Mean teacher',
  method: async () => (await import('../../pipeline/baselines/mean-teacher.ts')).meanTeacher,
});
