// `maskrank predict`: masks for new images.

import { UsageError } from '@maskrank/torch/errors';
import { parseWindow, SOFT_TISSUE_HU } from '../../formats/window.ts';
import { defineVerb } from '../verb.ts';

/** `10,20,110,140` -> a box. */
function box(text: string): { x0: number; y0: number; x1: number; y1: number } {
  const [x0, y0, x1, y1, ...rest] = text.split(',').map(Number);
  const numbers = [x0, y0, x1, y1];
  if (
    rest.length > 0 ||
    numbers.some((v) => v === undefined || !Number.isFinite(v)) ||
    (x1 as number) <= (x0 as number) ||
    (y1 as number) <= (y0 as number)
  ) {
    throw new UsageError(`'${text}' is no box, allowed: x0,y0,x1,y1 in pixels with x0 < x1 and y0 < y1.`);
  }
  return { x0: x0 as number, y0: y0 as number, x1: x1 as number, y1: y1 as number };
}

export const predict = defineVerb({
  name: 'predict',
  summary: 'masks for new images from a run or a checkpoint',
  details: `Writes NAME_CLASS.png (0 and 255, the image's size) for each image. Without prompts the model prompts itself: it
predicts, boxes its prediction and predicts again. A NIfTI volume is predicted in axial slices and becomes NAME.nii.gz, the
class ids in the voxels of the input. It is given the kinds of prompts that it was trained with, or those of
--prompts. Not for clinical use.`,
  examples: [
    ['maskrank predict --run runs/busi new/*.png --out masks', 'with the aligned model of a run'],
    [
      'maskrank predict --checkpoint stage2.safetensors a.png --out masks --box 40,60,180,190',
      'in a given box',
    ],
    ['maskrank predict --run runs/amos scan.nii.gz --out labels', 'labels of a volume'],
    [
      'maskrank predict --run runs/busi new/*.png --out masks --prompts-file prompts.jsonl',
      'boxes, points and texts from a file',
    ],
  ],
  args: {
    files: { name: 'FILES', describe: 'images: PNG, JPEG, TIFF; volumes: .nii, .nii.gz', variadic: true },
  },
  options: {
    out: { value: 'DIR', describe: 'folder of the masks', required: true },
    checkpoint: { value: 'FILE', describe: 'checkpoint of a run, instead of --run' },
    stage: {
      value: 'STAGE',
      choices: ['stage1', 'stage2'],
      describe: 'which of the run; default stage2 when it is there',
    },
    window: {
      value: 'LOW,HIGH',
      describe: 'volumes: grey values from black to white, or percentile, as at the import; default -160,240',
      parse: parseWindow,
    },
    box: { value: 'BOX', describe: 'x0,y0,x1,y1 in pixels, for every image', parse: box },
    promptsFile: {
      value: 'FILE',
      describe:
        'prompts.jsonl; case is the name of the image without extension, NAME_s012 for slice 12 of a volume',
    },
    textFeatures: {
      value: 'FILE',
      describe: 'features of the texts in it, as maskrank prompt writes them to RUN/cache',
    },
    overlay: { describe: 'also write NAME.overlay.png' },
  },
  sections: ['prompts', 'evaluation'],
  shortcuts: { prompts: 'prompts.use' },
  runFolder: { mode: 'read', optional: true },
  run: async ({ args, options, config, origins, runFolder, progress, signal, out, warn }) => {
    const { existsSync } = await import('node:fs');
    const { bestDevice } = await import('@maskrank/torch');
    const { predictJob } = await import('../../pipeline/predict.ts');
    const { promptKinds } = await import('../../pipeline/workspace.ts');
    if ((options.checkpoint === undefined) === (runFolder === undefined))
      throw new UsageError('predict: give --run RUN or --checkpoint FILE, one of them.');
    const ofRun = (stage: string): string | undefined =>
      runFolder === undefined
        ? undefined
        : stage === 'stage1'
          ? runFolder.paths.stage1
          : runFolder.paths.stage2;
    const newest = runFolder !== undefined && existsSync(runFolder.paths.stage2) ? 'stage2' : 'stage1';
    const checkpoint = options.checkpoint ?? (ofRun(options.stage ?? newest) as string);
    const task = progress.task('predict', { total: args.files.length, unit: 'images' });
    const predictions = await predictJob({
      checkpoint,
      files: args.files,
      out: options.out,
      device: config.device === 'auto' ? bestDevice() : config.device,
      threshold: config.evaluation.threshold,
      window: options.window ?? SOFT_TISSUE_HU,
      boxes: options.box === undefined ? [] : [options.box],
      promptsFile: options.promptsFile ?? null,
      textFeatures: options.textFeatures ?? null,
      use: origins['prompts.use'] === 'default' ? null : promptKinds(config),
      points: config.prompts.points + config.prompts.negativePoints,
      selfPasses: config.prompts.selfPasses,
      overlay: options.overlay,
      signal,
      onProgress: (done) => task.update(done),
      warn,
    }).finally(() => task.end());
    const empty = predictions.filter((p) => p.foregroundPx === 0).length;
    out(
      `${predictions.length} masks in ${options.out}${empty > 0 ? `, ${empty} of them empty` : ''} (${checkpoint})`,
    );
    return { result: { checkpoint, predictions } };
  },
});
