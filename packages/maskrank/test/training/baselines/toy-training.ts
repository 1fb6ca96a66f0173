// A training of a tiny U-Net on painted squares, as the tests of training start, stop and kill it.

import { join } from 'node:path';
import { Generator, nn } from '@maskrank/torch';
import { augment, DEFAULT_AUGMENTATION } from '../../../src/imaging/augment.ts';
import { NORMALISATIONS } from '../../../src/imaging/normalise.ts';
import { createUnet, type Unet } from '../../../src/models/unet/index.ts';
import { defaultConfig } from '../../../src/run/config.ts';
import { MetricsLog } from '../../../src/run/metrics.ts';
import { type DenseSample, denseSamples } from '../../../src/training/baselines/batch.ts';
import { type ClassRelation, outputsOf } from '../../../src/training/baselines/loss.ts';
import {
  type SupervisedConfig,
  type TrainingResult,
  trainSupervised,
} from '../../../src/training/baselines/supervised.ts';
import type { UnlabelledTerm } from '../../../src/training/baselines/unlabelled.ts';
import type { Augmentation } from '../../../src/training/batch.ts';
import { CanvasCache } from '../../../src/training/canvas.ts';
import { toyDataset } from '../toy.ts';
import { type Ends, newFolders, toyLoop } from '../toy-loop.ts';

const fresh = newFolders('supervised');

const SIDE = 32;

/** Images with masks of classes 1 and 2. */
export async function samplesOf(ids: readonly string[]): Promise<DenseSample[]> {
  const dataset = toyDataset(SIDE);
  const canvas = { imageSize: SIDE, rule: 'stretch', normalisation: NORMALISATIONS.sam } as const;
  const cache = new CanvasCache(dataset, canvas);
  for (const item of dataset.labelled(ids)) for (const id of [1, 2]) await cache.loadMask(item, id);
  return denseSamples(cache, ids, [1, 2]);
}

/** The default augmentation. */
export const augmented: Augmentation = (image, masks, random) =>
  augment({ image, masks: [...masks] }, random, DEFAULT_AUGMENTATION);

/** An untrained network, the same each time. */
export const toyUnet = (relation: ClassRelation = 'exclusive', width = 2): Unet =>
  createUnet(
    { inChannels: 3, outChannels: outputsOf(relation, 2), width, bilinear: false },
    Generator.seeded(1),
  );

/** Values of every parameter and buffer. */
export const weightsIn = (network: nn.Module): Record<string, number[]> =>
  Object.fromEntries([...nn.saveStateDict(network)].map(([name, { data }]) => [name, [...data].map(Number)]));

export type RunOptions = Ends & {
  readonly folder?: string;
  readonly change?: Partial<SupervisedConfig>;
  readonly relation?: ClassRelation;
  readonly width?: number;
  readonly validation?: readonly DenseSample[];
  /** Made anew for each training: a teacher belongs to one. */
  readonly unlabelled?: (relation: ClassRelation) => UnlabelledTerm;
};

/** Trains, to the end or until it is stopped; what a killed one had in memory is lost. */
export async function train({ folder = fresh(), relation = 'exclusive', ...o }: RunOptions = {}) {
  const network = toyUnet(relation, o.width);
  const unlabelled = o.unlabelled?.(relation);
  const metrics = MetricsLog.open(join(folder, 'metrics.jsonl'));
  let result: TrainingResult | undefined;
  let failure: unknown;
  try {
    result = await trainSupervised({
      network,
      samples: await samplesOf(['a', 'b', 'c', 'd', 'e']),
      validation: o.validation ?? (await samplesOf(['v', 'w'])),
      relation,
      empties: 'exclude',
      batch: { classIds: [1, 2], normalisation: NORMALISATIONS.sam, augment: augmented },
      config: {
        ...defaultConfig().baselines.unet,
        steps: 8,
        batchSize: 2,
        checkpointEverySteps: 3,
        logEverySteps: 1,
        validateEverySteps: 2,
        ...o.change,
      },
      seed: 1,
      device: 'cpu',
      loop: { stage: 'baseline toy', ...toyLoop(folder, metrics, o) },
      ...(unlabelled && { unlabelled }),
    });
  } catch (error) {
    failure = error;
  }
  const lines = metrics.entries();
  metrics.close();
  const weights = weightsIn(network);
  network.dispose();
  unlabelled?.teacher?.network.dispose();
  return { folder, result, failure, lines, weights };
}
