// `maskrank pretrain sam`: a small promptable network from masks. Not here: how (pipeline/pretrain/sam.ts).

import {
  PRETRAIN_ARGS,
  PRETRAIN_OPTIONS,
  pretrainShortcuts,
  runPretrain,
  tellPretrained,
} from '../pretrain-verb.ts';
import { defineVerb } from '../verb.ts';

export const pretrainSam = defineVerb({
  name: 'pretrain sam',
  summary: 'train a small promptable network on masks, to start stage 1 from',
  details: `As SAM-Med2D trains: several masks of an image, asked for by boxes, clicks, both or names, then by clicks on the errors.
Masks of labelled and unlabelled training cases are used: this is for data whose masks cost nothing, phantoms above all.
Several datasets count alike. Ctrl-C stops at the next step; the same command goes on there, to the same weights as an
uninterrupted training.`,
  examples: [
    ['maskrank pretrain sam data/phantoms --out tiny.safetensors', 'one dataset'],
    [
      'maskrank pretrain sam data/breast data/chest data/mixed --out tiny.safetensors --steps 4000',
      'several together',
    ],
    [
      'maskrank pretrain sam data/breast --out named.safetensors --weights tiny.safetensors --text-from clip.safetensors',
      'names as prompts, on top of a training without',
    ],
  ],
  args: PRETRAIN_ARGS,
  options: {
    ...PRETRAIN_OPTIONS,
    textFrom: {
      value: 'FILE',
      describe: 'a CLIP whose features of class names become prompts too; as pretrain clip writes it',
    },
  },
  sections: ['data', 'samPretraining'],
  shortcuts: {
    ...pretrainShortcuts('samPretraining'),
    weights: 'samPretraining.weights',
  },
  run: async (context) => {
    const { args, options } = context;
    const { pretrainSamJob } = await import('../../pipeline/pretrain/sam.ts');
    const { WAY_NAMES, WAYS } = await import('../../pipeline/promptable-quality.ts');
    const result = await runPretrain(context, (request) =>
      pretrainSamJob({ ...request, textFrom: options.textFrom ?? null }),
    );
    const { images, parameters, validation, file } = result;
    tellPretrained(context, result, `${images} images; ${(parameters / 1e6).toFixed(1)} M parameters`, [
      ['validation Dice', 'masks', ...WAYS.map((way) => WAY_NAMES[way])],
      ...validation.map(({ dataset, units, dice: d }) => [
        dataset,
        `${units}`,
        ...WAYS.map((way) => d[way].toFixed(3)),
      ]),
    ]);
    return { result, next: `maskrank finetune ${args.datasets[0]} --run RUN --weights ${file}` };
  },
});
