// `maskrank baseline sam-med3d`: SAM-Med3D, tuned on the labelled volumes.

import { defineBaseline, tuningShortcuts } from '../baseline-verb.ts';

export const baselineSamMed3d = defineBaseline({
  name: 'baseline sam-med3d',
  summary: 'SAM-Med3D on volumes, tuned on the labelled ones and asked with clicks',
  details: `For datasets of volumes. A cube around each class of each labelled volume, rounds of clicks where the mask is wrong, as the
released code trains it. Measured with --baselines.sam-med3d.test-clicks clicks for a class; the middle of the cube and the clicks are drawn from
the ground truth of the measured volumes (oracle), so its row stands beside rows with prompts from masks, not beside those without.`,
  examples: [
    [
      'maskrank baseline sam-med3d data/amos --run runs/sam-med3d --steps 400',
      'the small network from random weights',
    ],
    [
      'maskrank baseline sam-med3d --run runs/amos --baselines.sam-med3d.network sam-med3d --weights sam_med3d_turbo.pth --device cuda',
      'the released network',
    ],
  ],
  sections: ['data', 'baselines.classes', 'baselines.samMed3d', 'evaluation'],
  shortcuts: tuningShortcuts('baselines.samMed3d'),
  title: 'SAM-Med3D',
  method: async () => (await import('../../pipeline/baselines/sam-med3d.ts')).samMed3d,
});
