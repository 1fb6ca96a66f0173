// `maskrank baseline unet`: a U-Net from random weights at the same labels.

import { defineBaseline, UNET_SECTIONS, UNET_SHORTCUTS } from '../baseline-verb.ts';

export const baselineUnet = defineBaseline({
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
  sections: UNET_SECTIONS,
  shortcuts: UNET_SHORTCUTS,
  title: 'U-Net',
  method: async () => (await import('../../pipeline/baselines/unet.ts')).unet,
});
