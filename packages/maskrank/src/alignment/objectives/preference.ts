// Eq. (5) of the paper as an objective: proposals of the current policy, an annotator's judgement, and the loss on the region
// where the candidates differ, against the reference's logits; plus an anchor to the reference.
// Letters: B units, K candidates, l low-resolution side, S canvas side, P = S * S pixels.

import { fromTypedArray, nn, type Tensor } from '@maskrank/torch';
import { logitsToCanvas, pickHead } from '../../models/sam/index.ts';
import type { Config } from '../../run/config.ts';
import { type AlignUnit, type DecodedBatch, headTensor, logitsOf, type PolicyOptions } from '../policy.ts';
import {
  type Judgement,
  PREFERENCE_LOSSES,
  pairScales,
  REDUCTIONS,
  reward,
  scores,
} from '../preference-loss.ts';
import { writeRegion } from '../proposals/candidates.ts';
import type { Judged } from './judging.ts';
import type { LabelAnchor } from './labels.ts';
import type { Active, Objective, ObjectiveLoss, Round } from './objective.ts';

type PreferenceActive = Active & {
  readonly judged: Judged;
  /** Reference logits at low resolution [l * l]. */
  readonly reference: Float32Array<ArrayBuffer>;
};

export type PreferenceOptions = {
  readonly policy: PolicyOptions;
  readonly loss: Config['alignment']['loss'];
  /** Weight of the cross-entropy to the reference's probabilities. */
  readonly anchor: number;
  /** Stage 1's loss on labelled cases, added with its weight; absent: no anchor to labels. */
  readonly labels?: LabelAnchor;
  /** Judged proposals of a round; what has no signal is not among them. */
  readonly judgedOf: (round: Round) => Promise<readonly Judged[]>;
};

/** Losses that need the size of each pair's own region. */
const PAIRWISE: ReadonlySet<string> = new Set(['all-pairs-own-region', 'pairwise-ipo']);

export function preferenceObjective(options: PreferenceOptions): Objective<PreferenceActive> {
  const { policy } = options;
  return {
    begin: async (round, withReference) => {
      const judged = await options.judgedOf(round);
      const units = new Map(round.units.map((unit) => [`${unit.caseId}\u0000${unit.classId}`, unit]));
      const active = judged.map(
        ({ proposal }) => units.get(`${proposal.caseId}\u0000${proposal.classId}`) as AlignUnit,
      );
      const heads = judged.map(({ proposal }) => proposal.head);
      const references = withReference(() => logitsOf(policy, active, round.signal, heads));
      return judged.map((one, i) => ({
        unit: active[i] as AlignUnit,
        judged: one,
        reference: (references[i] as { logits: Float32Array<ArrayBuffer> }).logits,
      }));
    },
    loss: (active, batch, step) => preferenceLoss(active, batch, step, options),
  };
}

function preferenceLoss(
  active: readonly PreferenceActive[],
  { decoded }: DecodedBatch,
  step: number,
  options: PreferenceOptions,
): ObjectiveLoss {
  const { device, sam } = options.policy;
  const { imageSize } = sam.config;
  const pixels = imageSize * imageSize;
  const on = (tensor: Tensor): Tensor => tensor.to(device as 'cuda');

  const heads = headTensor(
    decoded.iou.detach().argmax(1),
    active.map(({ judged }) => judged.proposal.head),
  );
  const logits = pickHead(decoded, heads).masks; // [B, 1, l, l]
  const reference = on(fromTypedArray(concat(active.map((a) => a.reference)), logits.shape));
  const shift = logitsToCanvas(logits.sub(reference), imageSize).flatten(1); // [B, P]; upsampling is linear, so once is enough

  const region = new Float32Array(active.length * 4 * pixels);
  for (const [i, { judged }] of active.entries())
    writeRegion(judged.proposal.candidates, region.subarray(i * 4 * pixels, (i + 1) * 4 * pixels));
  const candidates = on(fromTypedArray(region, [active.length, 4, pixels], { share: true }));
  const { judgement, scale } = judgementTensors(active, options, on);
  const withPairs = PAIRWISE.has(options.loss.kind)
    ? { ...judgement, pairScales: pairScales(candidates) }
    : judgement;

  const s = scores(shift, candidates, scale); // [B, K]
  const preference = PREFERENCE_LOSSES[options.loss.kind](s, withPairs, options.loss).mean();
  const anchor = nn.F.bceWithLogits(logits, reference.sigmoid());
  const held = options.anchor > 0 ? preference.add(anchor, options.anchor) : preference;
  const labels = options.labels?.loss(step);
  return {
    total: labels === undefined ? held : held.add(labels, options.labels?.weight ?? 0),
    parts: { preference, anchor, ...(labels === undefined ? {} : { labels }) },
    facts: rewardFacts(s.detach(), shift.detach(), candidates, judgement),
  };
}

function judgementTensors(
  active: readonly PreferenceActive[],
  { loss, policy }: PreferenceOptions,
  on: (tensor: Tensor) => Tensor,
): { judgement: Judgement; scale: Tensor } {
  const b = active.length;
  const { imageSize } = policy.sam.config;
  const coefficients = Float32Array.from(active.flatMap(({ judged }) => judged.coefficients));
  const order = BigInt64Array.from(
    active.flatMap(({ judged }) => judged.order),
    BigInt,
  );
  const reduce = REDUCTIONS[loss.reduction];
  const scale = Float32Array.from(active, ({ judged }) =>
    reduce(judged.proposal.regionPx, { kappa: loss.kappa, pixels: imageSize * imageSize }),
  );
  return {
    judgement: {
      coefficients: on(fromTypedArray(coefficients, [b, 4])),
      order: on(fromTypedArray(order, [b, 4])),
    },
    scale: on(fromTypedArray(scale, [b])),
  };
}

/** What tells a healthy run from a saturated or a runaway one. */
function rewardFacts(
  s: Tensor,
  shift: Tensor,
  candidates: Tensor,
  judgement: Judgement,
): Record<string, number> {
  const r = reward(s, judgement);
  const ranked = s.gather(1, judgement.order);
  const region = candidates.amax(1); // [B, P]
  const moved = shift.abs().mul(region).sum(1).div(region.sum(1).clamp(1));
  return {
    rewardMean: r.mean().item(),
    rewardAbs: r.abs().mean().item(),
    rewardMargin: ranked.select(1, 0).sub(ranked.select(1, -1)).mean().item(),
    regionShift: moved.mean().item(),
  };
}

function concat(arrays: readonly Float32Array[]): Float32Array<ArrayBuffer> {
  const result = new Float32Array(arrays.reduce((sum, a) => sum + a.length, 0));
  let offset = 0;
  for (const array of arrays) {
    result.set(array, offset);
    offset += array.length;
  }
  return result;
}
