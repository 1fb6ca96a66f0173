// The loop of a pretraining from random weights: AdamW, a rise and half a cosine, averaged weights, which are the result. Exactly
// resumable. Recipes (contrastive, promptable, vqa) say what a step learns from and how progress is judged.
// Not here: the frame of any loop (loop.ts), files and locks (pipeline/pretrain/frame.ts).

import { optim, type Tensor, tidy } from '@maskrank/torch';
import type { MetricsLine } from '../run/metrics.ts';
import type { Random } from '../util/random.ts';
import type { Learner } from './descend.ts';
import { type LoopOptions, runLoop, type StepReport } from './loop.ts';
import type { LoopState } from './state.ts';
import { batchOf, seedEngine, stepStream } from './streams.ts';
import { averageInto, copies, copyInto } from './weights.ts';

const STAGE = 'pretraining';

type NamedTensors = ReadonlyMap<string, Tensor>;

/** Options of the loop that the caller's files decide. */
export type PretrainingLoop = Pick<
  LoopOptions,
  'statePath' | 'header' | 'rerun' | 'metrics' | 'signal' | 'onProgress'
>;

/** The keys that every pretraining's configuration has. */
export type PretrainingSettings = {
  readonly steps: number | null;
  readonly epochs: number;
  readonly batchSize: number;
  readonly learningRate: number;
  readonly weightDecay: number;
  readonly warmUpSteps: number;
  readonly ema: number;
  readonly gradClip: number;
  readonly checkpointEverySteps: number;
  readonly logEverySteps: number;
};

export type PretrainingOptions<Item, Batch> = {
  readonly items: readonly Item[];
  readonly named: readonly (readonly [string, Tensor])[];
  /** Tensors that change without gradients (batch statistics); they belong to the state. */
  readonly buffers?: NamedTensors;
  /** What the average is made of; default: the trained weights. */
  readonly averaged?: NamedTensors;
  readonly settings: PretrainingSettings;
  readonly seed: number;
  /** A step's batch, from its own random stream. */
  readonly makeBatch: (items: readonly Item[], random: Random) => Batch;
  /** Forward, backward and update; the caller's scope frees its tensors. */
  readonly learn: (batch: Batch, learner: Learner, random: Random) => Pick<StepReport, 'losses' | 'ms'>;
  /** Fields of a metrics line, asked of the averaged weights every so many steps and after the last. */
  readonly validation?: {
    readonly everySteps: number;
    readonly judge: () => Partial<MetricsLine> | Promise<Partial<MetricsLine>>;
  };
  readonly loop: PretrainingLoop;
};

/** Optimiser steps of a training on so many images. */
export function optimiserSteps(
  { steps, epochs, batchSize }: Pick<PretrainingSettings, 'steps' | 'epochs' | 'batchSize'>,
  images: number,
): number {
  return steps ?? epochs * Math.max(1, Math.ceil(images / batchSize));
}

/** Trains to the end; returns the steps done. The network then holds the averaged weights. */
export async function runPretraining<Item, Batch>(options: PretrainingOptions<Item, Batch>): Promise<number> {
  const { items, named, buffers, settings, seed, validation } = options;
  const trained: NamedTensors = new Map(named);
  const averaged = options.averaged ?? trained;
  const { learningRate, weightDecay, ema, gradClip } = settings;
  const optimizer = new optim.AdamW(named, { learningRate, weightDecay });
  const totalSteps = optimiserSteps(settings, items.length);
  const schedule = optim.schedules.warmUp({
    steps: settings.warmUpSteps,
    after: optim.schedules.cosine({ total: totalSteps }),
  });
  const average = ema > 0 ? copies(averaged) : undefined;

  const validateAt = async (done: number): Promise<Pick<StepReport, 'extra'>> => {
    if (validation === undefined || (done % validation.everySteps !== 0 && done !== totalSteps)) return {};
    return { extra: await withWeights(averaged, average, validation.judge) };
  };

  const takeStep = async (step: number): Promise<StepReport> => {
    const start = performance.now();
    const random = stepStream(seed, STAGE, step);
    const chosen = batchOf(seed, STAGE, step, settings.batchSize, items.length);
    const batch = options.makeBatch(
      chosen.map((i) => items[i] as Item),
      random,
    );
    const data = performance.now() - start;
    seedEngine(seed, STAGE, step);
    optimizer.scaleLearningRate(schedule(step));
    const { losses, ms } = tidy(() => options.learn(batch, { optimizer, trained, gradClip }, random));
    // At the beginning an average of many steps would be mostly the random start.
    if (average) averageInto(average, averaged, Math.min(ema, (1 + step) / (10 + step)));
    return {
      losses,
      ms: { data, ...ms },
      images: chosen.length,
      learningRate: learningRate * schedule(step),
      epoch: ((step + 1) * settings.batchSize) / items.length,
      ...(await validateAt(step + 1)),
    };
  };

  const extra: NonNullable<LoopState['extra']> = { ...(buffers && { buffers }), ...(average && { average }) };
  try {
    const steps = await runLoop(
      {
        ...options.loop,
        label: 'pretraining',
        stage: STAGE,
        totalSteps,
        state: { parameters: trained, optimizer, extra },
        checkpointEverySteps: settings.checkpointEverySteps,
        logEverySteps: settings.logEverySteps,
      },
      takeStep,
    );
    if (average) copyInto(averaged, average);
    return steps;
  } finally {
    optimizer.disposeState();
    for (const tensor of average?.values() ?? []) tensor.dispose();
  }
}

/** Runs `body` while `target` holds `values`; afterwards it holds its own again. */
async function withWeights<T>(
  target: NamedTensors,
  values: NamedTensors | undefined,
  body: () => T | Promise<T>,
): Promise<T> {
  if (values === undefined) return await body();
  const own = copies(target);
  try {
    copyInto(target, values);
    return await body();
  } finally {
    copyInto(target, own);
    for (const tensor of own.values()) tensor.dispose();
  }
}
