// Baseline: nnU-Net in two dimensions, from random weights. It plans patch, network and normalisation from the labelled cases, works at
// the images' own size (or a coarser one, `longestSide`) instead of the canvas, and has its own augmentation, loss and optimiser.

import { dirname, join } from 'node:path';
import { cat, fromTypedArray, Generator, nn, zeros } from '@maskrank/torch';
import type { Normalisation } from '../../imaging/normalise.ts';
import type { Image } from '../../imaging/types.ts';
import { createNnunet, type Nnunet } from '../../models/nnunet/index.ts';
import { writeJson } from '../../run/files.ts';
import type { BaselineLoop, TrainingResult } from '../../training/baselines/supervised.ts';
import {
  choosePostprocessing,
  classDice,
  type JudgedPicture,
  meanOf,
  type PictureMasks,
  type Postprocessing,
  postprocess,
} from '../../training/nnunet/postprocess.ts';
import { predictScores } from '../../training/nnunet/predict.ts';
import { trainNnunet } from '../../training/nnunet/train.ts';
import type { BaselineMethod, BaselineSetting } from './method.ts';
import {
  loadCases,
  type NnunetCase,
  type NnunetTask,
  planTask,
  preparePicture,
  samplesOf,
} from './nnunet-data.ts';

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
      // Without mirroring: a curve needs no more.
      validate: () => meanOf(classDice(judge(model, validation, setting, false), empties)),
    });
    return { steps, bestStep: steps, bestValidation: finish(model, validation, setting) };
  },
  predict: (model, images, setting) => {
    const { normalisation } = setting.workspace.canvas;
    const side = images.size(2);
    const all = images.unbind(0).map((image) => {
      const picture = pictureOf(image.toFloat32Array(), side, normalisation);
      return fromTypedArray(scoresOf(model, picture, setting) as Float32Array<ArrayBuffer>, [
        1,
        setting.classIds.length,
        side,
        side,
      ]);
    });
    return cat(all, 0).to(images.device as 'cuda');
  },
  predictPicture: (model, picture, setting) => scoresOf(model, picture, setting),
};

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
): JudgedPicture[] {
  return cases.map(({ image, masks }) => {
    setting.signal.throwIfAborted();
    const scores = predictScores(image, { ...optionsOf(model, setting), mirror });
    return { truth: masks, predicted: masksOf(scores, masks, setting) };
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

/** The score from which a pixel has a class. */
const levelOf = ({ config: { evaluation } }: BaselineSetting): number =>
  Math.log(evaluation.threshold / (1 - evaluation.threshold));

function masksOf(
  scores: Float32Array,
  { width, height, classes }: Omit<PictureMasks, 'data'>,
  setting: BaselineSetting,
): PictureMasks {
  const level = levelOf(setting);
  return { width, height, classes, data: Uint8Array.from(scores, (score) => Number(score > level)) };
}

/** Scores of all classes of a picture at its size; what postprocessing removes is minus infinity. */
function scoresOf(model: NnunetModel, picture: Image, setting: BaselineSetting): Float32Array {
  const scores = predictScores(preparePicture(picture, model.task), optionsOf(model, setting));
  const { width, height } = picture;
  const masks = masksOf(scores, { width, height, classes: setting.classIds.length }, setting);
  const kept = postprocess(masks, model.postprocessing).data;
  for (let i = 0; i < scores.length; i++) {
    if (masks.data[i] === 1 && kept[i] === 0) scores[i] = Number.NEGATIVE_INFINITY;
  }
  return scores;
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
