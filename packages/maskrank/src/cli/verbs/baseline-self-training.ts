// `maskrank baseline self-training`: a U-Net that learns from its own masks.

import { BASELINE_ARGS, BASELINE_OPTIONS, runBaseline } from '../baseline-verb.ts';
import { defineVerb } from '../verb.ts';

export const baselineSelfTraining = defineVerb({
  name: 'baseline self-training',
  summary: 'a U-Net that learns what a first one painted on the unlabelled cases',
  details: `A U-Net learns the labelled cases and paints the unlabelled ones; a second one learns both, leaving out images of which the first was not
sure (--baselines.self-training.min-confidence). Network, loss, optimiser and steps of both are those of baseline unet. Nobody judges: what
stage 2 gains over this row is worth its rankings. Ctrl-C stops at the next step; the same command goes on there, to the same weights.`,
  examples: [
    [
      'maskrank baseline self-training --run runs/busi',
      'beside the stages of a run, at its labelled and unlabelled cases',
    ],
    ['maskrank baseline self-training data/busi --run runs/self --steps 600', 'by itself'],
  ],
  args: BASELINE_ARGS,
  options: BASELINE_OPTIONS,
  sections: [
    'data',
    'baselines.classes',
    'baselines.unet',
    'baselines.selfTraining',
    'training.augmentation',
    'evaluation',
  ],
  shortcuts: { steps: 'baselines.unet.steps', 'batch-size': 'baselines.unet.batchSize' },
  runFolder: { mode: 'create' },
  run: async (context) => {
    const { selfTraining } = await import('../../pipeline/baselines/self-training.ts');
    return runBaseline(context, 'Self-training', selfTraining);
  },
});
