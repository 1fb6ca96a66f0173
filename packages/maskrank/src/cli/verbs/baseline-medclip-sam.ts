// `maskrank baseline medclip-sam`: saliency to boxes to an untouched SAM.

import { defineBaseline } from '../baseline-verb.ts';

export const baselineMedclipSam = defineBaseline({
  name: 'baseline medclip-sam',
  summary: 'boxes from saliency into an untouched SAM (MedCLIP-SAM): no training and no annotation',
  details: `The names of the classes and the images are all that it sees. Boxes are those of maskrank prompt: taken from RUN/prompts.jsonl
where they stand there, else made for the measured cases with the run's settings of clip, saliency, crf and regions
(--regions.preset medclip-sam is the released program; --crf.enabled false takes k-means).`,
  examples: [
    ['maskrank baseline medclip-sam --run runs/busi', 'in a run that has prompts from saliency'],
    [
      'maskrank baseline medclip-sam data/busi --run runs/zero --clip.weights biomedclip --weights sam_vit_b --device cuda',
      'by itself, from released weights',
    ],
  ],
  sections: [
    'data',
    'model',
    'prompts.maxBoxes',
    'prompts.points',
    'prompts.negativePoints',
    'clip',
    'saliency',
    'crf',
    'regions',
    'baselines.medclipSam',
    'evaluation',
  ],
  shortcuts: { weights: 'baselines.medclipSam.weights' },
  title: 'MedCLIP-SAM',
  method: async () => (await import('../../pipeline/baselines/medclip-sam.ts')).medclipSam,
});
