// Which of a decoder's three masks learns, and how its IoU head does. SAM-Med2D (Cheng 2023) trains the mask that the network
// itself expects to be best; SAM (Kirillov 2023, section 3) the one that is best, so that heads become different answers to an
// ambiguous prompt. Shapes: N masks asked for, M heads, h w of the decoder's masks, S canvas side, s side of the loss.

import { noGrad, op, type Tensor } from '@maskrank/torch';
import { type DecoderOutput, logitsToCanvas, pickBest, pickHead } from '../../models/sam/index.ts';
import {
  diceLoss,
  focalLoss,
  type SegmentationLoss,
  type SegmentationLossOptions,
  segmentationLoss,
} from '../losses.ts';

const averagePool = op('aten::avg_pool2d');

/** The mask that learns, logits [N, 1, h, w], and its loss. */
export type Judged = { readonly logits: Tensor; readonly parts: SegmentationLoss };

/** `targets` [N, 1, S, S], 0 or 1. */
export type Judge = (decoded: DecoderOutput, targets: Tensor) => Judged;

/** SAM-Med2D's: the mask of the highest predicted IoU, on the whole canvas. */
export const judgeExpected =
  (options: SegmentationLossOptions): Judge =>
  (decoded, targets) => {
    const best = pickBest(decoded);
    const logits = best.masks.to('float32'); // [N, 1, h, w]
    const onCanvas = logitsToCanvas(logits, targets.size(-1));
    return { logits, parts: segmentationLoss(onCanvas, targets, best.iou.to('float32'), options) };
  };

/**
 * SAM's: the mask of the highest true IoU; the IoU head learns from all. The loss is taken at twice the decoder's resolution,
 * against the share of each cell that the mask covers: a quarter of the canvas' work for the same contour.
 */
export const judgeBest =
  ({ focalWeight = 20, diceWeight = 1, iouWeight = 1, ...shape }: SegmentationLossOptions): Judge =>
  (decoded, targets) => {
    const all = decoded.masks.to('float32'); // [N, M, h, w]
    const overlaps = noGrad(() => softIous(all, shrink(targets, all.size(-1)))); // [N, M]
    const { masks: logits } = pickHead({ masks: all, iou: overlaps }, overlaps.argmax(1));
    const side = 2 * all.size(-1);
    const finer = logitsToCanvas(logits, side); // [N, 1, s, s]
    const cover = shrink(targets, side);
    const focal = focalLoss(finer, cover, shape);
    const dice = diceLoss(finer, cover, shape);
    const iou = decoded.iou.to('float32').sub(overlaps).pow(2).mean();
    return {
      logits,
      parts: { total: focal.mul(focalWeight).add(dice, diceWeight).add(iou, iouWeight), focal, dice, iou },
    };
  };

/** targets [N, 1, S, S] -> the covered share of each cell [N, 1, s, s]. */
function shrink(targets: Tensor, side: number): Tensor {
  const cell = targets.size(-1) / side;
  return cell === 1 ? targets : (averagePool(targets, [cell, cell]) as Tensor);
}

/** IoU of every head's probabilities with the mask: logits [N, M, h, w], mask [N, 1, h, w] -> [N, M]. */
function softIous(logits: Tensor, mask: Tensor): Tensor {
  const p = logits.sigmoid();
  const shared = p.mul(mask).sum([2, 3]);
  const union = p
    .sum([2, 3])
    .add(mask.sum([2, 3]))
    .sub(shared);
  return shared.add(1e-7).div(union.add(1e-7));
}
