// The whole chain on a data set of your own with several seeds: every stage and control, means and deviations over seeds, paired
// intervals over cases. Seeds draw other labelled cases and other weights; the test cases stay.
//   npm run prove -- study DATASET CONFIG.json OUT [--seeds 0,1,2] [--preset paper]
// DATASET is an imported data set; CONFIG.json the configuration of every run; OUT keeps the runs, so a stopped study goes on.

import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Shares of the breast and chest studies: 10 % of the training pool labelled, 40 % unlabelled, the same test set for all seeds. */
const SPLIT = [
  '--labelled',
  '0.1',
  '--unlabelled',
  '0.4',
  '--test',
  '0.2',
  '--validation',
  '0.1',
  '--hold-out-seed',
  '7',
];

const option = (args, name, fallback) => (args.includes(name) ? args[args.indexOf(name) + 1] : fallback);
const percent = (x) => (100 * x).toFixed(1);
const signed = (x) => `${x >= 0 ? '+' : ''}${percent(x)}`;

export const proof = {
  about:
    'the chain on a data set with several seeds; prints the table of stages, controls and paired differences',
  minutes: 90,
  run: async ({ root, args, log }) => {
    const [dataset, config, out] = args;
    if (out === undefined)
      throw new Error('usage: npm run prove -- study DATASET CONFIG.json OUT [--seeds 0,1,2]');
    const seeds = option(args, '--seeds', '0,1,2').split(',');
    const program = join(root, 'packages/maskrank/dist/cli/main.js');
    mkdirSync(out, { recursive: true });
    const cli = (...argv) => {
      log(`maskrank ${argv.join(' ')}`);
      const { status } = spawnSync(process.execPath, [program, ...argv], {
        stdio: ['ignore', 'ignore', 'inherit'],
      });
      if (status !== 0) throw new Error(`maskrank ${argv[0]} ended with ${status}`);
    };
    const variants = [
      { name: 'recommended', flags: [] },
      { name: 'paper', flags: ['--preset', 'paper', '--no-controls'] },
      { name: 'disjoint', flags: ['--alignment.refresh.rounds', 'disjoint', '--no-controls'] },
    ].filter(({ name }) =>
      option(args, '--variants', 'recommended,paper,disjoint').split(',').includes(name),
    );
    for (const seed of seeds) {
      const splits = `seed${seed}.json`;
      if (!existsSync(join(dataset, splits)))
        cli('dataset', 'split', dataset, ...SPLIT, '--seed', seed, '--file', splits);
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
    const { commonStages, differenceAcrossRuns, stageAcrossRuns } = await import(
      join(root, 'packages/maskrank/dist/evaluation/across-runs.js')
    );
    const dice = (r) => r.dice;
    const lines = [];
    const results = [];
    for (const { name } of variants) {
      const evaluations = seeds.map((seed) =>
        JSON.parse(readFileSync(join(out, `${name}-${seed}`, 'evaluation.json'), 'utf8')),
      );
      lines.push(
        `\n### ${name}\n`,
        '| row | Dice % by seed | mean ± sd | over stage 1, points [95 %] | better / worse % |',
        '|---|---|---|---|---|',
      );
      for (const stage of commonStages(evaluations)) {
        const { perRun, mean, sd } = stageAcrossRuns(evaluations, stage, dice);
        const own = `| ${stage.title} | ${perRun.map(percent).join(' · ')} | ${percent(mean)} ± ${sd === null ? '–' : percent(sd)} |`;
        if (stage.key === 'stage1') {
          lines.push(`${own} | |`);
          continue;
        }
        const d = differenceAcrossRuns(evaluations, { baseline: 'stage1', stage: stage.key }, dice, 7);
        const interval = d.ci95 === null ? '' : ` [${signed(d.ci95[0])}, ${signed(d.ci95[1])}]`;
        lines.push(
          `${own} ${signed(d.mean)}${interval} | ${percent(d.shareBetter)} / ${percent(d.shareWorse)} |`,
        );
        results.push({
          what: `${name}: ${stage.title} measured on ${d.n} cases, ${evaluations.length} seeds`,
          ok: d.n > 0,
        });
      }
      for (const rival of ['continued', 'best-only', 'ceiling'].filter((key) =>
        evaluations.every((e) => e.stages.some((s) => s.key === key)),
      )) {
        const d = differenceAcrossRuns(evaluations, { baseline: rival, stage: 'stage2' }, dice, 7);
        lines.push(
          `\nstage 2 over ${rival}: ${signed(d.mean)} [${d.ci95 === null ? '' : d.ci95.map(signed).join(', ')}]`,
        );
      }
    }
    const table = lines.join('\n');
    writeFileSync(join(out, 'table.md'), `${table}\n`);
    console.log(table);
    return results;
  },
};
