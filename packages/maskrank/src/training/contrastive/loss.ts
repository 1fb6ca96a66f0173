// Contrastive losses where an image may have several texts and a text several images. With one text an image, none of them true
// of another image, they are InfoNCE (Radford 2021) and DHN-NCE (Koleilat 2024) as models/clip/losses.ts has them.
// Shapes: B images, T texts, E features.

import { fromTypedArray, type Tensor } from '@maskrank/torch';
import { unitRows } from '../../models/clip/index.ts';

export type PairLossOptions = {
  readonly kind: 'info-nce' | 'dhn-nce';
  /** Divides the cosines. */
  readonly temperature: number;
  /** DHN-NCE's beta, in both directions. */
  readonly hardness: number;
};

const log = (x: Tensor): Tensor => x.clamp(1e-30).log();

/** log of the sum of exp(l) over the marked entries of each row; rows without any give a large negative number. */
function logSumWhere(logits: Tensor, marked: Tensor): Tensor {
  const top = logits.amax(1, true).detach(); // [R, 1]
  return log(logits.sub(top).exp().mul(marked).sum(1)).add(top.squeeze(1)); // [R]
}

type Negatives = (logits: Tensor, negative: Tensor, hardness: number) => Tensor;

/** Each loss of a pair p of row i is -l_ip + what its negatives give: log sum of them with l_ip, or of them alone. */
const KINDS: Readonly<
  Record<PairLossOptions['kind'], { readonly weigh: Negatives; readonly keepsPositive: boolean }>
> = {
  'info-nce': { weigh: logSumWhere, keepsPositive: true },
  // w_ij = N exp(beta l_ij) / sum_k exp(beta l_ik) over the N negatives of the row
  'dhn-nce': {
    weigh: (logits, negative, hardness) =>
      logSumWhere(logits.mul(1 + hardness), negative)
        .sub(logSumWhere(logits.mul(hardness), negative))
        .add(log(negative.sum(1))),
    keepsPositive: false,
  },
};

/** Mean over rows that have positives and negatives, of the mean over a row's positives. Counted rows beside it. */
function direction(logits: Tensor, positive: Tensor, { kind, hardness }: PairLossOptions): Tensor {
  const { weigh, keepsPositive } = KINDS[kind];
  const negative = positive.rsub(1);
  const others = weigh(logits, negative, hardness).unsqueeze(1); // [R, 1]
  const pairs = keepsPositive
    ? others.sub(logits).softplus() // -log(e^l / (e^l + sum)) = log(1 + e^(others - l))
    : others.sub(logits);
  const counts = positive.sum(1); // [R]
  const counted = counts.gt(0).mul(negative.sum(1).gt(0)).to('float32');
  const rows = pairs.mul(positive).sum(1).div(counts.clamp(1)).mul(counted);
  return rows.sum().div(counted.sum().clamp(1));
}

/**
 * The loss of features [B, E] and [T, E], mean of both directions. `truth` [B, T], rows first: 1 where the text is true of the
 * image, so that it is a positive, else 0, a negative.
 */
export function pairLoss(
  imageFeatures: Tensor,
  textFeatures: Tensor,
  truth: Float32Array<ArrayBuffer>,
  options: PairLossOptions,
): Tensor {
  const [b, t] = [imageFeatures.size(0), textFeatures.size(0)];
  const positive = fromTypedArray(truth, [b, t], { device: imageFeatures.device });
  const logits = unitRows(imageFeatures).matmul(unitRows(textFeatures).t()).div(options.temperature); // [B, T]
  return direction(logits, positive, options)
    .add(direction(logits.t(), positive.t(), options))
    .mul(0.5);
}
