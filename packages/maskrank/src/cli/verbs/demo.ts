// `maskrank demo`: the whole job, one command after the other, as a person would type them; each is shown before it runs.
// Stopped at any moment, the same demo goes on: every step knows what is done. Not here: the commands (demo-chain.ts).

import { UsageError } from '@maskrank/torch/errors';
import { DEMO_CONFIG, DEMO_FAMILIES, type DemoFamily, type DemoSource, demoChain } from '../demo-chain.ts';
import { wholeNumber } from '../option-values.ts';
import { defineVerb } from '../verb.ts';

export const demo = defineVerb({
  name: 'demo',
  summary: 'the whole job with the networks that come with maskrank, offline; a report at the end',
  details: `Draws phantoms (or imports --data FOLDER with images/ and masks/), divides them so that a tenth of the training cases is
labelled, finds prompts with nobody in the loop (saliency of a small CLIP, a dense CRF, knowledge cards), fine-tunes a small SAM-Med2D on the tenth, lets the virtual annotator rank four proposals for each unlabelled image, aligns,
measures every stage and control on untouched images, and writes report.html. Phantoms stand for nothing clinical.`,
  examples: [
    ['maskrank demo', 'into ./maskrank-demo, under five minutes on two cores'],
    ['maskrank demo --family chest', 'another kind of image'],
    ['maskrank demo --all', 'every family, one after the other'],
    ['maskrank demo --data scans --out scans-demo', 'on scans/images and scans/masks'],
  ],
  options: {
    out: { value: 'DIR', describe: 'folder of everything; default maskrank-demo' },
    data: { value: 'FOLDER', describe: 'your own images/ and masks/ instead of phantoms' },
    family: {
      value: 'FAMILY',
      choices: [...DEMO_FAMILIES],
      describe: 'of the phantoms; default breast',
    },
    all: { describe: 'every family of phantoms, each in a folder of its own' },
    cases: { value: 'NUMBER', describe: 'pictures of a family; default 120 to 160', parse: wholeNumber(40) },
  },
  run: async ({ options, config, out, signal }) => {
    const { existsSync, mkdirSync } = await import('node:fs');
    const { join, resolve } = await import('node:path');
    const { writeFileAtomic } = await import('@maskrank/torch/io');
    const { main, shellQuote } = await import('../main.ts');
    const { out: folder = 'maskrank-demo', data, family, all, cases } = options;
    if ([data !== undefined, family !== undefined, all].filter(Boolean).length > 1)
      throw new UsageError('demo: --data, --family and --all exclude each other; give one of them.');
    const phantoms = (one: DemoFamily): DemoSource => ({ kind: 'phantoms', family: one, cases });
    const jobs: readonly (readonly [string, DemoSource])[] = all
      ? DEMO_FAMILIES.map((one) => [join(folder, one), phantoms(one)])
      : [
          [
            folder,
            data === undefined
              ? phantoms((family ?? 'breast') as DemoFamily)
              : { kind: 'folder', path: data },
          ],
        ];
    const reports: string[] = [];
    for (const [place, source] of jobs) {
      mkdirSync(place, { recursive: true });
      const paths = {
        dataset: join(place, 'dataset'),
        run: join(place, 'run'),
        config: join(place, 'demo.json'),
      };
      await writeFileAtomic(paths.config, `${JSON.stringify(DEMO_CONFIG, null, 2)}\n`);
      const hasData = existsSync(join(paths.dataset, 'dataset.json'));
      const chain = demoChain(source, paths, { seed: config.seed, hasData });
      for (const [i, { argv, words }] of chain.entries()) {
        signal.throwIfAborted();
        out(`\n[${i + 1}/${chain.length}] ${words}\n$ maskrank ${argv.map(shellQuote).join(' ')}`);
        const code = await main(argv);
        if (code === 130) signal.throwIfAborted();
        if (code !== 0)
          throw new UsageError(
            `demo: step ${i + 1} (${argv.slice(0, 2).join(' ')}) ended with code ${code}; its message stands above. The same demo command goes on from there.`,
          );
      }
      reports.push(resolve(paths.run, 'report.html'));
    }
    out(`\n${reports.map((report) => `The report: ${report}`).join('\n')}`);
    return { result: { folder, reports }, next: `open ${reports[0]} in a browser` };
  },
});
