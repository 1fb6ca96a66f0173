// `maskrank pretrain clip`: a small CLIP from image-level labels. Not here: how (pipeline/pretrain/clip.ts).

import { labelledBars } from '../labelled-bars.ts';
import { words } from '../option-values.ts';
import { textTable } from '../table.ts';
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
  args: { datasets: { name: 'DATASET', describe: 'folders of datasets that were split', variadic: true } },
  options: {
    out: { value: 'FILE', describe: 'the .safetensors to write', required: true },
    tags: { value: 'LIST', describe: 'tags of the cases that texts tell; default pathology', parse: words },
    from: {
      value: 'FILE',
      describe:
        'network to go on from, of the same model: its weights and word pieces, as biomedclip-tiny.safetensors',
    },
    restart: { describe: 'discard what was trained and begin anew' },
  },
  sections: ['data', 'clipPretraining'],
  shortcuts: {
    steps: 'clipPretraining.steps',
    epochs: 'clipPretraining.epochs',
    'batch-size': 'clipPretraining.batchSize',
  },
  run: async ({ args, options, config, command, progress, signal, out, warn }) => {
    const { pretrainClipJob } = await import('../../pipeline/pretrain/clip.ts');
    const bars = labelledBars(progress, (label) => (label === 'training' ? 'steps' : 'images'));
    const result = await pretrainClipJob({
      datasets: args.datasets,
      out: options.out,
      tags: options.tags ?? ['pathology'],
      from: options.from ?? null,
      restart: options.restart,
      config,
      command,
      signal,
      warn,
      onProgress: bars.onProgress,
    }).finally(bars.end);
    const { steps, images, vocabulary, validation, file } = result;
    out(
      steps === 0
        ? `${file} was trained already`
        : `${steps} steps on ${images} images, ${vocabulary} word pieces\nwrote ${file}`,
    );
    if (validation.length > 0)
      out(
        textTable([
          ['dataset', 'class', 'validation AUC'],
          ...validation.map(({ dataset, class: name, auc }) => [dataset, name, auc?.toFixed(3) ?? '–']),
        ]),
      );
    return { result, next: `maskrank prompt ${args.datasets[0]} --run RUN --clip.weights ${file}` };
  },
});
