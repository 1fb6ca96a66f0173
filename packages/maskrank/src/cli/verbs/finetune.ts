// `maskrank finetune`: stage 1 on the labelled cases.

import { defineVerb } from '../verb.ts';

export const finetune = defineVerb({
  name: 'finetune',
  summary: 'stage 1: fine-tune the model on the labelled cases',
  details: `Trains with 20:1 focal:Dice and the IoU head's loss; prompts of the labelled images come from their masks, or as
--prompts.labelled says. --prompts chooses what the model is given, in every stage.
Ctrl-C stops at the next step; the same command goes on there, to the same weights as an uninterrupted run.`,
  examples: [
    ['maskrank finetune data/busi --run runs/busi', 'the default small network from random weights'],
    [
      'maskrank finetune data/busi --run runs/b --model sam-med2d_b --weights sam-med2d_b.pth',
      'from released weights',
    ],
    [
      'maskrank finetune --run runs/busi --prompts box,point,knowledge --prompts.labelled saliency',
      'with what maskrank prompt made: boxes, points and text',
    ],
    ['maskrank finetune --run runs/busi', 'goes on with a run that was stopped'],
  ],
  args: {
    dataset: {
      name: 'DATASET',
      describe: 'folder of the dataset; known already when a run goes on',
      optional: true,
    },
  },
  options: { restart: { describe: 'discard what this stage did and begin anew' } },
  sections: ['data', 'model', 'prompts', 'training'],
  shortcuts: {
    prompts: 'prompts.use',
    model: 'model.name',
    weights: 'model.weights',
    steps: 'training.steps',
    'batch-size': 'training.batchSize',
  },
  runFolder: { mode: 'create' },
  run: async (context) => {
    const { runJob } = await import('../job-context.ts');
    const { finetuneJob } = await import('../../pipeline/finetune.ts');
    const result = await runJob(context, (job) =>
      finetuneJob(job, context.args.dataset, { restart: context.options.restart }),
    );
    const words =
      result.steps === 0 ? 'was done already' : `${result.steps} steps on ${result.cases} labelled cases`;
    context.out(
      `stage 1: ${words}; ${(result.parameters / 1e6).toFixed(1)} M parameters\nwrote ${result.checkpoint}`,
    );
    return { result, next: `maskrank align --run ${context.runFolder.dir}` };
  },
});
