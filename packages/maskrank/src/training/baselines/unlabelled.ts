// What images without masks add to a training (supervised.ts): a term of the loss between what the network says of one view of an
// image and what it, or an average of its weights, says of another. Not here: the terms themselves (consistency.ts, methods).
// Letters: U images, C classes, S canvas side.

import { fromTypedArray, type nn, noGrad, type Tensor } from '@maskrank/torch';
import type { Mask } from '../../imaging/types.ts';
import type { Augmentation } from '../batch.ts';
import { normaliseCanvas } from '../canvas.ts';
import { batchOf, stepStream } from '../streams.ts';
import { averageInto, copyInto } from '../weights.ts';
import type { DenseBatchOptions, DenseSample } from './batch.ts';

export type UnlabelledTerm = {
  /** Images that a step draws from; their masks, where they have some, are not looked at. */
  readonly samples: readonly DenseSample[];
  /** Images a step. */
  readonly batchSize: number;
  /** Both views of an image are moved alike, so that pixels correspond; then each changes grey values by itself. */
  readonly views: {
    readonly move: Augmentation;
    /** What the network learns from. */
    readonly seen: Augmentation;
    /** What the targets are made from. */
    readonly target: Augmentation;
  };
  /** Factor on the term at a step (from 0); 0 leaves the images out. */
  readonly weightAt: (step: number, totalSteps: number) => number;
  /** Logits [U, 1 + C or C, S, S] of both views, the targets' without gradients. */
  readonly loss: (logits: Tensor, targets: Tensor) => UnlabelledLoss;
  /** Makes the targets in place of the network itself, and is the result. */
  readonly teacher?: Teacher;
};

export type UnlabelledLoss = {
  /** Scalar, unweighted. */
  readonly total: Tensor;
  /** Part of the pixels whose label counts, where some do not; scalar. */
  readonly sureShare?: Tensor;
};

/** Averages of the trained network's weights and batch statistics over the steps. */
export type Teacher = {
  /** Of the same shape as the trained one, with the same weights at the start; always in evaluation mode. */
  readonly network: nn.Layer;
  /** Part of the average that stays at a step. */
  readonly decay: number;
};

/** A step's images, twice. */
export type Views = {
  /** [U, 3, S, S], normalised. */
  readonly seen: Float32Array<ArrayBuffer>;
  readonly target: Float32Array<ArrayBuffer>;
  readonly shape: readonly [number, number, number, number];
};

/** The views of a step; every random choice is that of the seed, the stage and the step. */
export function viewsAt(
  { samples, batchSize, views: { move, seen, target } }: UnlabelledTerm,
  normalisation: DenseBatchOptions['normalisation'],
  { seed, stage, step }: { readonly seed: number; readonly stage: string; readonly step: number },
): Views {
  const own = `${stage} unlabelled`;
  const chosen = batchOf(seed, own, step, batchSize, samples.length).map((i) => samples[i] as DenseSample);
  const random = stepStream(seed, own, step);
  const side = chosen[0]?.pixels.width ?? 0;
  const size = 3 * side * side;
  const views = {
    seen: new Float32Array(chosen.length * size),
    target: new Float32Array(chosen.length * size),
  };
  for (const [u, { pixels, area }] of chosen.entries()) {
    const stream = random.fork(`sample ${u}`);
    const moved = move(pixels, area === null ? [] : [area], stream.fork('movement'));
    const inside = area === null ? null : (moved.masks[0] as Mask);
    const planes = [u * size, (u + 1) * size] as const;
    for (const [name, tone] of [
      ['seen', seen],
      ['target', target],
    ] as const) {
      const { image } = tone(moved.image, [], stream.fork(name));
      normaliseCanvas(image, inside, normalisation, views[name].subarray(...planes));
    }
  }
  return { ...views, shape: [chosen.length, 3, side, side] };
}

/** Views as tensors on a device. */
export function viewTensors(
  { seen, target, shape }: Views,
  device: string,
): { seen: Tensor; target: Tensor } {
  const tensor = (view: Float32Array<ArrayBuffer>): Tensor =>
    fromTypedArray(view, shape, { share: true }).to(device as 'cuda');
  return { seen: tensor(seen), target: tensor(target) };
}

/** What the teacher, or the network as it would be measured, says of the target view; the network is in training mode afterwards. */
export function targetsOf(network: nn.Layer, teacher: Teacher | undefined, images: Tensor): Tensor {
  const judge = teacher?.network ?? network;
  judge.eval();
  const targets = noGrad(() => judge.forward(images));
  network.train();
  return targets;
}

/**
 * After step `step` (from 0): the teacher goes towards the network. The average of the first steps is that of all of them, or it
 * would long remember random weights.
 */
export function follow({ network: teacher, decay }: Teacher, network: nn.Layer, step: number): void {
  const source = weightsOf(network);
  const target = [...weightsOf(teacher)];
  const isCounter = ([, { dtype }]: readonly [string, Tensor]): boolean => dtype === 'int64'; // of batches seen
  const averaged = new Map(target.filter((entry) => !isCounter(entry)));
  averageInto(averaged, source, Math.min(decay, step / (step + 1)));
  copyInto(new Map(target.filter(isCounter)), source);
}

/** Parameters and batch statistics by name. */
export const weightsOf = (network: nn.Layer): Map<string, Tensor> =>
  new Map<string, Tensor>([...network.namedParameters(), ...network.namedBuffers()]);
