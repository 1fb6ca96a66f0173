// What studies over several seeds share: the command line as a person types it, the division of a data set by seed, and tables of
// stages across runs.

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** 10 % of the training pool labelled, 40 % unlabelled, the same test set for all seeds. */
const SHARES = [
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

export const option = (args, name, fallback) =>
  args.includes(name) ? args[args.indexOf(name) + 1] : fallback;
export const percent = (x) => (100 * x).toFixed(1);
export const signed = (x) => `${x >= 0 ? '+' : ''}${percent(x)}`;

/** Runs `maskrank …` and throws when it fails. */
export const commandLine = (root, log) => {
  const program = join(root, 'packages/maskrank/dist/cli/main.js');
  return (...argv) => {
    log(`maskrank ${argv.join(' ')}`);
    const { status } = spawnSync(process.execPath, [program, ...argv], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    if (status !== 0) throw new Error(`maskrank ${argv[0]} ended with ${status}`);
  };
};

/** The name of the division of a seed, made once. */
export const splitsOf = (cli, dataset, seed) => {
  const splits = `seed${seed}.json`;
  if (!existsSync(join(dataset, splits)))
    cli('dataset', 'split', dataset, ...SHARES, '--seed', seed, '--file', splits);
  return splits;
};

export const readEvaluation = (run) => JSON.parse(readFileSync(join(run, 'evaluation.json'), 'utf8'));

const interval = (d) => (d.ci95 === null ? '' : ` [${signed(d.ci95[0])}, ${signed(d.ci95[1])}]`);

/**
 * A row a stage that every evaluation has, with its difference from `baseline`; then a line for each other pair.
 * `across` is the compiled evaluation/across-runs; `value` picks the number of a case.
 */
export const stageTable = (across, evaluations, { title, baseline, pairs = [], value = (r) => r.dice }) => {
  const stages = across.commonStages(evaluations);
  const baselineTitle = stages.find(({ key }) => key === baseline)?.title ?? baseline;
  const lines = [
    `\n### ${title}\n`,
    `| row | Dice % by seed | mean ± sd | over ${baselineTitle}, points [95 %] | better / worse % |`,
    '|---|---|---|---|---|',
  ];
  const compared = [];
  for (const stage of stages) {
    const { perRun, mean, sd } = across.stageAcrossRuns(evaluations, stage, value);
    const own = `| ${stage.title} | ${perRun.map(percent).join(' · ')} | ${percent(mean)} ± ${sd === null ? '–' : percent(sd)} |`;
    if (stage.key === baseline) {
      lines.push(`${own} | |`);
      continue;
    }
    const d = across.differenceAcrossRuns(evaluations, { baseline, stage: stage.key }, value, 7);
    lines.push(
      `${own} ${signed(d.mean)}${interval(d)} | ${percent(d.shareBetter)} / ${percent(d.shareWorse)} |`,
    );
    compared.push({
      what: `${title}: ${stage.title} measured on ${d.n} cases, ${evaluations.length} seeds`,
      ok: d.n > 0,
    });
  }
  const has = (key) => stages.some((stage) => stage.key === key);
  for (const [stage, rival] of pairs.filter(([a, b]) => has(a) && has(b))) {
    const d = across.differenceAcrossRuns(evaluations, { baseline: rival, stage }, value, 7);
    lines.push(`\n${stage} over ${rival}: ${signed(d.mean)}${interval(d)}`);
  }
  return { lines, compared };
};
