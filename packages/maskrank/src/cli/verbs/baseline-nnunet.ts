// `maskrank baseline nnunet`: an nnU-Net from random weights at the same labels.

import { defineBaseline } from '../baseline-verb.ts';

export const baselineNnunet = defineBaseline({
  name: 'baseline nnunet',
  summary: 'an nnU-Net from scratch on the labelled cases, measured like every stage',
  details: `Plans patch, network, batch and normalisation from the labelled cases, trains at the images' own size with nnU-Net's own
augmentation, loss and optimiser, and predicts with overlapping, mirrored windows. Splits and classes are the run's; there are no
prompts. In a run that has stages its row joins theirs in RUN/evaluation.json; a new run is made for a DATASET. The plan is
RUN/checkpoints/baseline-nnunet.plan.json. Ctrl-C stops at the next step; the same command goes on there, to the same weights.`,
  examples: [
    ['maskrank baseline nnunet --run runs/busi', 'beside the stages of a run, at its labels'],
    ['maskrank baseline nnunet data/busi --run runs/busi-nnunet --epochs 20', 'by itself'],
    [
      'maskrank baseline nnunet data/busi --run runs/published --device cuda --epochs 1000 --baselines.nnunet.iterations-per-epoch 250 --baselines.nnunet.width 32 --baselines.nnunet.longest-side none --baselines.nnunet.batch-size none --baselines.nnunet.precision bfloat16',
      'as published, on a graphics card',
    ],
  ],
  sections: ['data', 'baselines.classes', 'baselines.nnunet', 'evaluation'],
  shortcuts: { epochs: 'baselines.nnunet.epochs', 'batch-size': 'baselines.nnunet.batchSize' },
  title: 'nnU-Net',
  method: async () => (await import('../../pipeline/baselines/nnunet.ts')).nnunet,
});
