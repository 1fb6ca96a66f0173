// `maskrank baseline self-prompt`: SAM-SP at the same labels.

import { defineBaseline, tuningShortcuts } from '../baseline-verb.ts';

export const baselineSelfPrompt = defineBaseline({
  name: 'baseline self-prompt',
  summary: 'a SAM that prompts itself (SAM-SP), tuned with low-rank updates on the labelled cases',
  details: `The network answers for a class, a box of its answer is the prompt of a second answer, and both learn. Every class has a learned
token; measured images come with nothing else. --baselines.self-prompt.use adds points and the mask itself,
--baselines.self-prompt.distillation lets the second answer teach the first, which the paper leaves out of its comparison.`,
  examples: [
    ['maskrank baseline self-prompt --run runs/busi', 'beside the stages of a run, from the same weights'],
    [
      'maskrank baseline self-prompt data/busi --run runs/sp --weights sam_vit_b --device cuda --baselines.self-prompt.distillation 1',
      'by itself, with distillation',
    ],
  ],
  sections: ['data', 'model', 'prompts.maxBoxes', 'training', 'baselines.selfPrompt', 'evaluation'],
  shortcuts: tuningShortcuts('baselines.selfPrompt'),
  title: 'Self-prompt',
  method: async () => (await import('../../pipeline/baselines/self-prompt.ts')).selfPrompt,
});
