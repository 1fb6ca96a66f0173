// Baseline: nnU-Net in two or three dimensions, from random weights. It plans patch, network and normalisation from the labelled cases,
// works at the images' own size (or a coarser one, `longestSide`) instead of the canvas, and has its own augmentation, loss and optimiser.

import { dirname, join } from 'node:path';
import { cat, fromTypedArray, Generator, nn, zeros } from '@maskrank/torch';
import { DataError, UsageError } from '@maskrank/torch/errors';
import type { UnlabelledCase } from '../../datasets/cases.ts';
import type { Normalisation } from '../../imaging/normalise.ts';
import type { Image } from '../../imaging/types.ts';
import { createNnunet, type Nnunet } from '../../models/nnunet/index.ts';
import { writeJson } from '../../run/files.ts';
import type { BaselineLoop, TrainingResult } from '../../training/baselines/supervised.ts';
import { countOf } from '../../training/nnunet/grid.ts';
import {
  type ClassMasks,
  choosePostprocessing,
  classDice,
  type JudgedImage,
  meanOf,
  type Postprocessing,
  postprocess,
} from '../../training/nnunet/postprocess.ts';
import { predictScores } from '../../training/nnunet/predict.ts';
import type { PreparedImage } from '../../training/nnunet/prepare.ts';
import { trainNnunet } from '../../training/nnunet/train.ts';
import { logit } from '../../util/logit.ts';
import { type BaselineMethod, type BaselineSetting, type CaseMask, UNPROMPTED } from './method.ts';
import {
  asStored,
  loadCases,
  type NnunetCase,
  type NnunetTask,
  planTask,
  prepareGrid,
  samplesOf,
} from './nnunet-data.ts';
import { loadGrid, planesOfPicture, subjectsOf } from './nnunet-subjects.ts';

/** The network, and what the validation cases said of its components: both are in the checkpoint. */
export class NnunetModel extends nn.Module {
  readonly network: Nnunet;
  /** 1 where the largest component alone is kept: of the foreground, then of each class. */
  readonly keep_largest: nn.Buffer; // [1 + C]
  readonly #task: NnunetTask;

  constructor(network: Nnunet, task: NnunetTask) {
    super();
    this.network = network;
    this.keep_largest = new nn.Buffer(zeros([1 + task.classIds.length], { dtype: 'uint8' }));
    this.#task = task;
  }

  get task(): NnunetTask {
    return this.#task;
  }
  get postprocessing(): Postprocessing {
    const [foreground, ...classes] = [...(this.keep_largest.toTypedArray() as Uint8Array)].map(
      (on) => on === 1,
    );
    return { foreground: foreground === true, classes };
  }
  set postprocessing({ foreground, classes }: Postprocessing) {
    const values = Uint8Array.from([foreground, ...classes], Number);
    if (this.keep_largest.device === 'cpu') this.keep_largest.copyFrom(values);
    else this.keep_largest.copy_(fromTypedArray(values, [values.length]));
  }
}

export const nnunet: BaselineMethod<NnunetModel> = {
  name: 'nnunet',
  title: 'nnU-Net from scratch',
  sections: ['baselines.nnunet'],
  prepare: async (setting) => {
    const task = await planTask(setting);
    const generator = Generator.seeded(setting.random('nnunet weights').int(0, 0x7fffffff));
    return new NnunetModel(createNnunet(task.configuration.network, generator), task);
  },
  train: async (model, setting, loop) => {
    await writePlan(model, loop);
    const { task, network } = model;
    const { config, workspace } = setting;
    const { postprocessing, validateEveryEpochs, ...settings } = config.baselines.nnunet;
    const samples = samplesOf(await loadCases(setting, task, 'labelled'), task, setting);
    const needsValidation = postprocessing === 'auto' || validateEveryEpochs > 0;
    const validation = needsValidation ? await loadCases(setting, task, 'validation') : [];
    const { empties } = config.evaluation;
    const { patch, batchSize, batchDice } = task.configuration;
    const steps = await trainNnunet({
      network,
      samples,
      patch,
      batchSize,
      batchDice,
      regions: task.relation === 'overlapping',
      settings: { ...settings, validateEveryEpochs },
      seed: config.seed,
      device: workspace.device,
      loop,
      ...(validation.length > 0 && {
        // Without mirroring: a curve needs no more.
        validate: () => meanOf(classDice(judge(model, validation, setting, false), empties)),
      }),
    });
    return { steps, bestStep: steps, bestValidation: finish(model, validation, setting) };
  },
  predict: (model, images, setting) => {
    const { task } = model;
    if (task.dimension === 3)
      throw new UsageError('baseline nnunet in three dimensions: masks volumes, not single images.');
    const { normalisation } = setting.workspace.canvas;
    const side = images.size(2);
    const all = images.unbind(0).map((image) => {
      const picture = pictureOf(image.toFloat32Array(), side, normalisation);
      const flat = planesOfPicture(picture, task.plan.normalisation.length);
      const grid = { ...flat, shape: [1, side, side] };
      const scores = predictScores(prepareGrid(grid, [1, 1, 1], task), optionsOf(model, setting));
      const classes = setting.classIds.length;
      const masks = masksOf(scores, { shape: grid.shape, classes }, setting);
      const kept = postprocess(masks, model.postprocessing).data;
      for (let i = 0; i < scores.length; i++)
        if (masks.data[i] === 1 && kept[i] === 0) scores[i] = Number.NEGATIVE_INFINITY;
      return fromTypedArray(scores as Float32Array<ArrayBuffer>, [1, classes, side, side]);
    });
    return cat(all, 0).to(images.device as 'cuda');
  },
  masks: masksOfCases,
};

