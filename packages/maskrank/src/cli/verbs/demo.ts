// `maskrank demo`: the whole job, one command after the other, as a person would type them; each is shown before it runs.
// Stopped at any moment, the same demo goes on: every step knows what is done.

import { UsageError } from '@maskrank/torch/errors';
import { wholeNumber } from '../option-values.ts';
import { defineVerb } from '../verb.ts';

/** Small numbers of everything, for minutes on two cores from random weights. They are no recommendation. */
const DEMO_CONFIG = {
  prompts: { unlabelled: 'oracle-box', test: 'oracle-box', points: 0 },
  training: {
    steps: 160,
    batchSize: 8,
    learningRate: 1e-3,
    schedule: 'cosine',
    warmUpSteps: 30,
    checkpointEverySteps: 40,
  },
  alignment: {
    steps: 72,
    refresh: { everySteps: 24 },
    learningRate: 2e-4,
    checkpointEverySteps: 30,
    alarms: { action: 'warn' },
  },
  evaluation: { alsoPrompts: ['self'] },
};

/** What is outlined in each family. */
const CLASS_OF = { breast: 'lesion', chest: 'lung' } as const;

type Step = readonly [argv: readonly string[], words: string];

export const demo = defineVerb({
  name: 'demo',
  summary: 'the whole job on phantoms or a folder of your own; a report at the end',
  details: `Draws phantoms (or imports --data FOLDER with images/ and masks/), divides it so that a tenth of the training
cases is labelled, fine-tunes a small network on that tenth, lets the virtual annotator rank four proposals for each
unlabelled image, aligns, measures every stage and control on untouched images, and writes report.html.
Boxes come from hidden masks here (oracle) and are marked so; the pictures stand for nothing clinical.`,
  examples: [
    ['maskrank demo', 'into ./maskrank-demo, under five minutes on two cores'],
    ['maskrank demo --data scans --out scans-demo', 'on scans/images and scans/masks'],
  ],
  options: {
    out: { value: 'DIR', describe: 'folder of everything; default maskrank-demo' },
    data: { value: 'FOLDER', describe: 'your own images/ and masks/ instead of phantoms' },
    family: {
      value: 'FAMILY',
      choices: ['breast', 'chest'],
      describe: 'of the phantoms; default breast',
    },
    cases: { value: 'NUMBER', describe: 'phantoms; default 160', parse: wholeNumber(40) },
  },
  run: async ({ options, config, out, signal }) => {
    const { existsSync, mkdirSync } = await import('node:fs');
    const { join, resolve } = await import('node:path');
    const { writeFileAtomic } = await import('@maskrank/torch/io');
    const { main, shellQuote } = await import('../main.ts');
    const { out: folder = 'maskrank-demo', data, family = 'breast', cases = 160 } = options;
    const at = (name: string): string => join(folder, name);
    mkdirSync(folder, { recursive: true });
    await writeFileAtomic(at('demo.json'), `${JSON.stringify(DEMO_CONFIG, null, 2)}\n`);
    const seed = String(config.seed);
    const source: Step =
      data === undefined
        ? [
            [
              ...['dataset', 'phantom', family, '--classes', CLASS_OF[family]],
              ...['--cases', String(cases), '--seed', seed, '--out', at('dataset')],
            ],
            'draw a data set',
          ]
        : [['dataset', 'import', 'folder', data, '--out', at('dataset')], 'import your images'];
    const done = data === undefined && existsSync(join(at('dataset'), 'dataset.json'));
    const chain: Step[] = [
      ...(done ? [] : [source]),
      [
        [
          'dataset',
          'split',
          at('dataset'),
          '--labelled',
          '0.1',
          '--test',
          '0.25',
          '--validation',
          '0.05',
          '--seed',
          seed,
        ],
        'divide it: a tenth labelled',
      ],
      [
        ['finetune', at('dataset'), '--run', at('run'), '--config', at('demo.json'), '--seed', seed],
        'stage 1 on the labelled tenth',
      ],
      [['align', '--run', at('run')], 'stage 2 on rankings of the rest, and its controls'],
      [['evaluate', '--run', at('run')], 'measure on untouched images'],
      [['report', '--run', at('run')], 'write the report'],
    ];
    for (const [i, [argv, words]] of chain.entries()) {
      signal.throwIfAborted();
      out(`\n[${i + 1}/${chain.length}] ${words}\n$ maskrank ${argv.map(shellQuote).join(' ')}`);
      const code = await main(argv);
      if (code === 130) signal.throwIfAborted();
      if (code !== 0)
        throw new UsageError(
          `demo: step ${i + 1} (${argv.slice(0, 2).join(' ')}) ended with code ${code}; its message stands above. The same demo command goes on from there.`,
        );
    }
    const report = resolve(at('run'), 'report.html');
    out(`\nThe report: ${report}`);
    return { result: { folder, report }, next: `open ${report} in a browser` };
  },
});
