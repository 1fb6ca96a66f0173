// `maskrank pretrain vqa`: a small MedVInT from questions and answers. Not here: how (pipeline/pretrain/vqa.ts).

import { labelledBars } from '../labelled-bars.ts';
import { textTable } from '../table.ts';
import { defineVerb } from '../verb.ts';

export const pretrainVqa = defineVerb({
  name: 'pretrain vqa',
  summary: 'train a small MedVInT on questions and answers, for text prompts without released weights',
  details: `Questions and answers stand in DATASET/language.jsonl, as dataset phantom writes them. All training cases are
used, labelled or not; masks are opened only with --vqa-pretraining.masks. Validation cases tell how many answers are exact. FILE holds the network in
float16 with its tokeniser. Ctrl-C stops at the next step; the same command goes on there, to the same weights as an
uninterrupted training.`,
  examples: [
    ['maskrank pretrain vqa data/breast --out vqa.safetensors', 'one dataset of phantoms'],
    [
      'maskrank pretrain vqa data/breast data/chest --out vqa.safetensors --epochs 40',
      'several, the small ones shown as often as the large ones',
    ],
  ],
  args: { datasets: { name: 'DATASET', describe: 'folders of datasets that were split', variadic: true } },
  options: {
    out: { value: 'FILE', describe: 'the .safetensors to write', required: true },
    restart: { describe: 'discard what was trained and begin anew' },
  },
  sections: ['data', 'vqaPretraining'],
  shortcuts: {
    steps: 'vqaPretraining.steps',
    epochs: 'vqaPretraining.epochs',
    'batch-size': 'vqaPretraining.batchSize',
  },
  run: async ({ args, options, config, command, progress, signal, out, warn }) => {
    const { pretrainVqaJob } = await import('../../pipeline/pretrain/vqa.ts');
    const bars = labelledBars(progress, (label) => (label === 'training' ? 'steps' : 'images'));
    const result = await pretrainVqaJob({
      datasets: args.datasets,
      out: options.out,
      restart: options.restart,
      config,
      command,
      signal,
      warn,
      onProgress: bars.onProgress,
    }).finally(bars.end);
    const { steps, images, questions, validation, file } = result;
    out(
      steps === 0
        ? `${file} was trained already`
        : `${steps} steps on ${images} images with ${questions} questions\nwrote ${file}`,
    );
    if (validation.length > 0)
      out(
        textTable([
          ['dataset', 'kind of question', 'asked', 'exact answers'],
          ...validation.map(({ dataset, kind, asked, right }) => [
            dataset,
            kind,
            `${asked}`,
            `${((100 * right) / asked).toFixed(1)} %`,
          ]),
        ]),
      );
    const answers = `--prompts.use box,point,vqa --text.answers medvint --text.medvint.weights ${file}`;
    return { result, next: `maskrank prompt ${args.datasets[0]} --run RUN ${answers}` };
  },
});
