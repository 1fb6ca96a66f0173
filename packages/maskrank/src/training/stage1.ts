// Stage 1: fine-tuning a promptable model on the labelled cases with 20:1 focal:Dice and the IoU head's loss, on the mask
// that the model itself expects to be best, as SAM-Med2D trains. Exactly resumable. Not here: reading data (batch.ts), one
// step (promptable/update.ts), choosing what is trained (models/lora.ts), the frame of the loop (loop.ts).

import { type nn, optim, type Tensor, tidy } from '@maskrank/torch';
import type { Sam } from '../models/sam/sam.ts';
import type { Config } from '../run/config.ts';
import { type BatchOptions, makeBatch, type TrainingCase, toTensors } from './batch.ts';
import { type LoopOptions, runLoop, type StepReport } from './loop.ts';
import type { SegmentationLossOptions } from './losses.ts';
import { judgeExpected } from './promptable/heads.ts';
import { type UpdateOptions, updateOn } from './promptable/update.ts';
import { batchOf, seedEngine, stepStream } from './streams.ts';
import { averageInto, copies, copyInto } from './weights.ts';

export type Stage1Options = {
  readonly sam: Sam;
  /** What learns; the rest stays as it is. */
  readonly trainable: readonly (readonly [string, nn.Parameter])[];
  readonly cases: readonly TrainingCase[];
  readonly batch: BatchOptions;
  readonly config: Config['training'];
  /** Channel dropout of the decoder while training. */
  readonly decoderDropout: number;
  readonly seed: number;
  readonly device: string;
  /** Mean Dice 0..1 on the validation cases; needed for early stopping. */
  readonly validate?: () => number | Promise<number>;
  readonly loop: Pick<
    LoopOptions,
    'label' | 'statePath' | 'header' | 'rerun' | 'metrics' | 'signal' | 'onProgress'
  > &
    Partial<Pick<LoopOptions, 'stage'>>;
  /** What a step does with a batch. Default: `updateOn`. */
  readonly update?: typeof updateOn;
  /** Name of the random streams; controls that continue stage 1 use another. */
  readonly stream?: string;
};

export type Stage1Result = {
  readonly steps: number;
  /** Mean Dice on the validation cases; null where it was not measured. */
  readonly bestValidation: number | null;
  /** Steps after which the kept weights were reached. */
  readonly bestStep: number;
};

/** Optimiser steps of a stage 1. */
export function stage1Steps(config: Config['training'], cases: number): number {
  return config.steps ?? config.epochs * stepsPerEpoch(config, cases);
}

const stepsPerEpoch = (config: Config['training'], cases: number): number =>
  Math.max(1, Math.ceil(cases / config.batchSize));

const SCHEDULES: Readonly<
  Record<Config['training']['schedule'], (config: Config['training'], cases: number) => optim.Schedule>
> = {
  halving: (config, cases) =>
    config.halveEveryEpochs === 0
      ? () => 1
      : optim.schedules.stepDecay({
          every: config.halveEveryEpochs * stepsPerEpoch(config, cases),
          factor: 0.5,
        }),
  cosine: (config, cases) => optim.schedules.cosine({ total: stage1Steps(config, cases) }),
  constant: () => () => 1,
};

/** Factor on the learning rate after `done` steps. */
export function stage1Schedule(config: Config['training'], cases: number): optim.Schedule {
  const after = SCHEDULES[config.schedule](config, cases);
  return config.warmUpSteps > 0 ? optim.schedules.warmUp({ steps: config.warmUpSteps, after }) : after;
}

