// Preference losses of the literature on pairs: which of two answers of a policy is better. An answer is any thing with a
// log-probability: a mask (preference-loss.ts does four masks at once and is what stage 2 uses), a sentence, an image.
// Pure functions, a loss a pair; in forms that stay finite however large the margin is. Written as direct-preference-
// optimization (Mitchell 2023) and TRL's DPOTrainer define them. Not here: whole orders (preference-loss.ts).
// Letters: B pairs; delta = log-ratio of the chosen less log-ratio of the rejected answer; beta scales both.

import { type Tensor, UsageError } from '@maskrank/torch';

/** Log-probabilities of B pairs [B], each summed over the answer's parts (pixels, tokens). */
export type PairLogps = {
  readonly policyChosen: Tensor;
  readonly policyRejected: Tensor;
  readonly referenceChosen: Tensor;
  readonly referenceRejected: Tensor;
  /** Parts of each answer [B]; only the losses that average over them (`ipo`, `sigmoid_norm`) need these two. */
  readonly chosenLength?: Tensor;
  readonly rejectedLength?: Tensor;
};

export type PairLossOptions = {
  /** How dear it is to leave the reference. */
  readonly beta: number;
  /** Share of the judgements taken to be wrong: below 0.5; `exo_pair` needs more than 0 (1e-3 is usual). */
  readonly labelSmoothing?: number;
  /** Width of the change from one form to the other in `discopop`. */
  readonly discopopTau?: number;
};

type Settings = Required<PairLossOptions>;

/** What the losses are made of. */
type Ratios = {
  /** log policy - log reference of the better answer [B]. */
  readonly chosen: Tensor;
  /** The same of the worse one [B]. */
  readonly rejected: Tensor;
  /** chosen - rejected [B]. */
  readonly delta: Tensor;
  readonly logps: PairLogps;
};

/** -log sigmoid(x), finite for every x. */
const surprise = (x: Tensor): Tensor => x.neg().softplus();

/** Cross-entropy of sigmoid(x) with the label 1 - e. */
const smoothed = (x: Tensor, e: number): Tensor =>
  e === 0
    ? surprise(x)
    : surprise(x)
        .mul(1 - e)
        .add(x.softplus(), e);

/** Ascending along the pairs. */
const sorted = (x: Tensor): Tensor => x.sort(0)[0];

/** Log-ratios [B] averaged over the parts of each answer. */
function perPart({ chosen, rejected, logps }: Ratios): Tensor {
  const { chosenLength, rejectedLength } = logps;
  if (chosenLength === undefined || rejectedLength === undefined)
    throw new UsageError('pair loss: this kind needs chosenLength and rejectedLength');
  const per = (x: Tensor, length: Tensor): Tensor => x.div(length.to(x.dtype).clamp(1));
  return per(chosen, chosenLength).sub(per(rejected, rejectedLength));
}

/** Each loss from its ratios [B] -> [B], under TRL's names. */
const FORMS = {
  /** Direct preference optimisation (Rafailov et al. 2023, Eq. 7). */
  sigmoid: ({ delta }, { beta }) => surprise(delta.mul(beta)),

  /** max(0, 1 - beta delta) (Zhao et al. 2023, SLiC-HF; Liu et al. 2023, RSO). */
  hinge: ({ delta }, { beta }) => delta.mul(-beta).add(1).relu(),

  /** Identity preference optimisation (Azar et al. 2023, Eq. 17), on log-ratios a part, as its authors meant it. */
  ipo: (ratios, { beta }) =>
    perPart(ratios)
      .sub(1 / (2 * beta))
      .pow(2),

  /** KL from the policy's choice between the two to (1 - e, e) (Ji et al. 2024, EXO, Eq. 16). */
  exo_pair: ({ delta }, { beta, labelSmoothing: e }) => {
    if (e <= 0)
      throw new UsageError(`pair loss exo_pair: labelSmoothing = ${e}, allowed: above 0 (1e-3 is usual)`);
    const x = delta.mul(beta);
    const better = x.sigmoid().mul(surprise(x).neg().sub(Math.log1p(-e)));
    const worse = x
      .neg()
      .sigmoid()
      .mul(x.softplus().neg().sub(Math.log(e)));
    return better.add(worse);
  },

  /** Noise-contrastive alignment on pairs (Chen et al. 2024, NCA). */
  nca_pair: ({ chosen, rejected }, { beta }) => {
    const [c, r] = [chosen.mul(beta), rejected.mul(beta)];
    return surprise(c).add(c.softplus(), 0.5).add(r.softplus(), 0.5);
  },

  /** Unbiased under a share e of flipped judgements (Chowdhury et al. 2024, robust DPO). Unbounded below. */
  robust: ({ delta }, { beta, labelSmoothing: e }) => {
    const x = delta.mul(beta);
    return surprise(x)
      .mul(1 - e)
      .sub(x.softplus(), e)
      .div(1 - 2 * e);
  },

  /** Binary classifier optimisation (Jung et al. 2024) on pairs, with the reward's shift at 0 as TRL has it now. */
  bco_pair: ({ chosen, rejected }, { beta }) => surprise(chosen.mul(beta)).add(rejected.mul(beta).softplus()),

  /** Self-play preference optimisation (Wu et al. 2024, Eq. 4.7) with winning probabilities 1 and 0. */
  sppo_hard: ({ chosen, rejected }, { beta }) =>
    chosen
      .sub(0.5 / beta)
      .pow(2)
      .add(rejected.add(0.5 / beta).pow(2)),

  /** Alignment by optimal transport (Melnyk et al. 2024): the policy's margins against the reference's, both in order. */
  aot: ({ logps }, { beta, labelSmoothing }) => {
    const margins = sorted(logps.policyChosen.sub(logps.policyRejected));
    const references = sorted(logps.referenceChosen.sub(logps.referenceRejected));
    return smoothed(margins.sub(references).mul(beta), labelSmoothing);
  },

  /** The same where chosen and rejected answers are not paired: both log-ratios in order. */
  aot_unpaired: ({ chosen, rejected }, { beta, labelSmoothing }) =>
    smoothed(sorted(chosen).sub(sorted(rejected)).mul(beta), labelSmoothing),

  /** Anchored preference optimisation (D'Oosterlinck et al. 2024, Eq. 7): chosen answers are better than the reference's. */
  apo_zero: ({ chosen, rejected }, { beta }) => chosen.mul(-beta).sigmoid().add(rejected.mul(beta).sigmoid()),

  /** The same (Eq. 8) where even the chosen answers are worse than the reference's. */
  apo_down: ({ chosen, delta }, { beta }) => chosen.mul(beta).sigmoid().add(delta.mul(-beta).sigmoid()),

  /** Log-ratio modulated loss found by a language model (Lu et al. 2024, DiscoPOP, Eq. 5). */
  discopop: ({ delta }, { beta, discopopTau }) => {
    const x = delta.mul(beta);
    const gate = x.div(discopopTau);
    // sigmoid(gate) exp(-x) as one exponential: apart, the second overflows where the first is 0
    const exponential = surprise(gate).add(x).neg().exp();
    return surprise(x).mul(gate.neg().sigmoid()).add(exponential);
  },

  /** DPO on log-ratios a part (Meng et al. 2024, SimPO's normalisation, with a reference). */
  sigmoid_norm: (ratios, { beta }) => surprise(perPart(ratios).mul(beta)),
} as const satisfies Readonly<Record<string, (ratios: Ratios, settings: Settings) => Tensor>>;

