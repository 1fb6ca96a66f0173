// Fine-tuning of SAM-Med3D on cubes with a mask: a round of clicks after another, each where the last mask was wrong, as the
// released code trains it; one round in between and the last one go without a click, from the mask alone. Exactly resumable.
// Differences: the mean over the rounds, not their sum, so that the learning rate means the same for any number of them.
// Shapes: B cubes, S side in voxels, g side of the small masks.

import { fromTypedArray, nn, optim, type Tensor, tidy, zeros } from '@maskrank/torch';
import { gridSide, logitsToVolume, type Sam3d, type VolumePrompts } from '../../models/sam3d/index.ts';
import { type Click, nextClick, normaliseCube } from '../../models/sam3d/input.ts';
import type { Config } from '../../run/config.ts';
import type { Random } from '../../util/random.ts';
import type { BaselineLoop, TrainingResult } from '../baselines/supervised.ts';
import { descend } from '../descend.ts';
import { runLoop, type StepReport } from '../loop.ts';
import { optimiserSteps } from '../pretraining.ts';
import { batchOf, seedEngine, stepStream } from '../streams.ts';

/** Grey values 0..255 and a mask of 0 and 1 in a cube of the network's side. */
export type CubeSample = { readonly image: Uint8Array; readonly mask: Uint8Array };

export type Sam3dTraining = {
  readonly sam: Sam3d;
  readonly samples: readonly CubeSample[];
  readonly config: Config['baselines']['samMed3d'];
  readonly seed: number;
  readonly device: string;
  readonly loop: BaselineLoop;
};

const SMOOTH = 1e-5;
/** Shares of the training after which the learning rate falls to a tenth: steps 120 and 180 of 200. */
const FALLS = [0.6, 0.9];

/** Cross-entropy plus 1 - Dice with squares below (V-Net), a Dice a cube: logits and masks [B, 1, S, S, S]. */
export function diceCrossEntropy3d(logits: Tensor, masks: Tensor): Tensor {
  const p = logits.sigmoid();
  const sum = (x: Tensor) => x.sum([1, 2, 3, 4]); // [B]
  const dice = sum(p.mul(masks))
    .mul(2)
    .add(SMOOTH)
    .div(
      sum(p.mul(p))
        .add(sum(masks.mul(masks)))
        .add(SMOOTH),
    );
  return nn.F.bceWithLogits(logits, masks).add(dice.mean().rsub(1));
}

/** Clicks of a batch, one each, as prompts. */
export function clickPrompts(clicks: readonly Click[], device: string): NonNullable<VolumePrompts['points']> {
  const n = clicks.length;
  const coords = Float32Array.from(clicks.flatMap(({ place }) => place));
  const labels = BigInt64Array.from(clicks, ({ label }) => BigInt(label));
  return {
    coords: fromTypedArray(coords, [n, 1, 3]).to(device as 'cuda'),
    labels: fromTypedArray(labels, [n, 1]).to(device as 'cuda'),
  };
}

/** Small logits of zeros: the mask before the first round. */
export function noMask(sam: Sam3d, n: number, device: string): Tensor {
  const g = 4 * gridSide(sam.config);
  return zeros([n, 1, g, g, g]).to(device as 'cuda');
}