/** Runs stage 1 to its end; returns the steps done. The model then holds the result (averaged or best weights if asked for). */
export async function finetune(options: Stage1Options): Promise<Stage1Result> {
  const { sam, config, cases, seed, stream = 'stage1', update: learn = updateOn } = options;
  const trained = new Map<string, Tensor>(options.trainable);
  const optimizer = new optim.AdamW(options.trainable, {
    learningRate: config.learningRate,
    weightDecay: config.weightDecay,
  });
  const schedule = stage1Schedule(config, cases.length);
  const perEpoch = stepsPerEpoch(config, cases.length);
  const average = config.ema > 0 ? copies(trained) : undefined;
  const stopping = config.earlyStopping.patienceEpochs > 0 && options.validate !== undefined;
  const best = stopping ? copies(trained) : undefined;
  const record = { bestValidation: null as number | null, bestEpoch: 0 };
  const update: UpdateOptions = {
    sam,
    optimizer,
    trained,
    judge: judgeExpected(lossOptionsOf(config)),
    rounds: config.iterativeClicks,
    gradClip: config.gradClip,
    precision: config.precision,
    device: options.device,
  };

  const validateAt = async (step: number): Promise<Partial<StepReport>> => {
    const epoch = (step + 1) / perEpoch;
    if (
      !stopping ||
      best === undefined ||
      !Number.isInteger(epoch) ||
      epoch % config.earlyStopping.everyEpochs !== 0
    )
      return {};
    const dice = await (options.validate as () => number | Promise<number>)();
    if (record.bestValidation === null || dice > record.bestValidation) {
      Object.assign(record, { bestValidation: dice, bestEpoch: epoch });
      copyInto(best, trained);
    }
    return {
      extra: { validationDice: dice },
      stop: epoch - record.bestEpoch >= config.earlyStopping.patienceEpochs,
    };
  };

  const takeStep = async (step: number): Promise<StepReport> => {
    const start = performance.now();
    const random = stepStream(seed, stream, step);
    const chosen = batchOf(seed, stream, step, config.batchSize, cases.length).map(
      (i) => cases[i] as TrainingCase,
    );
    const batch = makeBatch(chosen, options.batch, random);
    const data = performance.now() - start;
    seedEngine(seed, stream, step);
    optimizer.scaleLearningRate(schedule(step));
    sam.train();
    sam.mask_decoder.dropoutP = options.decoderDropout;
    const { losses, ms } = tidy(() =>
      learn(toTensors(batch, options.batch.layout, options.device), update, random),
    );
    sam.mask_decoder.dropoutP = 0;
    if (average) averageInto(average, trained, config.ema);
    const learningRate = config.learningRate * schedule(step);
    const images = batch.size;
    const report = { losses, ms: { data, ...ms }, images, learningRate, epoch: (step + 1) / perEpoch };
    return { ...report, ...(await validateAt(step)) };
  };

  try {
    const steps = await runLoop(
      {
        stage: 'stage1',
        ...options.loop,
        totalSteps: stage1Steps(config, cases.length),
        state: {
          parameters: trained,
          optimizer,
          extra: { ...(average ? { average } : {}), ...(best ? { best } : {}) },
        },
        checkpointEverySteps: config.checkpointEverySteps,
        logEverySteps: config.logEverySteps,
        facts: () => record,
        onRestore: (facts) => {
          if (facts.step > 0)
            Object.assign(record, {
              bestValidation: facts.bestValidation ?? null,
              bestEpoch: facts.bestEpoch ?? 0,
            });
        },
      },
      takeStep,
    );
    const { bestValidation, bestEpoch } = record;
    if (best && bestValidation !== null) copyInto(trained, best);
    else if (average) copyInto(trained, average);
    return { steps, bestValidation, bestStep: bestValidation === null ? steps : bestEpoch * perEpoch };
  } finally {
    optimizer.disposeState();
    for (const tensors of [average, best]) for (const tensor of tensors?.values() ?? []) tensor.dispose();
  }
}

/** The loss's options as the configuration names them. */
export const lossOptionsOf = (config: Config['training']): SegmentationLossOptions => ({
  focalWeight: config.focalWeight,
  diceWeight: config.diceWeight,
  iouWeight: config.iouWeight,
  alpha: config.focalAlpha,
  gamma: config.focalGamma,
  scope: config.overlap,
});
