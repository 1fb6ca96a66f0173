// Training of a MedVInT on images with questions: AdamW, a rise and half a cosine, averaged weights, the loss on answers alone.
// An image is looked at once a step, however many questions are asked about it. Batch norms use the batch's own statistics and
// move the running ones, as nothing pretrained is there to be kept. Exactly resumable. Not here: reading data (pipeline).

import { fromTypedArray, nn, optim, type Tensor, tidy } from '@maskrank/torch';
import { UsageError } from '@maskrank/torch/errors';
import type { LlamaTokenizer, Medvint } from '../../models/medvint/index.ts';
import type { Config } from '../../run/config.ts';
import { type LoopOptions, runLoop, type StepReport } from '../loop.ts';
import { batchOf, seedEngine, stepStream } from '../streams.ts';
import { averageInto, copies, copyInto } from '../weights.ts';
import { type AskedImage, makeVqaBatch, TextIds, type VqaBatch, type VqaBatchOptions } from './batch.ts';
import { countExact } from './score.ts';
import { batchTensors } from './tensors.ts';

const STAGE = 'pretraining';

type Settings = Config['vqaPretraining'];

export type TrainVqaOptions = {
  readonly network: Medvint;
  readonly tokenizer: LlamaTokenizer;
  readonly images: readonly AskedImage[];
  /** Questions by which progress is told; empty for none. */
  readonly validation: readonly AskedImage[];
  readonly batch: VqaBatchOptions;
  readonly config: Settings;
  readonly seed: number;
  readonly loop: Pick<LoopOptions, 'statePath' | 'header' | 'rerun' | 'metrics' | 'signal' | 'onProgress'>;
};

/** Optimiser steps of a training on so many images. */
export function trainSteps({ steps, epochs, batchSize }: Settings, images: number): number {
  return steps ?? epochs * Math.max(1, Math.ceil(images / batchSize));
}

/** The id that training writes behind every answer. */
export function endIdOf({ config: { name, stopIds } }: Medvint): number {
  const [first] = stopIds;
  if (first !== undefined) return first;
  throw new UsageError(`trainVqa(${name}): no id ends an answer; stopIds needs one.`);
}

/** Trains to the end; returns the steps done. The network then holds the averaged weights, in evaluation mode. */
export async function trainVqa(options: TrainVqaOptions): Promise<number> {
  const { network, tokenizer, images, validation, config, seed } = options;
  const named = [...network.namedParameters()];
  const trained = new Map<string, Tensor>(named);
  const buffers = new Map<string, Tensor>(network.namedBuffers());
  // What an average is made of: statistics belong to the weights they were counted with.
  const averaged = new Map([...trained, ...[...buffers].filter(([, { dtype }]) => dtype !== 'int64')]);
  const optimizer = new optim.AdamW(named, {
    learningRate: config.learningRate,
    weightDecay: config.weightDecay,
  });
  const totalSteps = trainSteps(config, images.length);
  const schedule = optim.schedules.warmUp({
    steps: config.warmUpSteps,
    after: optim.schedules.cosine({ total: totalSteps }),
  });
  const average = config.ema > 0 ? copies(averaged) : undefined;
  const texts = new TextIds(tokenizer, endIdOf(network));

  /** Exact answers of the averaged weights by kind; the trained ones stay. */
  const validate = async (): Promise<Record<string, number>> => {
    const own = average && copies(averaged);
    if (average) copyInto(averaged, average);
    const counts = await countExact(network.eval(), validation, texts);
    if (own) copyInto(averaged, own);
    for (const tensor of own?.values() ?? []) tensor.dispose();
    return Object.fromEntries([...counts].map(([kind, { right, asked }]) => [kind, right / asked]));
  };

  const takeStep = async (step: number): Promise<StepReport> => {
    const start = performance.now();
    const chosen = batchOf(seed, STAGE, step, config.batchSize, images.length);
    const batch = makeVqaBatch(
      chosen.map((i) => images[i] as AskedImage),
      texts,
      options.batch,
      stepStream(seed, STAGE, step),
    );
    const data = performance.now() - start;
    seedEngine(seed, STAGE, step);
    optimizer.scaleLearningRate(schedule(step));
    const { loss, ms } = tidy(() => update(network, batch, optimizer, trained, config.gradClip));
    // At the beginning an average of many steps would be mostly the random start.
    if (average) averageInto(average, averaged, Math.min(config.ema, (1 + step) / (10 + step)));
    const done = step + 1;
    const isDue = done % config.validateEverySteps === 0 || done === totalSteps;
    const extra = isDue && validation.length > 0 ? { exactAnswers: await validate() } : undefined;
    return {
      losses: { total: loss },
      ms: { data, ...ms },
      images: chosen.length,
      learningRate: config.learningRate * schedule(step),
      epoch: (done * config.batchSize) / images.length,
      ...(extra && { extra }),
    };
  };

  try {
    const steps = await runLoop(
      {
        ...options.loop,
        label: 'pretraining',
        stage: STAGE,
        totalSteps,
        state: { parameters: trained, optimizer, extra: { buffers, ...(average && { average }) } },
        checkpointEverySteps: config.checkpointEverySteps,
        logEverySteps: config.logEverySteps,
      },
      takeStep,
    );
    if (average) copyInto(averaged, average);
    network.eval();
    return steps;
  } finally {
    optimizer.disposeState();
    for (const tensor of average?.values() ?? []) tensor.dispose();
  }
}

/** Forward, backward and update of one batch. */
function update(
  network: Medvint,
  batch: VqaBatch,
  optimizer: optim.AdamW,
  trained: ReadonlyMap<string, Tensor>,
  gradClip: number,
): { readonly loss: number; readonly ms: Readonly<Record<string, number>> } {
  const start = performance.now();
  const loss = answerLoss(network.train(), batch);
  const forward = performance.now();
  loss.backward();
  const backward = performance.now();
  if (gradClip > 0) optim.clipGradNorm(trained.values(), gradClip);
  optimizer.step();
  optimizer.zeroGrad();
  const end = performance.now();
  return {
    loss: loss.item(),
    ms: { forward: forward - start, backward: backward - forward, optimiser: end - backward },
  };
}

/**
 * Cross-entropy of the answers' tokens, summed over an answer and averaged over the questions: every question counts the same,
 * however many words its answer takes.
 */
export function answerLoss(network: Medvint, batch: VqaBatch): Tensor {
  const { seen, owned } = batchTensors(batch, network);
  const wanted = BigInt64Array.from(batch.groups.flatMap(({ targets }) => [...targets]));
  const targets = fromTypedArray(wanted, [wanted.length], { device: network.place.device });
  return nn.F.crossEntropy(network.logitsAt(seen, owned), targets).mul(wanted.length / batch.asked);
}
