// `maskrank baseline fixmatch`: a U-Net with pseudo-labels of weakly changed images for strongly changed ones.

import { BASELINE_ARGS, BASELINE_OPTIONS, runBaseline } from '../baseline-verb.ts';
import { defineVerb } from '../verb.ts';

export const baselineFixmatch = defineVerb({
  name: 'baseline fixmatch',
  summary: 'a U-Net that sees in changed copies of unlabelled cases what it is sure of',
  details: `A U-Net learns the labelled cases, and where it is sure of an image (--baselines.fixmatch.threshold) to say the same of a copy whose grey
values were changed strongly. Network, loss, optimiser and steps are those of baseline unet; no case needs a judgement. Ctrl-C stops at
the next step; the same command goes on there, to the same weights.`,
  examples: [
    [
      'maskrank baseline fixmatch --run runs/busi',
      'beside the stages of a run, at its labelled and unlabelled cases',
    ],
    [
      'maskrank baseline fixmatch data/busi --run runs/fixmatch --baselines.fixmatch.threshold 0.9',
      'by itself, with more pixels that count',
    ],
  ],
  args: BASELINE_ARGS,
  options: BASELINE_OPTIONS,
  sections: [
    'data',
    'baselines.classes',
    'baselines.unet',
    'baselines.fixmatch',
    'training.augmentation',
    'evaluation',
  ],
  shortcuts: { steps: 'baselines.unet.steps', 'batch-size': 'baselines.unet.batchSize' },
  runFolder: { mode: 'create' },
  run: async (context) => {
    const { fixmatch } = await import('../../pipeline/baselines/fixmatch.ts');
    return runBaseline(context, 'FixMatch', fixmatch);
  },
});
