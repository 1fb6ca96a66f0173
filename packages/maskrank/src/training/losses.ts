// Losses of stage 1 as pure functions of tensors: focal and Dice as SAM weighs them (20:1; Kirillov 2023, section A), and
// SAM-Med2D's squared error of the predicted IoU, in the forms of SAM-Med2D's code (Cheng 2023).
// Not here: preference losses (alignment/), scores of finished masks (evaluation/).
// Shapes: logits and mask [N, 1, h, w] (any shape with N first), mask values 0 or 1 of the logits' type, N masks.

import type { Tensor } from '@maskrank/torch';

/** Keeps the logarithm finite, as in the reference; a probability that rounds to 0 costs -log(1e-12) = 27.6. */
const LOG_FLOOR = 1e-12;

export type FocalOptions = {
  /** Weight of foreground; background gets 1 - alpha. */
  readonly alpha?: number;
  /** How strongly pixels that are right already are discounted. */
  readonly gamma?: number;
};

/** Focal loss (Lin 2017), mean over every pixel of the batch. */
export function focalLoss(
  logits: Tensor,
  mask: Tensor,
  { alpha = 0.25, gamma = 2 }: FocalOptions = {},
): Tensor {
  const p = logits.sigmoid();
  const q = p.rsub(1);
  const background = mask.rsub(1);
  const positive = mask.mul(q.pow(gamma)).mul(p.add(LOG_FLOOR).log()); // [N, 1, h, w]
  const negative = background.mul(p.pow(gamma)).mul(q.add(LOG_FLOOR).log());
  return positive
    .mul(-alpha)
    .sub(negative, 1 - alpha)
    .mean();
}

/**
 * - `batch`: one overlap for all masks together, as SAM-Med2D trains; large objects dominate
 * - `mask`: one a mask, then the mean
 */
export type OverlapScope = 'batch' | 'mask';

/** Sums over a mask's pixels [N], or over the whole batch []. */
function total(x: Tensor, scope: OverlapScope): Tensor {
  return scope === 'batch' ? x.sum() : x.flatten(1).sum(1);
}

export type DiceOptions = {
  /** Added to both parts of the fraction, in pixels. */
  readonly smooth?: number;
  readonly scope?: OverlapScope;
};

/** Dice loss (Milletari 2016) on probabilities: 1 - (2 sum(p m) + s) / (sum(p) + sum(m) + s). */
export function diceLoss(
  logits: Tensor,
  mask: Tensor,
  { smooth = 1, scope = 'batch' }: DiceOptions = {},
): Tensor {
  const p = logits.sigmoid();
  const overlap = total(p.mul(mask), scope).mul(2).add(smooth);
  const sizes = total(p, scope).add(total(mask, scope)).add(smooth);
  return overlap.div(sizes).mean().rsub(1);
}

/** IoU of probabilities and mask: [] or [N]. */
function softIou(logits: Tensor, mask: Tensor, scope: OverlapScope): Tensor {
  const p = logits.sigmoid();
  const intersection = total(p.mul(mask), scope);
  const union = total(p, scope).add(total(mask, scope)).sub(intersection);
  return intersection.add(1e-7).div(union.add(1e-7));
}

/**
 * Squared error of the predicted IoU [N, 1] against the IoU of probabilities and mask. As in the reference the IoU is not
 * detached, so the logits feel it too, and with scope `batch` one IoU stands for all masks.
 */
export function maskIouLoss(
  logits: Tensor,
  mask: Tensor,
  predictedIou: Tensor,
  { scope = 'batch' }: { readonly scope?: OverlapScope } = {},
): Tensor {
  const iou = softIou(logits, mask, scope);
  return predictedIou
    .sub(scope === 'batch' ? iou : iou.unsqueeze(1))
    .pow(2)
    .mean();
}

export type SegmentationLossOptions = FocalOptions &
  DiceOptions & {
    /** Weight of the focal loss (SAM and the paper: 20 to 1 of Dice). */
    readonly focalWeight?: number;
    readonly diceWeight?: number;
    /** Weight of the IoU head's loss (SAM-Med2D: 1). */
    readonly iouWeight?: number;
  };

/** The parts unweighted, and their weighted sum. */
export type SegmentationLoss = {
  readonly total: Tensor;
  readonly focal: Tensor;
  readonly dice: Tensor;
  readonly iou: Tensor;
};

/** What SAM-Med2D trains with: 20 focal + Dice + squared IoU error. `predictedIou` [N, 1] belongs to the masks in `logits`. */
export function segmentationLoss(
  logits: Tensor,
  mask: Tensor,
  predictedIou: Tensor,
  options: SegmentationLossOptions = {},
): SegmentationLoss {
  const { focalWeight = 20, diceWeight = 1, iouWeight = 1, ...shape } = options;
  const focal = focalLoss(logits, mask, shape);
  const dice = diceLoss(logits, mask, shape);
  const iou = maskIouLoss(logits, mask, predictedIou, shape);
  return { total: focal.mul(focalWeight).add(dice, diceWeight).add(iou, iouWeight), focal, dice, iou };
}