export type PairLossKind = keyof typeof FORMS;

/** A loss a pair [B]. */
export type PairLoss = (logps: PairLogps, options: PairLossOptions) => Tensor;

const withRatios =
  (form: (ratios: Ratios, settings: Settings) => Tensor): PairLoss =>
  (logps, { beta, labelSmoothing = 0, discopopTau = 0.05 }) => {
    if (!(labelSmoothing >= 0 && labelSmoothing < 0.5))
      throw new UsageError(
        `pair loss: labelSmoothing = ${labelSmoothing}, allowed: at least 0 and below 0.5 (at 0.5 the judgements say nothing)`,
      );
    const chosen = logps.policyChosen.sub(logps.referenceChosen);
    const rejected = logps.policyRejected.sub(logps.referenceRejected);
    return form(
      { chosen, rejected, delta: chosen.sub(rejected), logps },
      { beta, labelSmoothing, discopopTau },
    );
  };

/** The losses of TRL's DPOTrainer by their names there. */
export const PAIR_LOSSES = Object.fromEntries(
  Object.entries(FORMS).map(([name, form]) => [name, withRatios(form)]),
) as Readonly<Record<PairLossKind, PairLoss>>;

export type DpoOptions = {
  readonly beta: number;
  /** Conservative DPO (Mitchell 2023): share of the judgements taken to be wrong, below 0.5. */
  readonly labelSmoothing?: number;
  /** Identity preference optimisation instead of the sigmoid: (delta - 1 / (2 beta))^2, on sums, not on means. */
  readonly ipo?: boolean;
  /** As if the reference found all answers equally likely. Rewards are still measured against it. */
  readonly referenceFree?: boolean;
};

/**
 * The loss of direct-preference-optimization (Rafailov et al. 2023, Eq. 7, and Mitchell's notes): a loss a pair [B], and
 * the implicit rewards beta (log policy - log reference) [B], which carry no gradient.
 */
export function dpoLoss(
  logps: PairLogps,
  { beta, labelSmoothing = 0, ipo = false, referenceFree = false }: DpoOptions,
): { losses: Tensor; chosenRewards: Tensor; rejectedRewards: Tensor } {
  const { policyChosen, policyRejected, referenceChosen, referenceRejected } = logps;
  const margin = policyChosen.sub(policyRejected);
  const delta = referenceFree ? margin : margin.sub(referenceChosen.sub(referenceRejected));
  const rewards = (policy: Tensor, reference: Tensor): Tensor => policy.sub(reference).mul(beta).detach();
  return {
    losses: ipo ? delta.sub(1 / (2 * beta)).pow(2) : smoothed(delta.mul(beta), labelSmoothing),
    chosenRewards: rewards(policyChosen, referenceChosen),
    rejectedRewards: rewards(policyRejected, referenceRejected),
  };
}

/** Squared errors of a denoiser on the better and on the worse image [B], each the mean over the image. */
export type DenoisingErrors = {
  readonly modelChosen: Tensor;
  readonly modelRejected: Tensor;
  readonly referenceChosen: Tensor;
  readonly referenceRejected: Tensor;
};

/** Diffusion-DPO (Wallace et al. 2023, Eq. 14): -log sigmoid(-beta / 2 (model's difference - reference's difference)). */
export function diffusionDpoLoss(errors: DenoisingErrors, { beta }: { readonly beta: number }): Tensor {
  const model = errors.modelChosen.sub(errors.modelRejected);
  const reference = errors.referenceChosen.sub(errors.referenceRejected);
  return surprise(model.sub(reference).mul(-0.5 * beta));
}
