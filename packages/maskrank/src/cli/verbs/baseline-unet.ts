// `maskrank baseline unet`: a U-Net from random weights at the same labels.

import { evaluationTable } from '../evaluation-table.ts';
import { defineVerb } from '../verb.ts';

export const baselineUnet = defineVerb({
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
  args: {
    dataset: { name: 'DATASET', describe: 'folder of the dataset; known already in a run', optional: true },
  },
  options: { restart: { describe: 'discard what was trained and begin anew' } },
  sections: ['data', 'baselines.classes', 'baselines.unet', 'training.augmentation', 'evaluation'],
  shortcuts: { steps: 'baselines.unet.steps', 'batch-size': 'baselines.unet.batchSize' },
  runFolder: { mode: 'create' },
  run: async (context) => {
    const { runJob } = await import('../job-context.ts');
    const { baselineJob } = await import('../../pipeline/baselines/job.ts');
    const { unet } = await import('../../pipeline/baselines/unet.ts');
    const { evaluation, ...result } = await runJob(context, (job) =>
      baselineJob(job, unet, context.args.dataset, { restart: context.options.restart }),
    );
    const words =
      result.steps === 0
        ? 'was trained already'
        : `${result.steps} steps on ${result.cases} labelled cases, the weights after step ${result.bestStep}`;
    context.out(
      `U-Net: ${words}; ${(result.parameters / 1e6).toFixed(1)} M parameters\nwrote ${result.checkpoint}`,
    );
    context.out(evaluationTable(evaluation));
    const { cases: _, ...summary } = evaluation;
    return {
      result: { ...result, evaluation: summary },
      next: `maskrank report --run ${context.runFolder.dir}`,
    };
  },
});
