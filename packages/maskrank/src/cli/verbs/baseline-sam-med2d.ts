// `maskrank baseline sam-med2d`: SAM-Med2D with low-rank updates at the same labels.

import { BASELINE_ARGS, BASELINE_OPTIONS, PROMPTABLE_SECTIONS, runBaseline } from '../baseline-verb.ts';
import { defineVerb } from '../verb.ts';

export const baselineSamMed2d = defineVerb({
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
  args: BASELINE_ARGS,
  options: BASELINE_OPTIONS,
  sections: [...PROMPTABLE_SECTIONS, 'baselines.samMed2d'],
  shortcuts: {
    steps: 'baselines.samMed2d.steps',
    'batch-size': 'baselines.samMed2d.batchSize',
    weights: 'baselines.samMed2d.weights',
  },
  runFolder: { mode: 'create' },
  run: async (context) => {
    const { samMed2d } = await import('../../pipeline/baselines/sam.ts');
    return runBaseline(context, 'SAM-Med2D', samMed2d);
  },
});
