// `maskrank baseline mean-teacher`: a U-Net and the average of its weights.

import { BASELINE_ARGS, BASELINE_OPTIONS, runBaseline } from '../baseline-verb.ts';
import { defineVerb } from '../verb.ts';

export const baselineMeanTeacher = defineVerb({
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
  args: BASELINE_ARGS,
  options: BASELINE_OPTIONS,
  sections: [
    'data',
    'baselines.classes',
    'baselines.unet',
    'baselines.meanTeacher',
    'training.augmentation',
    'evaluation',
  ],
  shortcuts: { steps: 'baselines.unet.steps', 'batch-size': 'baselines.unet.batchSize' },
  runFolder: { mode: 'create' },
  run: async (context) => {
    const { meanTeacher } = await import('../../pipeline/baselines/mean-teacher.ts');
    return runBaseline(context, 'Mean teacher', meanTeacher);
  },
});
