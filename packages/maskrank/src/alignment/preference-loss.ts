// The preference losses of stage 2 as pure functions of four scores a case.
//
// For a pixelwise Bernoulli policy with logits z, log pi(Y) = sum_i y_i z_i - softplus(z_i). In Eq. (5) the four
// coefficients sum to zero, so the softplus terms cancel and the reward is linear in the logits:
//   R = sum_k c_k s_k,   s_k = scale * sum_{i in D} y_ki (z_i - z_i^ref)
// with D the pixels where the candidates are not all equal (elsewhere the c_k cancel). Every loss here needs only s.
// Letters: B cases, K = 4 candidates, P pixels.

import { eye, op, stack, type Tensor, UsageError } from '@maskrank/torch';

/** How the sum over pixels becomes a score; see docs/deviations.md on `mean`. */
export type Reduction = 'region' | 'sum' | 'mean';

export type ScaleOptions = { readonly kappa: number; readonly pixels: number };

/** The factor on the sum over D for a case with |D| = `regionPx`. */
export const REDUCTIONS: Readonly<Record<Reduction, (regionPx: number, options: ScaleOptions) => number>> = {
  region: (regionPx, { kappa }) => (regionPx === 0 ? 0 : kappa / regionPx),
  sum: () => 1,
  mean: (_regionPx, { pixels }) => 1 / pixels,
};

/**
 * s [B, K]. `shift` [B, P]: policy logits less reference logits. `candidates` [B, K, P]: 0/1, zero outside D.
 * `scale` [B]: from REDUCTIONS.
 */
export function scores(shift: Tensor, candidates: Tensor, scale: Tensor): Tensor {
  return candidates.bmm(shift.unsqueeze(-1)).squeeze(-1).mul(scale.unsqueeze(-1)); // [B, K]
}

/** |D| / |D_ij| [B, K, K]: from the region of all candidates to that of a pair; 0 where the two are equal. */
export function pairScales(candidates: Tensor): Tensor {
  const gram = candidates.bmm(candidates.transpose(1, 2)); // [B, K, K] pixels in both
  const sizes = gram.mul(eye(gram.size(-1), { dtype: gram.dtype })).sum(1); // [B, K]
  const different = sizes.unsqueeze(1).add(sizes.unsqueeze(2)).sub(gram, 2);
  const region = candidates.amax(1).sum(1); // candidates are zero outside D, and D has a one in some candidate
  return region.reshape([-1, 1, 1]).div(different.clamp(1)).mul(different.gt(0));
}

/** An annotator's judgement of a batch. */
export type Judgement = {
  /** c [B, K], in candidate order; rows sum to zero. */
  readonly coefficients: Tensor;
  /** Candidate indices [B, K], best first, int64. */
  readonly order: Tensor;
  /** From `pairScales` [B, K, K]; only the losses that normalise every pair by its own region need it. */
  readonly pairScales?: Tensor;
};

export type LossOptions = {
  /** Target margin of `ipo` is 1 / (2 tau). */
  readonly ipoTau: number;
  /** Share of wrong judgements that `robust` assumes, below 0.5. */
  readonly robustEpsilon: number;
  /** The factor inside the scores, which `ipo` takes out again. */
  readonly kappa: number;
};

/** `robust` is unbounded below without it: a measured run went to a loss of -47 and lost 38 points. */
const ROBUST_CLAMP = 6;

const logcumsumexp = op('aten::logcumsumexp');

/** R [B]: Eq. (5)'s argument of the sigmoid. */
export function reward(s: Tensor, judgement: Judgement): Tensor {
  return s.mul(judgement.coefficients).sum(1);
}

/** Scores from best to worst [B, K]. */
const ranked = (s: Tensor, { order }: Judgement): Tensor => s.gather(1, order);

export type PreferenceLoss = (s: Tensor, judgement: Judgement, options: LossOptions) => Tensor;

