// `maskrank baseline fixmatch`: a U-Net with pseudo-labels of weakly changed images for strongly changed ones.

import { defineBaseline, UNET_SECTIONS, UNET_SHORTCUTS } from '../baseline-verb.ts';

export const baselineFixmatch = defineBaseline({
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
  sections: [...UNET_SECTIONS, 'baselines.fixmatch'],
  shortcuts: UNET_SHORTCUTS,
  title: 'FixMatch',
  method: async () => (await import('../../pipeline/baselines/fixmatch.ts')).fixmatch,
});
