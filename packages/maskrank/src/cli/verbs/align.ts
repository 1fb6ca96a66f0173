// `maskrank align`: stage 2 in rounds of proposals and judgements, and the controls beside it.

import { UsageError } from '@maskrank/torch/errors';
import { words } from '../option-values.ts';
import { textTable } from '../table.ts';
import { defineVerb } from '../verb.ts';

export const align = defineVerb({
  name: 'align',
  summary: 'stage 2: align the decoder to rankings of the unlabelled cases',
  details: `Each round takes proposals from the model of the moment and asks the annotator: virtual (by the hidden masks, for
studies) or recorded (ratings.jsonl, written by people). Where a round's answers are missing, it stops and says so.
The controls (continued stage 1, best-only, threshold, ceiling) say how much of a gain the rankings explain.`,
  examples: [
    ['maskrank align --run runs/busi', 'the recommended preset, and then the controls'],
    [
      'maskrank align --run runs/busi --preset paper',
      "the paper's letter: fixed thresholds, one set of proposals",
    ],
    ['maskrank align --run runs/busi --annotator recorded', "with people's rankings"],
  ],
  options: {
    annotator: { value: 'WHO', choices: ['virtual', 'recorded'], describe: 'who judges; default virtual' },
    controls: {
      value: 'LIST',
      describe:
        'which controls to run; default continued,best-only,threshold,ceiling; with recorded rankings continued alone, as the others read hidden masks',
      parse: words,
    },
    noControls: { describe: 'leave the controls out' },
    restart: { describe: 'discard what stage 2 and the controls did and begin anew' },
  },
  sections: ['data', 'model', 'prompts', 'training', 'alignment', 'scoring'],
  shortcuts: {
    prompts: 'prompts.use',
    preset: 'alignment.preset',
    scoring: 'scoring.kind',
    noise: 'scoring.noise',
    generator: 'alignment.proposals.generator',
    steps: 'alignment.steps',
  },
  runFolder: { mode: 'write' },
  run: async (context) => {
    const { runJob } = await import('../job-context.ts');
    const { alignJob } = await import('../../pipeline/align.ts');
    const { CONTROLS, controlJob } = await import('../../pipeline/controls.ts');
    const { restart, noControls } = context.options;
    const annotator = (context.options.annotator ?? 'virtual') as 'virtual' | 'recorded';
    const all = Object.keys(CONTROLS) as (keyof typeof CONTROLS)[];
    const possible = all.filter((name) => annotator === 'virtual' || !CONTROLS[name].needsTruth);
    const names = (context.options.controls ?? possible) as (keyof typeof CONTROLS)[];
    const strange = names.find((name) => !(name in CONTROLS));
    if (strange !== undefined) {
      throw new UsageError(`--controls: there is no control '${strange}', allowed: ${all.join(', ')}`);
    }
    const aligned = await runJob(context, (job) => alignJob(job, { restart, annotator }));
    context.out(`stage 2: ${aligned.steps} steps over ${aligned.units} units\nwrote ${aligned.checkpoint}`);
    if (aligned.rounds.length > 0) {
      const rows = aligned.rounds.map((r) => [
        r.round,
        r.active,
        r.identical,
        r.oversized,
        r.undecided,
        r.medianRegionPx,
      ]);
      context.out(
        textTable([['round', 'active', 'identical', 'oversized', 'undecided', 'median region px'], ...rows]),
      );
    }
    const controls: string[] = [];
    if (!noControls) {
      for (const name of names) {
        const { path } = await runJob(context, (job) => controlJob(job, name, { restart }));
        controls.push(path);
        context.out(`control ${name}: wrote ${path}`);
      }
    }
    return { result: { ...aligned, controls }, next: `maskrank evaluate --run ${context.runFolder.dir}` };
  },
});
