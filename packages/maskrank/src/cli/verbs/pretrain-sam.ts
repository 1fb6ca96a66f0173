// `maskrank pretrain sam`: a small promptable network from masks. Not here: how (pipeline/pretrain/sam.ts).

import { labelledBars } from '../labelled-bars.ts';
import { textTable } from '../table.ts';
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
  args: { datasets: { name: 'DATASET', describe: 'folders of datasets that were split', variadic: true } },
  options: {
    out: { value: 'FILE', describe: 'the .safetensors to write', required: true },
    textFrom: {
      value: 'FILE',
      describe: 'a CLIP whose features of class names become prompts too; as pretrain clip writes it',
    },
    restart: { describe: 'discard what was trained and begin anew' },
  },
  sections: ['data', 'samPretraining'],
  shortcuts: {
    steps: 'samPretraining.steps',
    epochs: 'samPretraining.epochs',
    'batch-size': 'samPretraining.batchSize',
    weights: 'samPretraining.weights',
  },
  run: async ({ args, options, config, command, progress, signal, out, warn }) => {
    const { pretrainSamJob } = await import('../../pipeline/pretrain/sam.ts');
    const bars = labelledBars(progress, (label) => (label === 'training' ? 'steps' : 'images'));
    const result = await pretrainSamJob({
      datasets: args.datasets,
      out: options.out,
      textFrom: options.textFrom ?? null,
      restart: options.restart,
      config,
      command,
      signal,
      warn,
      onProgress: bars.onProgress,
    }).finally(bars.end);
    const { steps, images, parameters, validation, file } = result;
    const millions = (parameters / 1e6).toFixed(1);
    out(
      steps === 0
        ? `${file} was trained already`
        : `${steps} steps on ${images} images; ${millions} M parameters\nwrote ${file}`,
    );
    if (validation.length > 0)
      out(
        textTable([
          ['validation Dice', 'masks', 'true box', 'loose box', 'one click', 'filled box', 'ellipse'],
          ...validation.map(({ dataset, units, dice: d }) => [
            dataset,
            `${units}`,
            ...[d.trueBox, d.jitteredBox, d.oneClick, d.filledBox, d.ellipse].map((x) => x.toFixed(3)),
          ]),
        ]),
      );
    return { result, next: `maskrank finetune DATASET --run RUN --weights ${file}` };
  },
});
