// `maskrank dataset phantom`: a dataset of phantoms with masks, captions, questions and answers.
// Not here: how they are drawn (datasets/phantoms).

import { wholeNumber, words } from '../option-values.ts';
import { defineVerb } from '../verb.ts';

export const datasetPhantom = defineVerb({
  name: 'dataset phantom',
  summary: 'make a dataset of phantoms: anatomy and scanner drawn by seed, with masks and words',
  details: `FAMILY is breast (ultrasound), chest (X-ray), abdomen (CT slices) or mixed (random shapes). Captions, questions and answers stand in DATASET/language.jsonl.
Phantoms are drawn, not measured: they are for pretraining, tests and trying things out, and prove nothing about patients.
Equal seeds give equal bytes.`,
  examples: [
    ['maskrank dataset phantom breast --cases 400 --seed 7 --out data/phantoms', '400 pictures with masks'],
    ['maskrank dataset phantom chest --classes lung --cases 400 --out data/lungs', 'lungs alone'],
  ],
  args: { family: { name: 'FAMILY', describe: 'breast, chest, abdomen or mixed' } },
  options: {
    out: { value: 'DATASET', describe: 'folder of the dataset: new or empty', required: true },
    cases: { value: 'NUMBER', describe: 'pictures; default 200', parse: wholeNumber(1) },
    size: { value: 'PIXELS', describe: 'longer side of a picture; default 256', parse: wholeNumber(64) },
    classes: { value: 'LIST', describe: 'classes to keep; default all of the family', parse: words },
  },
  run: async ({ args, options, config, progress, signal, out }) => {
    const { makePhantoms } = await import('../../datasets/phantoms/dataset.ts');
    const { cases = 200, size: sizePx = 256, classes } = options;
    const task = progress.task('drawing', { total: cases, unit: 'pictures' });
    const { dir, hash, dataset } = await makePhantoms({
      family: args.family,
      cases,
      seed: config.seed,
      out: options.out,
      sizePx,
      ...(classes && { classes }),
      onProgress: ({ done }) => task.update(done),
      signal,
    }).finally(() => task.end());
    out(`${dir}: ${dataset.cases.length} cases of ${dataset.name}`);
    return {
      result: { dir, hash, cases: dataset.cases.length },
      next: `maskrank dataset split ${options.out} --labelled 0.1 --test 0.2 --seed ${config.seed}`,
    };
  },
});
