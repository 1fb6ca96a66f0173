// Dice and cross-entropy of dense predictions (the loss of nnU-Net), for classes that exclude each other or may overlap, and the
// score by which a pixel gets a class. Pure functions.
// Shapes: B images, C classes, H W pixels. Exclusive classes have 1 + C logits, background first; others one logit a class.

import { cat, nn, type Tensor } from '@maskrank/torch';

const { F } = nn;

/**
 * - `exclusive`: a pixel has one class or none; softmax over background and classes
 * - `overlapping`: each class is a yes or no of its own; sigmoid
 */
export type ClassRelation = 'exclusive' | 'overlapping';

/** Outputs that a network needs for so many classes. */
export const outputsOf = (relation: ClassRelation, classes: number): number =>
  relation === 'exclusive' ? classes + 1 : classes;

/** The parts unweighted, and their weighted sum. */
export type DiceCrossEntropy = {
  readonly total: Tensor;
  readonly crossEntropy: Tensor;
  readonly dice: Tensor;
};

export type DiceCrossEntropyOptions = {
  readonly relation: ClassRelation;
  readonly crossEntropyWeight?: number;
  readonly diceWeight?: number;
};

/** Logits [B, 1 + C or C, H, W] against masks [B, C, H, W] of 0 and 1 in the logits' type. */
export function diceCrossEntropy(
  logits: Tensor,
  masks: Tensor,
  { relation, crossEntropyWeight = 1, diceWeight = 1 }: DiceCrossEntropyOptions,
): DiceCrossEntropy {
  const { crossEntropy, probabilities } = RELATIONS[relation](logits, masks);
  const dice = softDiceLoss(probabilities, masks);
  return { total: crossEntropy.mul(crossEntropyWeight).add(dice, diceWeight), crossEntropy, dice };
}

const RELATIONS: Readonly<
  Record<ClassRelation, (logits: Tensor, masks: Tensor) => { crossEntropy: Tensor; probabilities: Tensor }>
> = {
  overlapping: (logits, masks) => ({
    crossEntropy: F.bceWithLogits(logits, masks),
    probabilities: logits.sigmoid(),
  }),
  // Where masks share a pixel after all, the first class has it.
  exclusive: (logits, masks) => ({
    crossEntropy: F.crossEntropy(logits, cat([masks.amax([1], true).rsub(1), masks], 1).argmax(1)),
    probabilities: logits.softmax(1).slice(1, 1, logits.size(1)),
  }),
};

/**
 * 1 - Dice of probabilities [B, C, H, W], one overlap for all images of the batch together, then the mean over classes (nnU-Net's
 * batch Dice): a class that is in few images costs nothing where it is absent, and no single pixel decides.
 */
export function softDiceLoss(probabilities: Tensor, masks: Tensor, smooth = 1): Tensor {
  const sum = (x: Tensor) => x.sum([0, 2, 3]); // [C]
  const overlap = sum(probabilities.mul(masks)).mul(2).add(smooth);
  return overlap
    .div(sum(probabilities).add(sum(masks)).add(smooth))
    .mean()
    .rsub(1);
}

/**
 * Scores [B, C, H, W] of the classes, above 0 where a pixel has the class: the logit, or how far it is above the highest of the
 * others (log-odds both; of exclusive classes never two are above 0, also after linear interpolation).
 */
export function classScores(logits: Tensor, relation: ClassRelation): Tensor {
  if (relation === 'overlapping') return logits;
  const count = logits.size(1);
  const scores = Array.from({ length: count - 1 }, (_, c) => {
    const others = cat([logits.slice(1, 0, c + 1), logits.slice(1, c + 2, count)], 1);
    return logits.slice(1, c + 1, c + 2).sub(others.amax([1], true));
  });
  return cat(scores, 1);
}
