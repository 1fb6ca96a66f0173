// `maskrank dataset split`: divides a dataset into labelled, unlabelled, validation and test cases.
// Not here: how (datasets/splits.ts).

import { UsageError } from '@maskrank/torch/errors';
import { share, words } from '../option-values.ts';
import { textTable } from '../table.ts';
import { defineVerb } from '../verb.ts';

export const datasetSplit = defineVerb({
  name: 'dataset split',
  summary: 'divide a dataset by patient into labelled, unlabelled, validation and test',
  details: `Shares of test and validation are of all usable cases, those of labelled and unlabelled of what these leave.
The 10 % labelled set lies inside the 20 % set of the same seed. --seed chooses; --hold-out-seed keeps the test set.`,
  examples: [
    ['maskrank dataset split data/busi --labelled 0.1 --test 0.3 --seed 7', 'writes data/busi/splits.json'],
    [
      'maskrank dataset split data/busi --hold-out-seed 7 --seed 8 --file seed8.json',
      'other labelled cases, the same test set',
    ],
  ],
  args: { dataset: { name: 'DATASET', describe: 'folder of the dataset' } },
  options: {
    labelled: {
      value: 'SHARE',
      describe: 'of the training cases, used with masks; default 0.1',
      parse: share,
    },
    unlabelled: {
      value: 'SHARE',
      describe: 'of the training cases, used without; default the rest',
      parse: share,
    },
    test: { value: 'SHARE', describe: 'of all cases; default 0.2', parse: share },
    validation: { value: 'SHARE', describe: 'of all cases; default 0.1', parse: share },
    holdOutSeed: { value: 'SEED', describe: 'seed of test and validation alone; default --seed' },
    stratifyBy: {
      value: 'LIST',
      describe: 'class and names of tags to spread evenly; default class',
      parse: words,
    },
    keepTest: { describe: "take the source's own test set" },
    keepValidation: { describe: "take the source's own validation set" },
    emptyCases: {
      choices: ['keep', 'leave-out'],
      describe: 'cases known to show no class; default leave-out',
    },
    file: { value: 'NAME', describe: 'file in the dataset; default splits.json' },
    replace: { describe: 'replace a different division that is there' },
  },
  run: async ({ args, options, config, out }) => {
    const { openDataset } = await import('../../datasets/cases.ts');
    const { makeSplits, readSplits, writeSplits } = await import('../../datasets/splits.ts');
    const { existsSync } = await import('node:fs');
    const { join } = await import('node:path');
    const { file = 'splits.json', replace, ...asked } = options;
    const opened = await openDataset(args.dataset);
    const given = Object.fromEntries(Object.entries(asked).filter(([, value]) => value !== undefined));
    const splits = makeSplits(opened.dataset, opened.hash, { seed: config.seed, ...given });
    const path = join(args.dataset, file);
    if (existsSync(path) && !replace) {
      const { canonicalJson } = await import('../../run/resolve.ts');
      const there = await readSplits(path, opened);
      if (canonicalJson(there) !== canonicalJson(splits))
        throw new UsageError(
          `${path}: holds another division (seed ${there.seed}), and runs may depend on it. Write a new one with --file NAME, or replace it with --replace.`,
        );
    }
    await writeSplits(opened.dir, splits, file);
    const { achieved = {}, leftOut = {} } = splits;
    const classes = opened.dataset.classes.map(({ name }) => name);
    out(
      textTable([
        ['split', 'cases', 'groups', ...classes.map((name) => `with ${name}`)],
        ...Object.entries(achieved).map(([name, facts]) => [
          name,
          facts.cases,
          facts.groups,
          ...classes.map((cls) => facts.classes[cls] ?? '–'),
        ]),
      ]),
    );
    const left = Object.keys(leftOut).length;
    if (left > 0) out(`${left} cases are in no split; ${path} says why`);
    const use = file === 'splits.json' ? '' : ` --data.splits ${file}`;
    return {
      result: { path, datasetHash: splits.datasetHash, seed: splits.seed, achieved, leftOut: left },
      next: `maskrank finetune ${args.dataset} --run runs/${opened.dataset.name}${use}`,
    };
  },
});
