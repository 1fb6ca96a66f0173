// `maskrank predict`: masks for new images.

import { UsageError } from '@maskrank/torch/errors';
import { parseWindow, SOFT_TISSUE_HU } from '../../formats/window.ts';
import type { GivenPrompts, Predictor } from '../../pipeline/predictor.ts';
import type { RunFolder } from '../../run/run-folder.ts';
import { defineVerb, type VerbContext } from '../verb.ts';

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

const ARGS = {
  files: { name: 'FILES', describe: 'images: PNG, JPEG, TIFF; volumes: .nii, .nii.gz', variadic: true },
} as const;

const OPTIONS = {
  out: { value: 'DIR', describe: 'folder of the masks', required: true },
  checkpoint: { value: 'FILE', describe: 'checkpoint of a run, instead of --run' },
  stage: {
    value: 'STAGE',
    choices: ['stage1', 'stage2'],
    describe: 'which of the run; default stage2 when it is there',
  },
  baseline: { value: 'NAME', describe: 'a baseline of the run in place of a stage: unet, nnunet, sam, ...' },
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
} as const;

type PredictContext = VerbContext<typeof ARGS, typeof OPTIONS>;

/** Who masks the images: a file, and how it is opened. */
type Source = { readonly checkpoint: string; readonly open: () => Promise<Predictor> };

/** A baseline of the run. */
async function fromBaseline(context: PredictContext, name: string, given: GivenPrompts): Promise<Source> {
  const { options, config, runFolder: run, signal, warn } = context;
  const { baselineOf, openBaselinePredictor } = await import('../../pipeline/baselines/predictor.ts');
  const { baselinePath } = await import('../../pipeline/baselines/measure.ts');
  if (run === undefined || options.stage !== undefined || options.textFeatures !== undefined)
    throw new UsageError('predict: --baseline is of a --run, and takes neither --stage nor --text-features.');
  const method = baselineOf(run, name);
  const job = { run, config, signal, warn, onProgress: () => {}, note: () => {} };
  return {
    checkpoint: baselinePath(run.paths.checkpoints, method),
    open: () => openBaselinePredictor(job, method, given),
  };
}

/** A checkpoint of a stage. */
async function fromStage(context: PredictContext, given: GivenPrompts): Promise<Source> {
  const { options, config, origins, runFolder, warn } = context;
  const { bestDevice } = await import('@maskrank/torch');
  const { openPrompted } = await import('../../pipeline/predict-prompted.ts');
  const { promptKinds } = await import('../../pipeline/workspace.ts');
  const checkpoint = options.checkpoint ?? (await newestStage(runFolder as RunFolder, options.stage));
  const open = () =>
    openPrompted({
      checkpoint,
      device: config.device === 'auto' ? bestDevice() : config.device,
      threshold: config.evaluation.threshold,
      given,
      textFeatures: options.textFeatures ?? null,
      use: origins['prompts.use'] === 'default' ? null : promptKinds(config),
      points: config.prompts.points + config.prompts.negativePoints,
      selfPasses: config.prompts.selfPasses,
      warn,
    });
  return { checkpoint, open };
}

/** The checkpoint of the stage, else of the last one that the run has. */
async function newestStage(
  { dir, paths }: RunFolder,
  stage: 'stage1' | 'stage2' | undefined,
): Promise<string> {
  const { existsSync } = await import('node:fs');
  const { baselinesOf } = await import('../../pipeline/baselines/measure.ts');
  const wanted = stage ?? (existsSync(paths.stage2) ? 'stage2' : 'stage1');
  const names = baselinesOf({ paths }).map(({ name }) => name);
  if (stage === undefined && !existsSync(paths[wanted]) && names.length > 0)
    throw new UsageError(
      `predict: ${dir} has no stage 1, but baselines: ${names.join(', ')}. Name one: --baseline ${names[0]}`,
    );
  return paths[wanted];
}

export const predict = defineVerb({
  name: 'predict',
  summary: 'masks for new images from a run or a checkpoint',
  details: `Writes NAME_CLASS.png (0 and 255, the image's size) for each image. Without prompts the model prompts itself: it
predicts, boxes its prediction and predicts again. A NIfTI volume is predicted in axial slices and becomes NAME.nii.gz, the
class ids in the voxels of the input. It is given the kinds of prompts that it was trained with, or those of
--prompts. --baseline takes a baseline of the run, asked as maskrank evaluate asks it, so that its numbers hold for the
new images; one that is planned for volumes sees them whole. Not for clinical use.`,
  examples: [
    ['maskrank predict --run runs/busi new/*.png --out masks', 'with the aligned model of a run'],
    [
      'maskrank predict --checkpoint stage2.safetensors a.png --out masks --box 40,60,180,190',
      'in a given box',
    ],
    ['maskrank predict --run runs/amos scan.nii.gz --out labels', 'labels of a volume'],
    ['maskrank predict --run runs/busi --baseline nnunet new/*.png --out masks', 'with a baseline of a run'],
    [
      'maskrank predict --run runs/busi new/*.png --out masks --prompts-file prompts.jsonl',
      'boxes, points and texts from a file',
    ],
  ],
  args: ARGS,
  options: OPTIONS,
  sections: ['prompts', 'evaluation'],
  shortcuts: { prompts: 'prompts.use' },
  runFolder: { mode: 'read', optional: true },
  run: async (context) => {
    const { args, options, runFolder, progress, signal, out, warn } = context;
    const { predictJob } = await import('../../pipeline/predict.ts');
    const { readPrompts } = await import('../../prompting/prompt-store.ts');
    if ((options.checkpoint === undefined) === (runFolder === undefined))
      throw new UsageError('predict: give --run RUN or --checkpoint FILE, one of them.');
    const given = {
      lines: options.promptsFile === undefined ? null : readPrompts(options.promptsFile),
      boxes: options.box === undefined ? [] : [options.box],
    };
    const { checkpoint, open } =
      options.baseline === undefined
        ? await fromStage(context, given)
        : await fromBaseline(context, options.baseline, given);
    const task = progress.task('predict', { total: args.files.length, unit: 'images' });
    const predictions = await predictJob(
      {
        files: args.files,
        out: options.out,
        window: options.window ?? SOFT_TISSUE_HU,
        overlay: options.overlay,
        signal,
        onProgress: (done) => task.update(done),
        warn,
      },
      open,
    ).finally(() => task.end());
    const empty = predictions.filter((p) => p.foregroundPx === 0).length;
    out(
      `${predictions.length} masks in ${options.out}${empty > 0 ? `, ${empty} of them empty` : ''} (${checkpoint})`,
    );
    return { result: { checkpoint, predictions } };
  },
});
