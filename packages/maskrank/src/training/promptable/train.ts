// Training of a promptable model from random weights: AdamW, a rise and half a cosine, averaged weights; of some steps rounds of
// corrective clicks follow the first prompts. Exactly resumable. Not here: one step (update.ts), what is asked and how
// (batch.ts), reading data and judging (pipeline).

import { optim, type Tensor, tidy } from '@maskrank/torch';
import type { Sam } from '../../models/sam/index.ts';
import type { Config } from '../../run/config.ts';
import type { MetricsLine } from '../../run/metrics.ts';
import { toTensors } from '../batch.ts';
import { type LoopOptions, runLoop, type StepReport } from '../loop.ts';
import { batchOf, seedEngine, stepStream } from '../streams.ts';
import { averageInto, copies, copyInto } from '../weights.ts';
import { makePromptableBatch, type PromptableBatchOptions } from './batch.ts';
import type { PromptableCase } from './cases.ts';
import { type Judge, judgeBest, judgeExpected } from './heads.ts';
import { type UpdateOptions, updateOn } from './update.ts';

const STAGE = 'pretraining';

const JUDGES: Readonly<Record<Config['samPretraining']['learns'], Judge>> = {
  expected: judgeExpected({ scope: 'mask' }),
  best: judgeBest({ scope: 'mask' }),
};

export type PromptableOptions = {
  readonly sam: Sam;
  readonly cases: readonly PromptableCase[];
  readonly batch: PromptableBatchOptions;
  readonly config: Config['samPretraining'];
  readonly seed: number;
  readonly device: string;
  /** Fields of a metrics line from the validation cases, asked of the averaged weights. */
  readonly validate?: () => Promise<Partial<MetricsLine>>;
  readonly loop: Pick<LoopOptions, 'statePath' | 'header' | 'rerun' | 'metrics' | 'signal' | 'onProgress'>;
};

/** Optimiser steps of a training on so many images. */
export function promptableSteps(
  { steps, epochs, batchSize }: Config['samPretraining'],
  images: number,
): number {
  return steps ?? epochs * Math.max(1, Math.ceil(images / batchSize));
}

/** Trains to the end; returns the steps done. The model then holds the averaged weights. */
export async function trainPromptable(options: PromptableOptions): Promise<number> {
  const { sam, cases, config, seed } = options;
  const named = [...sam.namedParameters()];
  const trained = new Map<string, Tensor>(named);
  const { learningRate, weightDecay } = config;
  const optimizer = new optim.AdamW(named, { learningRate, weightDecay });
  const totalSteps = promptableSteps(config, cases.length);
  const schedule = optim.schedules.warmUp({
    steps: config.warmUpSteps,
    after: optim.schedules.cosine({ total: totalSteps }),
  });
  const average = config.ema > 0 ? copies(trained) : undefined;
  const update: Omit<UpdateOptions, 'rounds'> = {
    sam,
    optimizer,
    trained,
    judge: JUDGES[config.learns],
    gradClip: config.gradClip,
    precision: 'float32',
    device: options.device,
  };

  const validateAt = async (step: number): Promise<Partial<MetricsLine>> => {
    const { validate } = options;
    const isDue = (step + 1) % config.validateEverySteps === 0 || step + 1 === totalSteps;
    if (validate === undefined || !isDue) return {};
    if (average === undefined) return await validate();
    const current = copies(trained);
    try {
      copyInto(trained, average);
      return await validate();
    } finally {
      copyInto(trained, current);
      for (const tensor of current.values()) tensor.dispose();
    }
  };

  const takeStep = async (step: number): Promise<StepReport> => {
    const start = performance.now();
    const random = stepStream(seed, STAGE, step);
    const chosen = batchOf(seed, STAGE, step, config.batchSize, cases.length);
    const batch = makePromptableBatch(
      chosen.map((i) => cases[i] as PromptableCase),
      options.batch,
      random,
    );
    const data = performance.now() - start;
    seedEngine(seed, STAGE, step);
    optimizer.scaleLearningRate(schedule(step));
    sam.train();
    sam.mask_decoder.dropoutP = config.decoderDropout;
    const rounds = random.fork('rounds').chance(config.clickShare) ? config.clickRounds : 0;
    const { losses, ms } = tidy(() =>
      updateOn(toTensors(batch, batch.layout, options.device), { ...update, rounds }, random),
    );
    sam.mask_decoder.dropoutP = 0;
    // At the beginning an average of many steps would be mostly the random start.
    if (average) averageInto(average, trained, Math.min(config.ema, (1 + step) / (10 + step)));
    return {
      losses,
      ms: { data, ...ms },
      images: chosen.length,
      learningRate: learningRate * schedule(step),
      epoch: ((step + 1) * config.batchSize) / cases.length,
      extra: await validateAt(step),
    };
  };

  try {
    const steps = await runLoop(
      {
        ...options.loop,
        label: 'pretraining',
        stage: STAGE,
        totalSteps,
        state: { parameters: trained, optimizer, ...(average && { extra: { average } }) },
        checkpointEverySteps: config.checkpointEverySteps,
        logEverySteps: config.logEverySteps,
      },
      takeStep,
    );
    if (average) copyInto(trained, average);
    return steps;
  } finally {
    optimizer.disposeState();
    for (const tensor of average?.values() ?? []) tensor.dispose();
  }
}
