// Training of a network that maps images to logits of classes, on images with masks: AdamW, Dice and cross-entropy, the best
// weights by the validation cases; a method may add a term of images without masks (unlabelled.ts). Exactly resumable; batch
// statistics and a teacher belong to the state. Not here: reading data (pipeline), what the network is, prompts.

import { cat, fromTypedArray, type nn, noGrad, optim, type Tensor, tidy } from '@maskrank/torch';
import { countOverlap, type EmptiesPolicy, overlap } from '../../evaluation/overlap.ts';
import type { Config } from '../../run/config.ts';
import { normaliseCanvas } from '../canvas.ts';
import { descend, type Learner, lossNumbers } from '../descend.ts';
import { type LoopOptions, runLoop, type StepReport } from '../loop.ts';
import { batchOf, seedEngine, stepStream } from '../streams.ts';
import { copies, copyInto } from '../weights.ts';
import { type DenseBatch, type DenseBatchOptions, type DenseSample, denseBatch } from './batch.ts';
import { type ClassRelation, classScores, type DiceCrossEntropy, diceCrossEntropy } from './loss.ts';
import {
  follow,
  targetsOf,
  type UnlabelledTerm,
  type Views,
  viewsAt,
  viewTensors,
  weightsOf,
} from './unlabelled.ts';

/** The keys of a baseline's configuration that this training reads. */
export type SupervisedConfig = Omit<Config['baselines']['unet'], 'network' | 'upsampling' | 'imageSize'>;

export type SupervisedOptions = {
  /** Images [B, 3, S, S] -> logits [B, 1 + C or C, S, S]. Every parameter that requires a gradient is trained. */
  readonly network: nn.Layer;
  readonly samples: readonly DenseSample[];
  /** Unchanged images, of which the best weights are told; none keeps the last weights. */
  readonly validation: readonly DenseSample[];
  readonly batch: DenseBatchOptions;
  readonly relation: ClassRelation;
  /** Of images where a class is in neither mask. */
  readonly empties: EmptiesPolicy;
  readonly config: SupervisedConfig;
  readonly seed: number;
  readonly device: string;
  readonly loop: BaselineLoop;
  /** In place of Dice and cross-entropy. */
  readonly loss?: (logits: Tensor, masks: Tensor) => DiceCrossEntropy;
  /** A term of the loss from images without masks. */
  readonly unlabelled?: UnlabelledTerm;
};

/** Where a training keeps its state and what it tells. `stage` also names its random streams. */
export type BaselineLoop = Pick<
  LoopOptions,
  'stage' | 'label' | 'statePath' | 'header' | 'rerun' | 'metrics' | 'signal' | 'onProgress'
>;

/** The same for a further training within a method, with a state and random streams of its own. */
export function loopOf(loop: BaselineLoop, phase: string): BaselineLoop {
  return {
    ...loop,
    stage: `${loop.stage} ${phase}` as BaselineLoop['stage'],
    label: `${loop.label}, ${phase}`,
    statePath: loop.statePath.replace(/(\.state)?\.safetensors$/, `-${phase}.state.safetensors`),
  };
}

export type TrainingResult = {
  readonly steps: number;
  /** Mean Dice on the validation cases; null where it was not measured. */
  readonly bestValidation: number | null;
  /** Steps after which the kept weights were reached. */
  readonly bestStep: number;
};

/** Optimiser steps of a training on so many images. */
export const supervisedSteps = ({ steps, epochs, batchSize }: SupervisedConfig, images: number): number =>
  steps ?? epochs * Math.max(1, Math.ceil(images / batchSize));

const SCHEDULES: Readonly<Record<SupervisedConfig['schedule'], (total: number) => optim.Schedule>> = {
  cosine: (total) => optim.schedules.cosine({ total }),
  poly: (total) => optim.schedules.poly({ total }),
  constant: () => () => 1,
};