/** Masks of every class of every picture, or slice of a volume. */
async function* masksOfCases(
  model: NnunetModel,
  cases: readonly UnlabelledCase[],
  setting: BaselineSetting,
): AsyncGenerator<CaseMask> {
  const { task } = model;
  const { workspace, classIds } = setting;
  const subjects = subjectsOf(cases, task.dimension);
  if (setting.images === 'new') requireSpacing(task, cases);
  for (const subject of subjects) {
    setting.signal.throwIfAborted();
    const grid = await loadGrid(subject, workspace.dataset, task.plan.normalisation.length);
    const masks = found(model, prepareGrid(grid, subject.spacing, task), grid.shape, setting);
    const { data } = postprocess(masks, model.postprocessing);
    const [depth, height, width] = grid.shape as readonly [number, number, number];
    for (const { item, place } of subject.slices) {
      for (const [c, classId] of classIds.entries()) {
        const start = (c * depth + place) * height * width;
        const mask = { width, height, data: data.slice(start, start + height * width) };
        yield { caseId: item.id, classId, mask, prompt: UNPROMPTED };
      }
    }
  }
}

/** A picture has no spacing; among voxels of so many mm it would be seen at a wrong size, and nobody would know. */
function requireSpacing({ fingerprint }: NnunetTask, cases: readonly UnlabelledCase[]): void {
  const [, rows, columns] = fingerprint.spacings[0] as readonly [number, number, number];
  const bare = cases.find(({ volume }) => volume?.spacingMm === undefined);
  if (bare === undefined || (rows === 1 && columns === 1)) return;
  throw new DataError(
    `baseline nnunet: was planned on voxels of ${rows.toPrecision(3)} x ${columns.toPrecision(3)} mm, and ${bare.imagePath} has no spacing. Give the volume (.nii, .nii.gz) that it is a slice of.`,
  );
}

/** The plan beside the checkpoint, for people. */
async function writePlan({ task }: NnunetModel, loop: BaselineLoop): Promise<void> {
  const { foreground, ...known } = task;
  await writeJson(join(dirname(loop.statePath), 'baseline-nnunet.plan.json'), {
    schemaVersion: 1,
    configHash: loop.header.configHash,
    madeFrom: loop.header.madeFrom,
    ...known,
    foreground: task.plan.normalisation.some(({ scheme }) => scheme === 'ct') ? foreground : [],
  });
}

/** Decides on the components; mean Dice of the validation cases, null where there is none. */
function finish(
  model: NnunetModel,
  validation: readonly NnunetCase[],
  setting: BaselineSetting,
): TrainingResult['bestValidation'] {
  const { evaluation, baselines } = setting.config;
  if (baselines.nnunet.postprocessing === 'never' || validation.length === 0) return null;
  const judged = judge(model, validation, setting, baselines.nnunet.mirroring);
  const { processing, after } = choosePostprocessing(judged, evaluation.empties);
  model.postprocessing = processing;
  return Number.isNaN(after) ? null : after;
}

/** Masks as the network alone gives them, beside the true ones. */
function judge(
  model: NnunetModel,
  cases: readonly NnunetCase[],
  setting: BaselineSetting,
  mirror: boolean,
): JudgedImage[] {
  return cases.map(({ image, masks }) => {
    setting.signal.throwIfAborted();
    return { truth: masks, predicted: found(model, image, masks.shape, setting, mirror) };
  });
}

function optionsOf({ network, task }: NnunetModel, { config, workspace }: BaselineSetting) {
  const { mirroring, precision } = config.baselines.nnunet;
  const { relation, configuration } = task;
  return {
    network,
    window: configuration.patch,
    relation,
    mirror: mirroring,
    precision,
    device: workspace.device,
  };
}

/** Masks [C, D, H, W] that the network gives for a stored image of this shape. */
function found(
  model: NnunetModel,
  image: PreparedImage,
  shape: readonly number[],
  setting: BaselineSetting,
  mirror = setting.config.baselines.nnunet.mirroring,
): ClassMasks {
  const scores = predictScores(image, { ...optionsOf(model, setting), mirror });
  const classes = scores.length / countOf(shape);
  return masksOf(asStored(scores, shape, classes, model.task), { shape, classes }, setting);
}

/** Where scores are above the threshold of the evaluation. */
function masksOf(
  scores: Float32Array,
  about: Omit<ClassMasks, 'data'>,
  { config: { evaluation } }: BaselineSetting,
): ClassMasks {
  const level = logit(evaluation.threshold);
  return { ...about, data: Uint8Array.from(scores, (score) => Number(score > level)) };
}

/** The picture that normalised planes [3, S, S] were made of. */
function pictureOf(planes: Float32Array, side: number, { mean, std, order }: Normalisation): Image {
  const count = side * side;
  const data = new Uint8ClampedArray(3 * count);
  for (let c = 0; c < 3; c++) {
    const channel = order === 'rgb' ? c : 2 - c;
    for (let i = 0; i < count; i++)
      data[3 * i + channel] = (planes[c * count + i] as number) * (std[c] as number) + (mean[c] as number);
  }
  return { width: side, height: side, channels: 3, data: new Uint8Array(data.buffer) };
}
