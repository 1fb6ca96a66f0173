// `maskrank baseline self-training`: a U-Net that learns from its own masks.

import { defineBaseline, UNET_SECTIONS, UNET_SHORTCUTS } from '../baseline-verb.ts';

export const baselineSelfTraining = defineBaseline({
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
  sections: [...UNET_SECTIONS, 'baselines.selfTraining'],
  shortcuts: UNET_SHORTCUTS,
  title: 'Self-training',
  method: async () => (await import('../../pipeline/baselines/self-training.ts')).selfTraining,
});