/** Trains to the end; the network holds the last weights, in evaluation mode. */
export async function trainSam3d(options: Sam3dTraining): Promise<TrainingResult> {
  const { sam, samples, config, seed, loop } = options;
  const { learningRate, weightDecay, promptRate, weights, gradClip } = config;
  const named = [...sam.namedParameters()].filter(([, parameter]) => parameter.requiresGrad);
  const isEncoder = ([name]: readonly [string, unknown]) => name.startsWith('image_encoder.');
  // A trained decoder should not be spoilt by the first steps; a random one has to learn like the rest.
  const share = promptRate ?? (weights === null ? 1 : 0.1);
  const groups = [
    { parameters: named.filter(isEncoder) },
    { parameters: named.filter((one) => !isEncoder(one)), learningRate: learningRate * share },
  ];
  const optimizer = new optim.AdamW(groups, { learningRate, weightDecay });
  const trained = new Map<string, Tensor>(named);
  const totalSteps = optimiserSteps(config, samples.length);
  const factor = (step: number) => 0.1 ** FALLS.filter((fall) => step >= fall * totalSteps).length;

  const takeStep = (step: number): StepReport => {
    const start = performance.now();
    const random = stepStream(seed, loop.stage, step);
    const batch = batchOf(seed, loop.stage, step, config.batchSize, samples.length).map((i, b) =>
      flipped(samples[i] as CubeSample, sam.config.volumeSize, random.fork(`flip ${b}`)),
    );
    const data = performance.now() - start;
    seedEngine(seed, loop.stage, step);
    optimizer.scaleLearningRate(factor(step));
    sam.train();
    const { total, ms } = tidy(() => {
      const loss = rounds(options, batch, random);
      return { total: loss.item(), ms: descend(loss, { optimizer, trained, gradClip }, start + data) };
    });
    return {
      losses: { total },
      ms: { data, ...ms },
      images: batch.length,
      learningRate: learningRate * factor(step),
      epoch: ((step + 1) * config.batchSize) / samples.length,
    };
  };

  try {
    const steps = await runLoop(
      {
        ...loop,
        totalSteps,
        state: { parameters: trained, optimizer },
        checkpointEverySteps: config.checkpointEverySteps,
        logEverySteps: config.logEverySteps,
      },
      takeStep,
    );
    sam.eval();
    return { steps, bestValidation: null, bestStep: steps };
  } finally {
    optimizer.disposeState();
  }
}

/** Mean loss of all rounds of clicks on a batch. */
function rounds(
  { sam, config, device }: Sam3dTraining,
  batch: readonly CubeSample[],
  random: Random,
): Tensor {
  const { volumeSize: side } = sam.config;
  const shape = [batch.length, 1, side, side, side];
  const images = new Float32Array(batch.length * side ** 3);
  const masks = new Uint8Array(images.length);
  for (const [b, { image, mask }] of batch.entries()) {
    images.set(normaliseCube(image), b * side ** 3);
    masks.set(mask, b * side ** 3);
  }
  const truth = fromTypedArray(masks, shape)
    .to(device as 'cuda')
    .to('float32');
  const embeddings = sam.embed(fromTypedArray(images, shape).to(device as 'cuda'));
  const last = config.clicks - 1;
  const without = random.int(2, 9);
  let small = noMask(sam, batch.length, device);
  let found = new Uint8Array(masks.length);
  const losses: Tensor[] = [];
  for (let round = 0; round < config.clicks; round++) {
    const isBare = round > 0 && (round === without || round === last);
    const clicks = batch.map(({ mask }, b) =>
      nextClick(mask, found.subarray(b * side ** 3, (b + 1) * side ** 3), side, random),
    );
    const isClicked = !isBare && clicks.every((click) => click !== undefined);
    const points = isClicked ? { points: clickPrompts(clicks as Click[], device) } : {};
    const { masks: next } = sam.decode(embeddings, { ...points, masks: small }, { multimask: false });
    const whole = logitsToVolume(next, side); // [B, 1, S, S, S]
    losses.push(diceCrossEntropy3d(whole, truth));
    small = next;
    if (round < last) found = whole.detach().gt(0).toTypedArray() as Uint8Array<ArrayBuffer>;
  }
  return losses.reduce((sum, loss) => sum.add(loss)).div(losses.length);
}

/** Each axis mirrored with a chance of one half. */
function flipped({ image, mask }: CubeSample, side: number, random: Random): CubeSample {
  const mirrors = [0, 1, 2].map(() => random.next() < 0.5);
  if (!mirrors.includes(true)) return { image, mask };
  const along = (i: number, axis: number) => (mirrors[axis] ? side - 1 - i : i);
  const turn = (from: Uint8Array): Uint8Array => {
    const to = new Uint8Array(from.length);
    let next = 0;
    for (let x = 0; x < side; x++)
      for (let y = 0; y < side; y++) {
        const row = (along(x, 0) * side + along(y, 1)) * side;
        for (let z = 0; z < side; z++) to[next++] = from[row + along(z, 2)]!;
      }
    return to;
  };
  return { image: turn(image), mask: turn(mask) };
}
