// Training of an nnU-Net: random patches, SGD with Nesterov's momentum, a learning rate that falls polynomially from epoch to epoch,
// deep supervision; the last weights are the result, as in nnU-Net. Exactly resumable. Not here: reading data (pipeline), the
// network's shape (models/nnunet).
// Shapes: B patches, C channels, T channels of the truth, P... the patch.

import { fromTypedArray, noGrad, optim, stack, type Tensor, tidy } from '@maskrank/torch';
import type { Nnunet, Sizes } from '../../models/nnunet/index.ts';
import type { Random } from '../../util/random.ts';
import type { BaselineLoop } from '../baselines/supervised.ts';
import { descend, inPrecision, lossNumbers, type Precision } from '../descend.ts';
import { runLoop, type StepReport } from '../loop.ts';
import { stepStream } from '../streams.ts';
import { augmentPatch, windowSize } from './augment.ts';
import {
  DICE,
  deepSupervised,
  deepSupervisionWeights,
  labelLoss,
  type NnunetLoss,
  regionLoss,
  truthPyramid,
} from './loss.ts';
import { type NnunetSample, randomPatch, randomPatches } from './sample.ts';

export type NnunetSettings = {
  /** nnU-Net: 1000. */
  readonly epochs: number;
  /** Updates an epoch; nnU-Net: 250. */
  readonly iterationsPerEpoch: number;
  readonly learningRate: number;
  readonly momentum: number;
  readonly weightDecay: number;
  /** Largest L2 norm of all gradients; 0 is off. */
  readonly gradClip: number;
  /** Share of a batch's patches that are bound to hold foreground. */
  readonly foregroundShare: number;
  readonly crossEntropyWeight: number;
  readonly diceWeight: number;
  readonly precision: Precision;
  /** Epochs between measurements of the validation images; 0 is never. */
  readonly validateEveryEpochs: number;
  readonly checkpointEverySteps: number;
  readonly logEverySteps: number;
};

export type NnunetTraining = {
  readonly network: Nnunet;
  readonly samples: readonly NnunetSample[];
  /** What the plan says of patches. */
  readonly patch: Sizes;
  readonly batchSize: number;
  readonly batchDice: boolean;
  /** Whether the truth is regions that may overlap, or labels. */
  readonly regions: boolean;
  readonly settings: NnunetSettings;
  readonly seed: number;
  readonly device: string;
  readonly loop: BaselineLoop;
  /** Mean Dice of the network on images that training does not see. */
  readonly validate?: () => number;
};

/** Trains to the end; returns the updates done. The network is left in training mode. */
export async function trainNnunet(options: NnunetTraining): Promise<number> {
  const { network, settings, seed, loop } = options;
  const { epochs, iterationsPerEpoch, learningRate, momentum, weightDecay, validateEveryEpochs } = settings;
  const named = [...network.namedParameters()];
  const trained = new Map<string, Tensor>(named);
  const optimizer = new optim.SGD(named, { learningRate, momentum, nesterov: momentum > 0, weightDecay });
  const schedule = optim.schedules.poly({ total: epochs });
  const validateAt = (done: number): Partial<StepReport> => {
    const everySteps = validateEveryEpochs * iterationsPerEpoch;
    if (options.validate === undefined || everySteps === 0 || done % everySteps !== 0) return {};
    const start = performance.now();
    const validationDice = options.validate();
    return { extra: { validationDice, validationMs: performance.now() - start } };
  };

  const takeStep = (step: number): StepReport => {
    const start = performance.now();
    const factor = schedule(Math.floor(step / iterationsPerEpoch));
    optimizer.scaleLearningRate(factor);
    network.train();
    const { losses, ms } = tidy(() => {
      const batch = makeBatch(options, stepStream(seed, loop.stage, step));
      const data = performance.now() - start;
      const forward = performance.now();
      const parts = lossOf(options, batch);
      const spent = descend(parts.total, { optimizer, trained, gradClip: settings.gradClip }, forward);
      return { losses: lossNumbers(parts), ms: { data, ...spent } };
    });
    return {
      losses,
      ms,
      images: options.batchSize,
      learningRate: learningRate * factor,
      epoch: (step + 1) / iterationsPerEpoch,
      ...validateAt(step + 1),
    };
  };

  try {
    return await runLoop(
      {
        ...loop,
        totalSteps: epochs * iterationsPerEpoch,
        state: { parameters: trained, optimizer },
        checkpointEverySteps: settings.checkpointEverySteps,
        logEverySteps: settings.logEverySteps,
      },
      takeStep,
    );
  } finally {
    optimizer.disposeState();
  }
}

type Batch = { readonly images: Tensor; readonly truth: Tensor };

/** Images [B, C, P...] and truth [B, T, P...], both float32; every random choice comes from `random`. */
export function makeBatch(
  {
    samples,
    patch,
    batchSize,
    settings,
    device,
  }: Pick<NnunetTraining, 'samples' | 'patch' | 'batchSize' | 'device'> & {
    readonly settings: Pick<NnunetSettings, 'foregroundShare'>;
  },
  random: Random,
): Batch {
  const size = windowSize(patch);
  const free = randomPatches(batchSize, settings.foregroundShare);
  const parts = noGrad(() =>
    Array.from({ length: batchSize }, (_, b) => {
      const own = random.fork(`patch ${b}`);
      const sample = own.choice(samples);
      const cut = randomPatch(sample, { size, patch, foreground: b >= free }, own);
      return augmentPatch(
        {
          image: fromTypedArray(cut.image, [sample.image.channels, ...size], { share: true }),
          truth: fromTypedArray(cut.truth, [sample.truth.channels, ...size]).to('float32'),
        },
        patch,
        own,
      );
    }),
  );
  return {
    images: stack(parts.map(({ image }) => image)).to(device as 'cuda'),
    truth: stack(parts.map(({ truth }) => truth)).to(device as 'cuda'),
  };
}

/** The loss of a batch over the resolutions that count. */
function lossOf(
  { network, batchDice, regions, settings, device }: NnunetTraining,
  { images, truth }: Batch,
): NnunetLoss {
  const { crossEntropyWeight, diceWeight, precision } = settings;
  const weights = deepSupervisionWeights(network.resolutions);
  const counted = weights.filter((weight) => weight > 0).length;
  const logits = inPrecision(precision, device, () => network.forwardAll(images, counted));
  const truths = truthPyramid(regions ? truth : truth.to('int64'), network.config.strides.slice(0, counted));
  const dice = { ...DICE, batchDice, background: regions };
  const options = { dice, crossEntropyWeight, diceWeight };
  return deepSupervised(
    logits.map((z) => z.to('float32')),
    truths,
    weights,
    (z, t) => (regions ? regionLoss(z, t, options) : labelLoss(z, t, options)),
  );
}
