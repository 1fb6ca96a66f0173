// `maskrank dataset sample`: a dataset of painted shapes, to try everything without images of one's own.
// Not here: how they are painted (datasets/shapes).

import { wholeNumber } from '../option-values.ts';
import { defineVerb } from '../verb.ts';

export const datasetSample = defineVerb({
  name: 'dataset sample',
  summary: 'make a dataset of painted shapes, to try things out',
  details: `FAMILY is breast (dark lesions in speckle) or chest (two lungs). The pictures are painted by eye and stand for
nothing clinical: a model trained on them is of no use on patients. Equal seeds give equal bytes.`,
  examples: [
    ['maskrank dataset sample breast --cases 120 --seed 7 --out data/shapes', '120 pictures with masks'],
  ],
  args: { family: { name: 'FAMILY', describe: 'breast or chest' } },
  options: {
    out: { value: 'DATASET', describe: 'folder of the dataset: new or empty', required: true },
    cases: { value: 'NUMBER', describe: 'pictures; default 120', parse: wholeNumber(1) },
    size: { value: 'PIXELS', describe: 'side of a picture; default 256', parse: wholeNumber(64) },
  },
  run: async ({ args, options, config, progress, signal, out }) => {
    const { makeShapes } = await import('../../datasets/shapes.ts');
    const { cases = 120, size: sizePx = 256 } = options;
    const task = progress.task('painting', { total: cases, unit: 'pictures' });
    const { dir, hash, dataset } = await makeShapes({
      family: args.family,
      cases,
      seed: config.seed,
      out: options.out,
      sizePx,
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
