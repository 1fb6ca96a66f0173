// `maskrank baseline unet`: a U-Net from random weights at the same labels.

import { BASELINE_ARGS, BASELINE_OPTIONS, runBaseline } from '../baseline-verb.ts';
import { defineVerb } from '../verb.ts';

export const baselineUnet = defineVerb({
  name: 'baseline unet',
  summary: 'a U-Net from scratch on the labelled cases, measured like every stage',
  details: `Dice and cross-entropy, the augmentation, splits, classes and canvas of stage 1, no prompts. The validation cases choose the
weights that are kept. In a run that has stages its row joins theirs in RUN/evaluation.json; a new run is made for a DATASET.
Ctrl-C stops at the next step; the same command goes on there, to the same weights as an uninterrupted run.`,
  examples: [
    ['maskrank baseline unet --run runs/busi', 'beside the stages of a run, at its labels'],
    ['maskrank baseline unet data/busi --run runs/busi-unet --steps 600', 'by itself'],
    [
      'maskrank baseline unet data/busi --run runs/large --baselines.unet.network unet --device cuda',
      'with the published width',
    ],
  ],
  args: BASELINE_ARGS,
  options: BASELINE_OPTIONS,
  sections: ['data', 'baselines.classes', 'baselines.unet', 'training.augmentation', 'evaluation'],
  shortcuts: { steps: 'baselines.unet.steps', 'batch-size': 'baselines.unet.batchSize' },
  runFolder: { mode: 'create' },
  run: async (context) => {
    const { unet } = await import('../../pipeline/baselines/unet.ts');
    return runBaseline(context, 'U-Net', unet);
  },
});
