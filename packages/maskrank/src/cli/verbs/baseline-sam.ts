// `maskrank baseline sam`: SAM with low-rank updates at the same labels.

import { defineBaseline, PROMPTABLE_SECTIONS, tuningShortcuts } from '../baseline-verb.ts';

export const baselineSam = defineBaseline({
  name: 'baseline sam',
  summary: 'SAM, tuned with low-rank updates (LoRA) on the labelled cases, prompted as the stages are',
  details: `Low-rank updates of queries and values in every block of the image encoder, prompt encoder and mask decoder whole; the rest
stays as it was, and there are no adapters. Batches, loss, steps and prompts are those of stage 1, as training and prompts say; no
text. Prompts of test images come from where --prompts.test says, or --baselines.sam.prompts.test for this row alone. The checkpoint
holds what was trained; the starting weights must stay where they are.`,
  examples: [
    [
      'maskrank baseline sam --run runs/busi --weights sam_vit_b',
      'beside the stages of a run, from released SAM',
    ],
    [
      'maskrank baseline sam data/busi --run runs/sam --weights sam_vit_b --device cuda --steps 600 --baselines.sam.learning-rate 5e-3',
      'by itself',
    ],
    [
      'maskrank baseline sam --run runs/busi --weights sam_vit_b --baselines.sam.prompts.test oracle-box --baselines.sam.prompts.use box',
      'with boxes from the truth',
    ],
  ],
  sections: [...PROMPTABLE_SECTIONS, 'baselines.sam'],
  shortcuts: tuningShortcuts('baselines.sam'),
  title: 'SAM',
  method: async () => (await import('../../pipeline/baselines/sam.ts')).sam,
});
