// Losses that need no masks: what a network says of two views of an image, compared. Pure functions.
// Shapes: U images, C classes, H W pixels. Exclusive classes have 1 + C logits, background first; others one logit a class.

import { op, type Tensor } from '@maskrank/torch';
import { type ClassRelation, softDiceLoss } from './loss.ts';

const binaryCrossEntropy = op('aten::binary_cross_entropy_with_logits');

/**
 * Weight of a term that rises over the first steps (Tarvainen 2017; Laine 2017): exp(-5 (1 - t)^2), t from 0 to 1. A young
 * network's answers are no targets.
 *
 * @param step from 0
 * @param rampSteps steps until the weight is 1; 0: always
 */
export function rampUp(step: number, rampSteps: number): number {
  const t = rampSteps === 0 ? 1 : Math.min(1, step / rampSteps);
  return Math.exp(-5 * (1 - t) ** 2);
}

/** Mean squared difference of probabilities (Tarvainen 2017), of the background too where classes exclude each other. */
export function probabilityDistance(logits: Tensor, targets: Tensor, relation: ClassRelation): Tensor {
  const probabilities = (z: Tensor): Tensor => (relation === 'exclusive' ? z.softmax(1) : z.sigmoid());
  const difference = probabilities(logits).sub(probabilities(targets));
  return difference.mul(difference).mean();
}

/** What a network takes for true, and where it is sure enough. */
export type PseudoLabels = {
  /** [U, C, H, W], 0 or 1, in the logits' type. */
  readonly masks: Tensor;
  /** 1 where the label counts: [U, 1, H, W] of exclusive classes, [U, C, H, W] of others. */
  readonly sure: Tensor;
};

/** The likelier answer for each pixel; it counts where its probability is at least `threshold` (Sohn 2020). */
export function pseudoLabels(logits: Tensor, relation: ClassRelation, threshold: number): PseudoLabels {
  if (relation === 'overlapping') {
    const confidence = logits.abs().sigmoid(); // of yes or of no
    return { masks: logits.gt(0).to(logits.dtype), sure: confidence.ge(threshold).to(logits.dtype) };
  }
  const highest = logits.amax([1], true);
  return {
    masks: logits.slice(1, 1, logits.size(1)).ge(highest).to(logits.dtype),
    sure: logits.softmax(1).amax([1], true).ge(threshold).to(logits.dtype),
  };
}

export type PseudoLabelLossOptions = {
  readonly relation: ClassRelation;
  readonly crossEntropyWeight: number;
  readonly diceWeight: number;
};

/**
 * Dice and cross-entropy against pseudo-labels, where they count. The cross-entropy is a mean over all pixels, so that few sure
 * ones weigh little (Sohn 2020, Eq. 4); nothing sure is 0, without a gradient.
 */
export function pseudoLabelLoss(
  logits: Tensor,
  { masks, sure }: PseudoLabels,
  { relation, crossEntropyWeight, diceWeight }: PseudoLabelLossOptions,
): Tensor {
  const { crossEntropy, probabilities } = MASKED[relation](logits, masks, sure);
  const dice = softDiceLoss(probabilities.mul(sure), masks.mul(sure));
  return crossEntropy.mul(crossEntropyWeight).add(dice, diceWeight);
}

const MASKED: Readonly<
  Record<
    ClassRelation,
    (logits: Tensor, masks: Tensor, sure: Tensor) => { crossEntropy: Tensor; probabilities: Tensor }
  >
> = {
  overlapping: (logits, masks, sure) => ({
    crossEntropy: binaryCrossEntropy(logits, masks, sure, null, 1),
    probabilities: logits.sigmoid(),
  }),
  exclusive: (logits, masks, sure) => {
    const classes = logits.size(1);
    const logarithms = logits.logSoftmax(1);
    const background = logarithms.slice(1, 0, 1).mul(masks.sum([1], true).rsub(1));
    const foreground = logarithms.slice(1, 1, classes).mul(masks).sum([1], true);
    return {
      crossEntropy: background.add(foreground).mul(sure).mean().neg(),
      probabilities: logarithms.exp().slice(1, 1, classes),
    };
  },
};