/** Trains to the end. The network then holds the best weights (the teacher's, where there is one), in evaluation mode. */
export async function trainSupervised(options: SupervisedOptions): Promise<TrainingResult> {
  const { network, samples, config, seed, loop, unlabelled } = options;
  const trained = [...network.namedParameters()].filter(([, parameter]) => parameter.requiresGrad);
  const parameters = new Map<string, Tensor>(trained);
  const statistics = new Map<string, Tensor>(network.namedBuffers());
  const weights = new Map<string, Tensor>([...parameters, ...statistics]);
  const teacher = unlabelled?.teacher;
  const taught = teacher === undefined ? undefined : weightsOf(teacher.network);
  const measured = taught ?? weights;
  const { learningRate, weightDecay, validateEverySteps } = config;
  const optimizer = new optim.AdamW(trained, { learningRate, weightDecay });
  const totalSteps = supervisedSteps(config, samples.length);
  const schedule = SCHEDULES[config.schedule](totalSteps);
  const validates = validateEverySteps > 0 && options.validation.length > 0;
  const best = validates ? copies(weights) : undefined;
  const record = { bestValidation: null as number | null, bestStep: 0, misses: 0 };

  const validateAt = (done: number): Partial<StepReport> => {
    if (best === undefined || (done % validateEverySteps !== 0 && done !== totalSteps)) return {};
    const start = performance.now();
    const dice = validationDice(options, teacher?.network ?? network);
    if (record.bestValidation === null || dice > record.bestValidation) {
      Object.assign(record, { bestValidation: dice, bestStep: done, misses: 0 });
      copyInto(best, measured);
    } else record.misses += 1;
    return {
      extra: { validationDice: dice, validationMs: performance.now() - start },
      stop: config.patience > 0 && record.misses >= config.patience,
    };
  };

  const takeStep = (step: number): StepReport => {
    const start = performance.now();
    const chosen = batchOf(seed, loop.stage, step, config.batchSize, samples.length);
    const batch = denseBatch(
      chosen.map((i) => samples[i] as DenseSample),
      options.batch,
      stepStream(seed, loop.stage, step),
    );
    const weight = unlabelled?.weightAt(step, totalSteps) ?? 0;
    const views =
      unlabelled === undefined || weight === 0
        ? undefined
        : viewsAt(unlabelled, options.batch.normalisation, { seed, stage: loop.stage, step });
    const data = performance.now() - start;
    seedEngine(seed, loop.stage, step);
    optimizer.scaleLearningRate(schedule(step));
    network.train();
    const { losses, ms, sureShare } = tidy(() =>
      update(options, batch, views && { views, weight }, {
        optimizer,
        trained: parameters,
        gradClip: config.gradClip,
      }),
    );
    if (teacher !== undefined) follow(teacher, network, step);
    const { extra, stop = false } = validateAt(step + 1);
    return {
      losses,
      ms: { data, ...ms },
      images: chosen.length + (views?.shape[0] ?? 0),
      learningRate: learningRate * schedule(step),
      epoch: ((step + 1) * config.batchSize) / samples.length,
      extra: { ...extra, ...(sureShare === undefined ? {} : { sureShare }) },
      stop,
    };
  };

  try {
    const steps = await runLoop(
      {
        ...loop,
        totalSteps,
        state: {
          parameters,
          optimizer,
          extra: { statistics, ...(best && { best }), ...(taught && { teacher: taught }) },
        },
        checkpointEverySteps: config.checkpointEverySteps,
        logEverySteps: config.logEverySteps,
        facts: () => record,
        onRestore: ({ bestValidation = null, bestStep = 0, misses = 0 }) => {
          Object.assign(record, { bestValidation, bestStep, misses });
        },
      },
      takeStep,
    );
    const hasBest = best !== undefined && record.bestValidation !== null;
    const result = hasBest ? best : measured;
    if (result !== weights) copyInto(weights, result);
    network.eval();
    return {
      steps,
      bestValidation: record.bestValidation,
      bestStep: hasBest ? record.bestStep : steps,
    };
  } finally {
    optimizer.disposeState();
    for (const tensor of best?.values() ?? []) tensor.dispose();
  }
}

/** Forward, backward and update of one batch, with the term of a step's images without masks. */
function update(
  options: SupervisedOptions,
  { images, masks, shape: { images: count, classes, side } }: DenseBatch,
  term: { readonly views: Views; readonly weight: number } | undefined,
  learner: Learner,
): Pick<StepReport, 'losses' | 'ms'> & { readonly sureShare?: number } {
  const { network, config, relation, device, unlabelled, loss = losses(config, relation) } = options;
  const start = performance.now();
  const input = fromTypedArray(images, [count, 3, side, side], { share: true }).to(device as 'cuda');
  const truth = fromTypedArray(masks, [count, classes, side, side], { share: true })
    .to(device as 'cuda')
    .to('float32');
  if (unlabelled === undefined || term === undefined) {
    const parts = loss(network.forward(input), truth);
    return { ms: descend(parts.total, learner, start), losses: lossNumbers(parts) };
  }
  const { seen, target } = viewTensors(term.views, device);
  const targets = targetsOf(network, unlabelled.teacher, target);
  // One pass for all images: batch statistics are those of both kinds.
  const logits = network.forward(cat([input, seen])); // [B + U, 1 + C or C, S, S]
  const { total, ...parts } = loss(logits.slice(0, 0, count), truth);
  const consistency = unlabelled.loss(logits.slice(0, count, logits.size(0)), targets);
  const sum = total.add(consistency.total, term.weight);
  return {
    ms: descend(sum, learner, start),
    losses: lossNumbers({ ...parts, unlabelled: consistency.total, total: sum }),
    ...(consistency.sureShare && { sureShare: consistency.sureShare.item() }),
  };
}

const losses =
  ({ crossEntropyWeight, diceWeight }: SupervisedConfig, relation: ClassRelation) =>
  (logits: Tensor, masks: Tensor) =>
    diceCrossEntropy(logits, masks, { relation, crossEntropyWeight, diceWeight });

/** Mean Dice of all classes of the unchanged validation images, on the canvas; 0 where none has a value. */
function validationDice(
  { validation, batch, relation, empties, device }: SupervisedOptions,
  network: nn.Layer,
): number {
  network.eval();
  const values = validation.flatMap((sample) => {
    const side = sample.pixels.width;
    const planes = normaliseCanvas(sample.pixels, sample.area, batch.normalisation);
    const predicted = tidy(() =>
      noGrad(() => {
        const image = fromTypedArray(planes, [1, 3, side, side], { share: true }).to(device as 'cuda');
        return classScores(network.forward(image), relation).gt(0).toTypedArray() as Uint8Array;
      }),
    );
    return batch.classIds.map((classId, c) => {
      const truth = sample.masks.get(classId)?.data ?? new Uint8Array(side * side);
      const found = predicted.subarray(c * side * side, (c + 1) * side * side);
      return overlap('dice', countOverlap(truth, found), empties);
    });
  });
  const present = values.filter((value) => !Number.isNaN(value));
  return present.length === 0 ? 0 : present.reduce((sum, value) => sum + value, 0) / present.length;
}
