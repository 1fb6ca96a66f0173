// Training of a CLIP on images with texts: AdamW, a rise and half a cosine, averaged weights. Exactly resumable. The scale of the
// logits is the temperature, not learned. Where masks may be used, the places that saliency will read learn beside the images.
// Not here: labels to texts (facts.ts, texts.ts), reading data (pipeline).

import { fromTypedArray, noGrad, optim, type Tensor, tidy } from '@maskrank/torch';
import { type Clip, tokenIds, type VisionSite, type WordPiece } from '../../models/clip/index.ts';
import { camSite, defaultCamLayer } from '../../prompting/saliency/layers.ts';
import type { Config } from '../../run/config.ts';
import { type LoopOptions, runLoop, type StepReport } from '../loop.ts';
import { batchOf, seedEngine, stepStream } from '../streams.ts';
import { averageInto, copies, copyInto } from '../weights.ts';
import { type FactImage, makePairBatch, type PairBatch, type PairBatchOptions } from './batch.ts';
import { bypass, pairLoss, placesLoss } from './loss.ts';
import { isReadout, keepValues } from './readout.ts';

const STAGE = 'pretraining';
/** Weight of what keeps tokens from going round their places, beside the places' loss. */
const BYPASS = 0.3;

export type PretrainOptions = {
  readonly model: Clip;
  readonly tokenizer: WordPiece;
  readonly images: readonly FactImage[];
  readonly batch: PairBatchOptions;
  readonly config: Config['clipPretraining'];
  readonly seed: number;
  readonly loop: Pick<LoopOptions, 'statePath' | 'header' | 'rerun' | 'metrics' | 'signal' | 'onProgress'>;
};

/** Optimiser steps of a training on so many images. */
export function pretrainSteps(
  { steps, epochs, batchSize }: Config['clipPretraining'],
  images: number,
): number {
  return steps ?? epochs * Math.max(1, Math.ceil(images / batchSize));
}

/** Trains to the end; returns the steps done. The model then holds the averaged weights. */
export async function pretrain(options: PretrainOptions): Promise<number> {
  const { model, images, config, seed } = options;
  noGrad(() => model.logit_scale.fill_(Math.log(1 / config.temperature)));
  const keepsReadout = options.batch.grid !== null;
  const named = [...model.namedParameters()].filter(
    ([name]) => name !== 'logit_scale' && !(keepsReadout && isReadout(name, model)),
  );
  const trained = new Map<string, Tensor>(named);
  const optimizer = new optim.AdamW(named, {
    learningRate: config.learningRate,
    weightDecay: config.weightDecay,
  });
  const totalSteps = pretrainSteps(config, images.length);
  const schedule = optim.schedules.warmUp({
    steps: config.warmUpSteps,
    after: optim.schedules.cosine({ total: totalSteps }),
  });
  const average = config.ema > 0 ? copies(trained) : undefined;

  const takeStep = (step: number): StepReport => {
    const start = performance.now();
    const random = stepStream(seed, STAGE, step);
    const chosen = batchOf(seed, STAGE, step, config.batchSize, images.length);
    const batch = makePairBatch(
      chosen.map((i) => images[i] as FactImage),
      options.batch,
      model.config.vision.imageSize,
      random,
    );
    const data = performance.now() - start;
    seedEngine(seed, STAGE, step);
    optimizer.scaleLearningRate(schedule(step));
    const { losses, ms } = tidy(() => update(options, batch, optimizer, trained));
    // At the beginning an average of many steps would be mostly the random start.
    if (average) averageInto(average, trained, Math.min(config.ema, (1 + step) / (10 + step)));
    return {
      losses,
      ms: { data, ...ms },
      images: chosen.length,
      learningRate: config.learningRate * schedule(step),
      epoch: ((step + 1) * config.batchSize) / images.length,
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

/** Forward, backward and update of one batch. */
function update(
  { model, tokenizer, config }: PretrainOptions,
  { planes, texts, truth, places }: PairBatch,
  optimizer: optim.AdamW,
  trained: ReadonlyMap<string, Tensor>,
): {
  readonly losses: StepReport['losses'];
  readonly ms: Readonly<Record<string, number>>;
} {
  const { context } = model.config.text;
  const { imageSize } = model.config.vision;
  const start = performance.now();
  model.train();
  const count = planes.length / (3 * imageSize * imageSize);
  const images = fromTypedArray(planes, [count, 3, imageSize, imageSize], { device: model.device });
  const ids = tokenIds(
    texts.map((text) => tokenizer.encode(text, context)),
    model.device,
  );
  let tokens: Tensor | undefined;
  const { site: read } = camSite(model, defaultCamLayer(model));
  const value = (site: VisionSite, x: Tensor): Tensor => {
    if (site === read) tokens = x; // [B, 1 + P, D]
    return x;
  };
  const features = model.encodeImage(images, places === null ? undefined : { value, endsEarly: true });
  const textFeatures = model.encodeText(ids);
  const { loss: kind, temperature, hardness } = config;
  const whole = pairLoss(features, textFeatures, truth, { kind, temperature, hardness });
  const losses: Record<string, Tensor> = { total: whole };
  if (places !== null) {
    losses.images = whole;
    const [seen, options] = [tokens as Tensor, { kind, temperature, hardness }];
    losses.places = placesLoss(seen.slice(1, 1), textFeatures, places, options);
    losses.total = whole.add(losses.places.add(bypass(seen, textFeatures).mul(BYPASS)).mul(config.places));
  }
  const forward = performance.now();
  (losses.total as Tensor).backward();
  const backward = performance.now();
  if (config.gradClip > 0) optim.clipGradNorm(trained.values(), config.gradClip);
  optimizer.step();
  if (places !== null) keepValues(model);
  optimizer.zeroGrad();
  const end = performance.now();
  return {
    losses: Object.fromEntries(Object.entries(losses).map(([name, loss]) => [name, loss.item()])),
    ms: { forward: forward - start, backward: backward - forward, optimiser: end - backward },
  };
}
