// `maskrank pretrain clip`: a small CLIP from image-level labels. Not here: how (pipeline/pretrain/clip.ts).

import { words } from '../option-values.ts';
import {
  PRETRAIN_ARGS,
  PRETRAIN_OPTIONS,
  pretrainShortcuts,
  runPretrain,
  tellPretrained,
} from '../pretrain-verb.ts';
import { defineVerb } from '../verb.ts';

export const pretrainClip = defineVerb({
  name: 'pretrain clip',
  summary: 'train a small CLIP on image-level labels, for saliency without released weights',
  details: `Texts are made from which classes are in an image, from its tags and captions; masks are not opened unless
--clip-pretraining.masks says so, which is for phantoms. Labelled and unlabelled training cases are used, validation and test cases are not. Ctrl-C stops at the next step; the same command
goes on there, to the same weights as an uninterrupted training.`,
  examples: [
    ['maskrank pretrain clip data/busi --out busi-clip.safetensors', 'one dataset'],
    [
      'maskrank pretrain clip data/busi data/chest --out clip.safetensors --tags pathology',
      'several: what one shows, the others lack',
    ],
  ],
  args: PRETRAIN_ARGS,
  options: {
    ...PRETRAIN_OPTIONS,
    tags: { value: 'LIST', describe: 'tags of the cases that texts tell; default pathology', parse: words },
    from: {
      value: 'FILE',
      describe:
        'network to go on from, of the same model: its weights and word pieces, as biomedclip-tiny.safetensors',
    },
  },
  sections: ['data', 'clipPretraining'],
  shortcuts: pretrainShortcuts('clipPretraining'),
  run: async (context) => {
    const { args, options } = context;
    const { pretrainClipJob } = await import('../../pipeline/pretrain/clip.ts');
    const result = await runPretrain(context, (request) =>
      pretrainClipJob({ ...request, tags: options.tags ?? ['pathology'], from: options.from ?? null }),
    );
    const { images, vocabulary, validation, file } = result;
    tellPretrained(context, result, `${images} images, ${vocabulary} word pieces`, [
      ['dataset', 'class', 'validation AUC'],
      ...validation.map(({ dataset, class: name, auc }) => [dataset, name, auc?.toFixed(3) ?? '–']),
    ]);
    return { result, next: `maskrank prompt ${args.datasets[0]} --run RUN --clip.weights ${file}` };
  },
});
