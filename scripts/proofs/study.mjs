// The whole chain on a data set of your own with several seeds: every stage and control, means and deviations over seeds, paired
// intervals over cases. Seeds draw other labelled cases and other weights; the test cases stay.
//   npm run prove -- study DATASET CONFIG.json OUT [--seeds 0,1,2] [--preset paper]
// DATASET is an imported data set; CONFIG.json the configuration of every run; OUT keeps the runs, so a stopped study goes on.

import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { commandLine, option, readEvaluation, splitsOf, stageTable } from '../lib/studies.mjs';

/** Stage 2 against every control, too. */
const RIVALS = ['continued', 'best-only', 'ceiling'].map((rival) => ['stage2', rival]);

export const proof = {
  about:
    'the chain on a data set with several seeds; prints the table of stages, controls and paired differences',
  minutes: 90,
  run: async ({ root, args, log }) => {
    const [dataset, config, out] = args;
    if (out === undefined)
      throw new Error('usage: npm run prove -- study DATASET CONFIG.json OUT [--seeds 0,1,2]');
    const seeds = option(args, '--seeds', '0,1,2').split(',');
    mkdirSync(out, { recursive: true });
    const cli = commandLine(root, log);
    const variants = [
      { name: 'recommended', flags: [] },
      { name: 'paper', flags: ['--preset', 'paper', '--no-controls'] },
      { name: 'disjoint', flags: ['--alignment.refresh.rounds', 'disjoint', '--no-controls'] },
    ].filter(({ name }) =>
      option(args, '--variants', 'recommended,paper,disjoint').split(',').includes(name),
    );
    for (const seed of seeds) {
      const splits = splitsOf(cli, dataset, seed);
      const begin = ['--config', config, '--seed', seed, '--data.splits', splits];
      const folder = (name) => join(out, `${name}-${seed}`);
      // The variants of a seed share stage 1: it is trained once and copied before stage 2 begins.
      const base = folder(variants[0].name);
      if (!existsSync(join(base, 'report.html'))) cli('finetune', dataset, '--run', base, ...begin);
      for (const { name } of variants) {
        if (!existsSync(folder(name))) cpSync(base, folder(name), { recursive: true });
      }
      for (const { name, flags } of variants) {
        const run = folder(name);
        if (existsSync(join(run, 'report.html'))) continue;
        cli('align', '--run', run, ...flags);
        cli('evaluate', '--run', run);
        cli('report', '--run', run);
      }
    }
    const across = await import(join(root, 'packages/maskrank/dist/evaluation/across-runs.js'));
    const tables = variants.map(({ name }) => {
      const evaluations = seeds.map((seed) => readEvaluation(join(out, `${name}-${seed}`)));
      return stageTable(across, evaluations, { title: name, baseline: 'stage1', pairs: RIVALS });
    });
    const table = tables.flatMap(({ lines }) => lines).join('\n');
    writeFileSync(join(out, 'table.md'), `${table}\n`);
    console.log(table);
    return tables.flatMap(({ compared }) => compared);
  },
};
