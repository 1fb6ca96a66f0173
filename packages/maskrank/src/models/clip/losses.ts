// Contrastive losses of a batch of image-text pairs: InfoNCE (Radford 2021) and the decoupled hard-negative loss DHN-NCE of
// MedCLIP-SAM (Koleilat 2024), as its paper states it and as its released code computes it.
// Shapes: B pairs, E features; row i of the images belongs to row i of the texts.

import { arange, eye, nn, type Tensor } from '@maskrank/torch';
import { UsageError } from '@maskrank/torch/errors';
import { unitRows } from './layers.ts';

/** Mean of both cross-entropies of scaled cosines [B, B] against the diagonal. */
export function infoNce(logitsPerImage: Tensor): Tensor {
  const targets = arange(0, logitsPerImage.size(0), 1, { dtype: 'int64', device: logitsPerImage.device });
  const toTexts = nn.F.crossEntropy(logitsPerImage, targets);
  return toTexts.add(nn.F.crossEntropy(logitsPerImage.t(), targets)).mul(0.5);
}

export type DhnNceOptions = {
  /** Divides the cosines. Default 1, as released; the paper trains with 0.6. */
  readonly temperature?: number;
  /** How much harder negatives count among an image's texts. Default 1; the paper: 0.15. */
  readonly beta1?: number;
  /** The same among a text's images. */
  readonly beta2?: number;
  /**
   * `paper`: the paper's formulas. `released`: what its code computes, kept to compare numbers. That code multiplies by the
   * mask before the exponential, so that masked entries count as 1; weighs with norms without beta, each row's norm laid on
   * a column; and averages over all B x B entries instead of pairs. Default `paper`.
   */
  readonly form?: 'paper' | 'released';
};

type Direction = (cosines: Tensor, beta: number) => Tensor;

const off = (logits: Tensor): Tensor => eye(logits.size(0), { dtype: logits.dtype, device: logits.device });

/** -l_ii + log sum_{j != i} w_ij exp(l_ij), w_ij = (B - 1) exp(beta l_ij) / sum_{k != i} exp(beta l_ik): [B] */
const fromPaper: Direction = (logits, beta) => {
  const diagonal = off(logits);
  const others = (factor: number) => {
    const scaled = logits.mul(factor).maskedFill(diagonal.to('bool'), Number.NEGATIVE_INFINITY);
    const top = scaled.amax(1, true).detach();
    return scaled.sub(top).exp().sum(1).log().add(top.squeeze(1)); // [B]
  };
  const negatives = others(1 + beta)
    .sub(others(beta))
    .add(Math.log(logits.size(0) - 1));
  return negatives.sub(logits.mul(diagonal).sum(1));
};

/** The same as the released code has it: [B, B] */
const fromCode: Direction = (logits, beta) => {
  const diagonal = off(logits);
  const masked = logits.mul(diagonal.rsub(1)); // [B, B], zeros on the diagonal
  const norm = masked.exp().sum(-1); // [B] of rows, divides columns
  const weights = masked
    .mul(beta)
    .exp()
    .mul(logits.size(0) - 1)
    .div(norm);
  const negatives = weights.mul(masked.exp());
  return negatives.log().sub(logits.mul(diagonal));
};

const FORMS = { paper: fromPaper, released: fromCode } as const;

/** DHN-NCE of features [B, E] each, B at least 2; they need not have unit length. */
export function dhnNceLoss(
  imageFeatures: Tensor,
  textFeatures: Tensor,
  { temperature = 1, beta1 = 1, beta2 = 1, form = 'paper' }: DhnNceOptions = {},
): Tensor {
  const b = imageFeatures.size(0);
  if (b < 2 || textFeatures.size(0) !== b) {
    throw new UsageError(
      `dhnNceLoss: ${b} images and ${textFeatures.size(0)} texts; allowed: equally many, at least 2.`,
    );
  }
  const logits = unitRows(imageFeatures).matmul(unitRows(textFeatures).t()).div(temperature); // [B, B]
  const direction = FORMS[form];
  return direction(logits, beta1).add(direction(logits.t(), beta2)).mean();
}
