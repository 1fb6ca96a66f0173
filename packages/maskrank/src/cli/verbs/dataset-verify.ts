// `maskrank dataset verify`: lists everything that is wrong or suspicious in a dataset.
// Not here: what is looked for (datasets/verify.ts).

import { DataError } from '@maskrank/torch/errors';
import { wholeNumber } from '../option-values.ts';
import { defineVerb } from '../verb.ts';

export const datasetVerify = defineVerb({
  name: 'dataset verify',
  summary: 'find what is wrong in a dataset: sizes, values, duplicates, leaks between splits',
  details: 'Ends with code 3 when there are errors. Nothing is changed.',
  examples: [
    ['maskrank dataset verify data/busi', 'every finding, with what to do about it'],
    ['maskrank dataset verify data/busi --json', 'for a machine'],
  ],
  args: { dataset: { name: 'DATASET', describe: 'folder of the dataset' } },
  options: {
    all: { describe: 'print every finding of a kind, not the first ten' },
    canvas: {
      value: 'PIXELS',
      describe: 'side of the model canvas, for masks that vanish on it; default 256',
      parse: wholeNumber(16),
    },
  },
  sections: ['data'],
  run: async ({ args, options, config, progress, signal, out }) => {
    const { formatVerifyReport } = await import('../../datasets/verify-text.ts');
    const { verifyDataset } = await import('../../datasets/verify.ts');
    const { readArtefact } = await import('../../datasets/artefact.ts');
    const { SplitsSchema } = await import('../../datasets/schema.ts');
    const { existsSync } = await import('node:fs');
    const { join } = await import('node:path');
    const path = join(args.dataset, config.data.splits);
    const splits = existsSync(path) ? await readArtefact(path, SplitsSchema) : undefined;
    const task = progress.task('verifying', { unit: 'cases' });
    const report = await verifyDataset(args.dataset, {
      ...(splits && { splits }),
      canvasPx: options.canvas ?? config.data.imageSize ?? 256,
      onProgress: ({ done, total }) => {
        task.setTotal(total);
        task.update(done);
      },
      signal,
    }).finally(() => task.end(''));
    out(formatVerifyReport(report, options.all ? { perKind: Number.POSITIVE_INFINITY } : {}));
    const errors = report.counts.error;
    const failure = new DataError(`${args.dataset}: ${errors} error(s). Mend them and verify again.`);
    const next = splits
      ? `maskrank finetune ${args.dataset} --run runs/${report.name}`
      : `maskrank dataset split ${args.dataset} --labelled 0.1 --test 0.2 --seed ${config.seed}`;
    return { result: report, next, ...(!report.ok && { failure }) };
  },
});