/** A loss a case [B] from scores [B, K]. */
export const PREFERENCE_LOSSES = {
  /** Eq. (5): -log sigmoid(R). */
  sigmoid: (s, judgement) => reward(s, judgement).neg().softplus(),

  /** Plackett-Luce: the probability of the whole order, each place chosen among those left (Rafailov et al. 2023, appendix A.3). */
  'plackett-luce': (s, judgement) => {
    const z = ranked(s, judgement);
    const left = logcumsumexp(z.flip([1]), 1).flip([1]); // log of the sum over the candidates still to be placed
    return left
      .sub(z)
      .sum(1)
      .div(z.size(1) - 1);
  },

  /** The mean over all pairs of -log sigmoid(better - worse). */
  'all-pairs': (s, judgement) => {
    const z = ranked(s, judgement);
    const [better, worse] = pairs(z);
    return worse.sub(better).softplus().mean(1);
  },

  /** Direct preference optimisation on the best and the worst alone. */
  'best-worst': (s, judgement) => {
    const z = ranked(s, judgement);
    return z.select(1, -1).sub(z.select(1, 0)).softplus();
  },

  /** max(0, 1 - R) (Zhao et al. 2023). */
  hinge: (s, judgement) => reward(s, judgement).rsub(1).relu(),

  /** Label smoothing: a share epsilon of the judgements counts the other way (Mitchell 2023, conservative DPO). */
  conservative: (s, judgement, { robustEpsilon: e }) => {
    const r = reward(s, judgement);
    return r
      .neg()
      .softplus()
      .mul(1 - e)
      .add(r.softplus().mul(e));
  },

  /** As all-pairs, each pair normalised by the pixels in which those two differ. */
  'all-pairs-own-region': (s, judgement) => ownRegion(s, judgement).neg().softplus().mean(1),

  /** The mean over all pairs of (own-region difference / kappa - 1 / (2 tau))^2. */
  'pairwise-ipo': (s, judgement, { ipoTau, kappa }) => {
    return ownRegion(s, judgement)
      .div(kappa)
      .sub(1 / (2 * ipoTau))
      .pow(2)
      .mean(1);
  },

  /** Identity preference optimisation (Azar et al. 2023) on the region mean: (R / kappa - 1 / (2 tau))^2. */
  ipo: (s, judgement, { ipoTau, kappa }) =>
    reward(s, judgement)
      .div(kappa)
      .sub(1 / (2 * ipoTau))
      .pow(2),

  /** Unbiased under a share epsilon of flipped judgements (Chowdhury et al. 2024), bounded by clamping R. */
  robust: (s, judgement, { robustEpsilon: e }) => {
    const r = reward(s, judgement).clamp(-ROBUST_CLAMP, ROBUST_CLAMP);
    return r
      .neg()
      .softplus()
      .mul(1 - e)
      .sub(r.softplus().mul(e))
      .div(1 - 2 * e);
  },
} as const satisfies Readonly<Record<string, PreferenceLoss>>;

export type PreferenceLossKind = keyof typeof PREFERENCE_LOSSES;

/** Scores of the better and of the worse candidate of every pair [B, K (K - 1) / 2], from scores best to worst. */
function pairs(z: Tensor): [Tensor, Tensor] {
  const columns = z.unbind(1);
  const better: Tensor[] = [];
  const worse: Tensor[] = [];
  for (const [i, first] of columns.entries()) {
    for (const second of columns.slice(i + 1)) {
      better.push(first);
      worse.push(second);
    }
  }
  return [stack(better, 1), stack(worse, 1)];
}

/** Better less worse of every pair [B, K (K - 1) / 2], each rescaled to its own region. */
function ownRegion(s: Tensor, judgement: Judgement): Tensor {
  const { order, pairScales: table } = judgement;
  if (table === undefined) throw new UsageError('preference loss: this kind needs pairScales');
  const k = order.size(1);
  const rows = order.unsqueeze(2).expand([-1, k, k]);
  const columns = order.unsqueeze(1).expand([-1, k, k]);
  const byRank = table.gather(1, rows).gather(2, columns); // [B, K, K], best first both ways
  const [better, worse] = pairs(ranked(s, judgement));
  const own: Tensor[] = [];
  for (let i = 0; i < k; i++) for (let j = i + 1; j < k; j++) own.push(byRank.select(1, i).select(1, j));
  return better.sub(worse).mul(stack(own, 1));
}
