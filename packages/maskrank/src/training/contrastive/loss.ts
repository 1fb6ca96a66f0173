// Contrastive losses where an image may have several texts and a text several images. With one text an image, none of them true
// of another image, they are InfoNCE (Radford 2021) and DHN-NCE (Koleilat 2024) as models/clip/losses.ts has them.
// Shapes: B images, P places of each, T texts, E features, D channels of a token, R rows.

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
function direction(
  logits: Tensor,
  positive: Tensor,
  negative: Tensor,
  { kind, hardness }: Omit<PairLossOptions, 'temperature'>,
): Tensor {
  const { weigh, keepsPositive } = KINDS[kind];
  const others = weigh(logits, negative, hardness).unsqueeze(1); // [R, 1]
  const pairs = keepsPositive
    ? others.sub(logits).softplus() // -log(e^l / (e^l + sum)) = log(1 + e^(others - l))
    : others.sub(logits);
  const counts = positive.sum(1); // [R]
  const counted = counts.gt(0).mul(negative.sum(1).gt(0)).to('float32');
  const rows = pairs.mul(positive).sum(1).div(counts.clamp(1)).mul(counted);
  return rows.sum().div(counted.sum().clamp(1));
}

/** The mean of both directions, of logits [R, T] and their truth, rows first: 1 positive, 0 negative, else neither. */
function bothWays(
  logits: Tensor,
  truth: Float32Array<ArrayBuffer>,
  options: Omit<PairLossOptions, 'temperature'>,
): Tensor {
  const known = fromTypedArray(truth, logits.shape, { device: logits.device });
  const [positive, negative] = [known.eq(1).to('float32'), known.eq(0).to('float32')];
  return direction(logits, positive, negative, options)
    .add(direction(logits.t(), positive.t(), negative.t(), options))
    .mul(0.5);
}

/**
 * The loss of features [B, E] and [T, E], mean of both directions. `truth` [B, T], rows first: 1 where the text is true of the
 * image, so that it is a positive, 0 where it is a negative, anything else where it is neither.
 */
export function pairLoss(
  imageFeatures: Tensor,
  textFeatures: Tensor,
  truth: Float32Array<ArrayBuffer>,
  options: PairLossOptions,
): Tensor {
  return bothWays(
    unitRows(imageFeatures).matmul(unitRows(textFeatures).t()).div(options.temperature),
    truth,
    options,
  );
}

/** Keeps the length of features without a positive channel from 0. */
const FLOOR = 1e-4;

/**
 * The same for single places: channels of tokens [B, P, D] and text features [T, D], negative values cut off. Features that
 * cannot be negative cannot be turned, so each channel comes to stand for something (Wang 2024, "Non-negative contrastive
 * learning"): a channel's map then shows where that is. `truth` [B P, T].
 */
export function placesLoss(
  tokens: Tensor,
  textFeatures: Tensor,
  truth: Float32Array<ArrayBuffer>,
  options: PairLossOptions,
): Tensor {
  const [places, texts] = [tokens.flatten(0, 1), textFeatures].map((x) => unitRows(x.relu().add(FLOOR))) as [
    Tensor,
    Tensor,
  ];
  return bothWays(places.matmul(texts.t()).div(options.temperature), truth, options);
}

/**
 * What tokens [B, 1 + P, D] and text features [T, D] should not do, so that maps of channels tell where a class is: neither places
 * nor texts should have negative channels, and the class token should know nothing that it does not read off the places.
 */
export function bypass(tokens: Tensor, textFeatures: Tensor): Tensor {
  const own = tokens.slice(1, 0, 1);
  const negative = (x: Tensor): Tensor => x.neg().relu().mean();
  return negative(tokens.slice(1, 1)).add(negative(textFeatures)).add(own.mul(own).mean());
}
