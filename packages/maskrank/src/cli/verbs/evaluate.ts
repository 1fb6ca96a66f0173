// `maskrank evaluate`: every checkpoint of a run on untouched cases.

import { evaluationTable, percent, withoutCases } from '../evaluation-table.ts';
import { defineVerb } from '../verb.ts';

export const evaluate = defineVerb({
  name: 'evaluate',
  summary: 'Dice, IoU, surface Dice and Hausdorff of every stage and control on the test cases',
  examples: [
    ['maskrank evaluate --run runs/busi', 'writes runs/busi/evaluation.json'],
    ['maskrank evaluate --run runs/busi --split validation', 'on the validation cases'],
  ],
  sections: ['data', 'prompts', 'evaluation'],
  shortcuts: { prompts: 'prompts.use', split: 'evaluation.split' },
  runFolder: { mode: 'write' },
  run: async (context) => {
    const { runJob } = await import('../job-context.ts');
    const { evaluateJob } = await import('../../pipeline/evaluate.ts');
    const evaluation = await runJob(context, evaluateJob);
    context.out(evaluationTable(evaluation));
    const gain = evaluation.comparisons.find(
      (c) => c.class === 'all' && c.metric === 'dice' && c.baseline === 'stage1' && c.stage === 'stage2',
    );
    if (gain?.meanDifference !== undefined && gain.meanDifference !== null && gain.ci95 !== null) {
      const [low, high] = gain.ci95;
      context.out(
        `stage 2 over stage 1: ${percent(gain.meanDifference)} Dice points [${percent(low)}, ${percent(high)}]; ${percent(gain.shareBetter)} % of the cases better, ${percent(gain.shareWorse)} % worse`,
      );
    }
    if (evaluation.prompts.oracle)
      context.warn(
        'prompts of the evaluated cases were drawn from their ground truth (oracle): not what a user without masks would get',
      );
    return { result: withoutCases(evaluation), next: `maskrank report --run ${context.runFolder.dir}` };
  },
});
