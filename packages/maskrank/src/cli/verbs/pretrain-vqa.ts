// `maskrank pretrain vqa`: a small MedVInT from questions and answers. Not here: how (pipeline/pretrain/vqa.ts).

import {
  PRETRAIN_ARGS,
  PRETRAIN_OPTIONS,
  pretrainShortcuts,
  runPretrain,
  tellPretrained,
} from '../pretrain-verb.ts';
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
    [
      'maskrank pretrain vqa data/breast --out better.safetensors --weights vqa.safetensors --seed 2',
      'further, with the vocabulary of vqa.safetensors',
    ],
  ],
  args: PRETRAIN_ARGS,
  options: PRETRAIN_OPTIONS,
  sections: ['data', 'vqaPretraining'],
  shortcuts: { ...pretrainShortcuts('vqaPretraining'), weights: 'vqaPretraining.weights' },
  run: async (context) => {
    const { pretrainVqaJob } = await import('../../pipeline/pretrain/vqa.ts');
    const result = await runPretrain(context, pretrainVqaJob);
    const { images, questions, validation, file } = result;
    tellPretrained(context, result, `${images} images with ${questions} questions`, [
      ['dataset', 'kind of question', 'asked', 'exact answers'],
      ...validation.map(({ dataset, kind, asked, right }) => [
        dataset,
        kind,
        `${asked}`,
        `${((100 * right) / asked).toFixed(1)} %`,
      ]),
    ]);
    const answers = `--prompts.use box,point,vqa --text.answers medvint --text.medvint.weights ${file}`;
    return { result, next: `maskrank prompt ${context.args.datasets[0]} --run RUN ${answers}` };
  },
});
