// `maskrank rate`: the virtual annotator judges the newest proposals.

import { defineVerb } from '../verb.ts';

export const rate = defineVerb({
  name: 'rate',
  summary: 'the virtual annotator judges the newest proposals by the hidden masks',
  details: 'For studies. Where people rank, ratings.jsonl holds their answers and this verb is not used.',
  examples: [
    ['maskrank rate --run runs/busi', 'ranks by overlap with the hidden masks'],
    ['maskrank rate --run runs/busi --scoring rating --noise 0.1', 'grades, a tenth of them wrong by one'],
  ],
  sections: ['data', 'prompts', 'alignment', 'scoring'],
  shortcuts: { prompts: 'prompts.use', scoring: 'scoring.kind', noise: 'scoring.noise' },
  runFolder: { mode: 'write' },
  run: async (context) => {
    const { runJob } = await import('../job-context.ts');
    const { rateJob } = await import('../../pipeline/align.ts');
    const result = await runJob(context, rateJob);
    context.out(
      `round ${result.round}: ${result.active} of ${result.units} units carry a signal (${result.identical} identical, ${result.oversized} oversized, ${result.undecided} undecided)\nwrote ${context.runFolder.paths.ratings}`,
    );
    return { result, next: `maskrank align --run ${context.runFolder.dir}` };
  },
});
