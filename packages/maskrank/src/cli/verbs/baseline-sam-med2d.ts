// `maskrank baseline sam-med2d`: SAM-Med2D with low-rank updates at the same labels.

import { defineBaseline, PROMPTABLE_SECTIONS, tuningShortcuts } from '../baseline-verb.ts';

export const baselineSamMed2d = defineBaseline({
  name: 'baseline sam-med2d',
  summary: 'SAM-Med2D, tuned with low-rank updates (LoRA) on the labelled cases, prompted as the stages are',
  details: `As \`maskrank baseline sam\`, with the adapters that the network has. They stay as they were trained;
--baselines.sam-med2d.train-adapters lets them learn, too. Without --weights it starts where stage 1 starts.`,
  examples: [
    ['maskrank baseline sam-med2d --run runs/busi', 'beside the stages of a run, from the same weights'],
    [
      'maskrank baseline sam-med2d data/busi --run runs/med2d --weights sam-med2d-tiny --steps 300 --baselines.sam-med2d.learning-rate 1e-3',
      'by itself, on two cores',
    ],
  ],
  sections: [...PROMPTABLE_SECTIONS, 'baselines.samMed2d'],
  shortcuts: tuningShortcuts('baselines.samMed2d'),
  title: 'SAM-Med2D',
  method: async () => (await import('../../pipeline/baselines/sam.ts')).samMed2d,
});
