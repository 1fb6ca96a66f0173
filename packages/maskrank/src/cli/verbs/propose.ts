// `maskrank propose`: four candidates for each unlabelled case and class, from the stage-1 model.

import { defineVerb } from '../verb.ts';

export const propose = defineVerb({
  name: 'propose',
  summary: 'four candidate masks for each unlabelled case, for ranking',
  details:
    'Only needed when people rank; `maskrank align` with the virtual annotator makes its proposals itself.',
  examples: [['maskrank propose --run runs/busi', 'writes runs/busi/proposals/round-000.safetensors']],
  options: { restart: { describe: 'discard the proposals and all of stage 2' } },
  sections: ['data', 'prompts', 'alignment', 'scoring'],
  shortcuts: {
    prompts: 'prompts.use',
    preset: 'alignment.preset',
    generator: 'alignment.proposals.generator',
  },
  runFolder: { mode: 'write' },
  run: async (context) => {
    const { runJob } = await import('../job-context.ts');
    const { proposeJob } = await import('../../pipeline/align.ts');
    const result = await runJob(context, (job) => proposeJob(job, { restart: context.options.restart }));
    context.out(
      `${result.units} units, the candidates differ in ${result.medianRegionPx} pixels (median)\nwrote ${result.path}`,
    );
    return {
      result,
      next: [
        `maskrank rate --run ${context.runFolder.dir}`,
        `maskrank align --run ${context.runFolder.dir} --annotator recorded`,
      ],
    };
  },
});
