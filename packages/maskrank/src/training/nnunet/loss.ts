// nnU-Net's losses: cross-entropy and soft Dice of classes that exclude each other, their binary form for regions that overlap,
// an ignore label for both, and the same at several resolutions (deep supervision). Pure functions.
// Dice enters as -Dice, so that losses may be negative. Shapes: B images, K logits, S... spatial sizes.

import { nn, op, type Tensor, where, zerosLike } from '@maskrank/torch';

const { F } = nn;

export type SoftDiceOptions = {
  /** One overlap for all images of the batch together; else one an image, of which the mean is taken. */
  readonly batchDice?: boolean;
  /** Added above and below the fraction. */
  readonly smooth?: number;
  /** Whether channel 0 counts. */
  readonly background?: boolean;
};

/**
 * -Dice of probabilities [B, K, S...] with truth [B, K, S...] of 0 and 1, the mean over channels.
 *
 * @param counted [B, 1, S...] of 0 and 1: positions that count; absent: all
 */
export function softDiceLoss(
  probabilities: Tensor,
  truth: Tensor,
  { batchDice = false, smooth = 1, background = true }: SoftDiceOptions,
  counted?: Tensor,
): Tensor {
  const ofClasses = (x: Tensor) => (background ? x : x.slice(1, 1));
  const axes = probabilities.shape.map((_, i) => i).filter((i) => i > 1 || (batchDice && i === 0));
  const sum = (x: Tensor) => (counted === undefined ? x : x.mul(counted)).sum(axes);
  const [p, t] = [ofClasses(probabilities), ofClasses(truth)];
  const overlap = sum(p.mul(t)).mul(2).add(smooth); // [K] or [B, K]
  const size = sum(p).add(sum(t)).add(smooth).clamp(1e-8);
  return overlap.div(size).mean().neg();
}

/** The parts unweighted, and their weighted sum. */
export type NnunetLoss = {
  readonly total: Tensor;
  readonly crossEntropy: Tensor;
  readonly dice: Tensor;
};

export type NnunetLossOptions = {
  readonly dice: SoftDiceOptions;
  readonly crossEntropyWeight?: number;
  readonly diceWeight?: number;
  /** A label that says nothing of its position (labels), or true: the last channel of the truth says where (regions). */
  readonly ignore?: number | boolean;
};

/** nnU-Net's own Dice: batch Dice in two dimensions, background left out unless regions. */
export const DICE = { batchDice: true, smooth: 1e-5 } as const;

const scatterOp = op('aten::scatter.value');

/** 1 where a position has a label: labels [B, 1, S...] of int64 -> [B, K, S...] like `logits`. */
const oneHot = (labels: Tensor, logits: Tensor): Tensor => scatterOp(zerosLike(logits), 1, labels, 1);

const weigh = (
  crossEntropy: Tensor,
  dice: Tensor,
  { crossEntropyWeight = 1, diceWeight = 1 }: NnunetLossOptions,
): NnunetLoss => ({
  total: crossEntropy.mul(crossEntropyWeight).add(dice, diceWeight),
  crossEntropy,
  dice,
});

/** Logits [B, K, S...] with labels [B, 1, S...] (int64, 0 is the background). */
export function labelLoss(logits: Tensor, labels: Tensor, options: NnunetLossOptions): NnunetLoss {
  const ignored = typeof options.ignore === 'number' ? options.ignore : undefined;
  const isKnown = ignored === undefined ? undefined : labels.ne(ignored);
  const known = isKnown === undefined ? labels : where(isKnown, labels, zerosLike(labels));
  const truth = oneHot(known, logits.detach());
  const dice = softDiceLoss(logits.softmax(1), truth, options.dice, isKnown?.to(logits.dtype));
  const nothingKnown = isKnown !== undefined && isKnown.any().item() === 0; // a mean over nothing would be NaN
  const crossEntropy = nothingKnown
    ? logits.sum().mul(0)
    : F.crossEntropy(logits, labels.squeeze(1), ignored === undefined ? {} : { ignoreIndex: ignored });
  return weigh(crossEntropy, dice, options);
}

/** Logits [B, K, S...] with regions [B, K, S...] of 0 and 1, or [B, K + 1, S...] whose last channel is 1 where nothing is known. */
export function regionLoss(logits: Tensor, regions: Tensor, options: NnunetLossOptions): NnunetLoss {
  const count = logits.size(1);
  const truth = regions.slice(1, 0, count).to(logits.dtype);
  const counted = options.ignore === true ? regions.slice(1, count).to(logits.dtype).rsub(1) : undefined;
  const dice = softDiceLoss(logits.sigmoid(), truth, options.dice, counted);
  return weigh(regionCrossEntropy(logits, truth, counted), dice, options);
}

function regionCrossEntropy(logits: Tensor, truth: Tensor, counted: Tensor | undefined): Tensor {
  if (counted === undefined) return F.bceWithLogits(logits, truth);
  // -log sigmoid(z) where 1, -log(1 - sigmoid(z)) where 0. The sum over all channels is divided by the number of positions, not
  // by that of values, as in nnU-Net.
  const each = logits.softplus().sub(logits.mul(truth));
  return each.mul(counted).sum().div(counted.sum().clamp(1e-8));
}

/** Weights of the resolutions, the highest first: halved at each, the lowest's 0, in sum 1. */
export function deepSupervisionWeights(resolutions: number): number[] {
  if (resolutions === 1) return [1];
  const raw = Array.from({ length: resolutions }, (_, i) => (i === resolutions - 1 ? 0 : 0.5 ** i));
  const sum = raw.reduce((a, b) => a + b, 0);
  return raw.map((weight) => weight / sum);
}

/** The weighted sum over resolutions; those of weight 0 need no logits. */
export function deepSupervised(
  logits: readonly Tensor[],
  truths: readonly Tensor[],
  weights: readonly number[],
  loss: (logits: Tensor, truth: Tensor) => NnunetLoss,
): NnunetLoss {
  const parts = logits
    .slice(0, weights.length)
    .flatMap((z, i) =>
      weights[i] === 0 ? [] : [{ weight: weights[i] as number, ...loss(z, truths[i] as Tensor) }],
    );
  const sum = (name: keyof NnunetLoss) =>
    parts.map((part) => part[name].mul(part.weight)).reduce((a, b) => a.add(b));
  return { total: sum('total'), crossEntropy: sum('crossEntropy'), dice: sum('dice') };
}

/** Truth [B, K, S...] at each resolution: the nearest position to each centre (torch's `nearest-exact`). */
export function truthPyramid(truth: Tensor, strides: readonly (readonly number[])[]): Tensor[] {
  const factor = new Array<number>(truth.ndim - 2).fill(1);
  return strides.map((stride) => {
    for (const [axis, step] of stride.entries()) factor[axis] = (factor[axis] as number) * step;
    return factor.reduce(
      (t, step, axis) => (step === 1 ? t : t.slice(axis + 2, step >> 1, null, step)),
      truth,
    );
  });
}
