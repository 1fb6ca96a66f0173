// Fixture dpo_losses: pairwise losses of direct-preference-optimization and TRL with gradients, sequence log-probabilities,
// and whole orders (Plackett-Luce, all pairs) and the diffusion form by formula.

import { fromTensorData, grad, type Tensor, tensor, tidy } from '@maskrank/torch';
import {
  type DpoOptions,
  diffusionDpoLoss,
  dpoLoss,
  PAIR_LOSSES,
  type PairLogps,
  type PairLossKind,
} from '../alignment/pair-losses.ts';
import { type Judgement, PREFERENCE_LOSSES } from '../alignment/preference-loss.ts';
import { sequenceLogps } from '../alignment/sequence-logps.ts';
import { checkFact, compareElements, need, numbers } from './compare.ts';
import type { CheckResult, Fixture, GoldenCheck } from './types.ts';

const TOLERANCE = { absolute: 1e-6, relative: 1e-5 };

const input = (fixture: Fixture, name: string): Tensor => fromTensorData(need(fixture, `in/${name}`));

function leaf(fixture: Fixture, name: string): Tensor {
  const value = input(fixture, name);
  value.requiresGrad = true;
  return value;
}

const compare = (fixture: Fixture, name: string, got: Tensor): CheckResult =>
  compareElements(name, got.toFloat32Array(), numbers(fixture, name), TOLERANCE);

/** Gradients of the mean loss. */
function compareGradients(
  fixture: Fixture,
  losses: Tensor,
  leaves: Readonly<Record<string, Tensor>>,
): CheckResult[] {
  const gradients = grad([losses.mean()], Object.values(leaves), { allowUnused: true });
  return Object.entries(leaves).map(([name, of], i) => compare(fixture, name, gradients[i] ?? of.mul(0)));
}

function pairLogps(fixture: Fixture, prefix: string, policy = ''): PairLogps {
  return {
    policyChosen: leaf(fixture, `${prefix}${policy}chosen_logps`),
    policyRejected: leaf(fixture, `${prefix}${policy}rejected_logps`),
    referenceChosen: input(fixture, `${prefix}ref_chosen_logps`),
    referenceRejected: input(fixture, `${prefix}ref_rejected_logps`),
  };
}

type DpoConfig = { beta: number; label_smoothing: number; ipo: boolean; reference_free: boolean };

function runDpo(fixture: Fixture, name: string, config: DpoConfig): CheckResult[] {
  const logps = pairLogps(fixture, '', 'policy_');
  const options: DpoOptions = {
    beta: config.beta,
    labelSmoothing: config.label_smoothing,
    ipo: config.ipo,
    referenceFree: config.reference_free,
  };
  const { losses, chosenRewards, rejectedRewards } = dpoLoss(logps, options);
  return [
    compare(fixture, `out/${name}.losses`, losses),
    compare(fixture, `out/${name}.chosen_rewards`, chosenRewards),
    compare(fixture, `out/${name}.rejected_rewards`, rejectedRewards),
    ...compareGradients(fixture, losses, {
      [`grad/${name}.policy_chosen`]: logps.policyChosen,
      [`grad/${name}.policy_rejected`]: logps.policyRejected,
    }),
  ];
}

function runTrl(
  fixture: Fixture,
  name: string,
  config: { beta: number; label_smoothing: number },
): CheckResult[] {
  const logps = pairLogps(fixture, 'trl.');
  const [chosenLength, rejectedLength] = input(fixture, 'completion_mask').sum(1).chunk(2) as [
    Tensor,
    Tensor,
  ];
  const losses = PAIR_LOSSES[name.slice('trl.'.length) as PairLossKind](
    { ...logps, chosenLength, rejectedLength },
    { beta: config.beta, labelSmoothing: config.label_smoothing, discopopTau: 0.05 },
  );
  return [
    compare(fixture, `out/${name}.losses`, losses),
    ...compareGradients(fixture, losses, {
      [`grad/${name}.chosen`]: logps.policyChosen,
      [`grad/${name}.rejected`]: logps.policyRejected,
    }),
  ];
}

function runSequences(fixture: Fixture): CheckResult[] {
  const [logits, labels] = [input(fixture, 'batch_logps.logits'), input(fixture, 'batch_logps.labels')];
  return [
    compare(fixture, 'out/batch_logps.sum', sequenceLogps(logits, labels)),
    compare(fixture, 'out/batch_logps.average', sequenceLogps(logits, labels, { average: true })),
  ];
}

/** The scale of the fixture's scores in its Plackett-Luce case (given in words there). */
const ORDER_BETA = 0.3;

/** Stage 2's own losses of whole orders, which divide by the number of choices and of pairs. */
function runOrders(fixture: Fixture): CheckResult[] {
  const policy = input(fixture, 'pl.policy_logps_best_to_worst'); // [B, K]
  const z = policy.sub(input(fixture, 'pl.ref_logps_best_to_worst')).mul(ORDER_BETA).detach();
  z.requiresGrad = true;
  const [b, k] = z.shape as [number, number];
  const places = Array.from({ length: k }, (_, i) => i);
  const judgement: Judgement = {
    coefficients: tensor(Array.from({ length: b }, () => places.map(() => 0))),
    order: tensor(
      Array.from({ length: b }, () => places),
      { dtype: 'int64' },
    ),
  };
  const losses = PREFERENCE_LOSSES['plackett-luce'](z, judgement).mul(k - 1);
  const pairs = PREFERENCE_LOSSES['all-pairs'](z, judgement).mul((k * (k - 1)) / 2);
  return [
    compare(fixture, 'out/pl.losses', losses),
    compare(fixture, 'out/pl.all_pairs_sigmoid_sum', pairs),
    ...compareGradients(fixture, losses, { 'grad/pl.wrt_beta_times_ratio': z }),
  ];
}

function runDiffusion(fixture: Fixture): CheckResult[] {
  const errors = {
    modelChosen: input(fixture, 'diffusion.model_err_w'),
    modelRejected: input(fixture, 'diffusion.model_err_l'),
    referenceChosen: input(fixture, 'diffusion.ref_err_w'),
    referenceRejected: input(fixture, 'diffusion.ref_err_l'),
  };
  return [compare(fixture, 'out/diffusion.losses_beta50', diffusionDpoLoss(errors, { beta: 50 }))];
}

export const dpo: GoldenCheck = {
  covers: (name) => name === 'dpo_losses',
  run: (fixture) => {
    const configs = Object.entries(fixture.json.config as Record<string, DpoConfig>);
    const pairs = configs.flatMap(([name, config]) =>
      tidy(() => (name.startsWith('trl.') ? runTrl : runDpo)(fixture, name, config)),
    );
    const others = tidy(() => [...runSequences(fixture), ...runOrders(fixture), ...runDiffusion(fixture)]);
    const compared = new Set([...pairs, ...others].map((result) => result.what));
    const left = [...fixture.tensors.keys()].filter((name) => !name.startsWith('in/') && !compared.has(name));
    return [...pairs, ...others, checkFact('every output is compared', left.length === 0, left.join(', '))];
  },
};
