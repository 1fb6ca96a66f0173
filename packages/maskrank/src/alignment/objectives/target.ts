// Training the decoder towards one mask a unit, with stage 1's loss. Stage 2 from best candidates alone is this, and so are three
// controls with different targets: the best-ranked candidate of a ranking (best-only), the ground truth of the same images (the ceiling of any ranking), and the labelled
// images again (continued stage 1). Letters: B units, S canvas side.

import { fromTypedArray } from '@maskrank/torch';
import type { Mask } from '../../imaging/types.ts';
import { type DecoderOutput, logitsToCanvas, pickBest } from '../../models/sam/index.ts';
import {
  type SegmentationLoss,
  type SegmentationLossOptions,
  segmentationLoss,
} from '../../training/losses.ts';
import { unitKey } from '../../training/units.ts';
import type { AlignUnit, PolicyOptions } from '../policy.ts';
import { candidateMask } from '../proposals/candidates.ts';
import type { Judged } from './judging.ts';
import type { Active, Objective, Round } from './objective.ts';

type TargetActive = Active & { readonly target: Mask };

export type TargetOptions = {
  readonly policy: PolicyOptions;
  readonly loss: SegmentationLossOptions;
  /** The units of a round that have a target, and it, on the canvas. */
  readonly targets: (round: Round) => Promise<readonly TargetActive[]>;
};

/** The best-ranked candidate of each judged unit of a round. */
export function winnersOf(judged: readonly Judged[], { units }: Pick<Round, 'units'>): TargetActive[] {
  const unitOf = new Map(units.map((unit) => [unitKey(unit.caseId, unit.classId), unit]));
  return judged.map(({ proposal: { caseId, classId, candidates }, order }) => ({
    unit: unitOf.get(unitKey(caseId, classId)) as AlignUnit,
    target: candidateMask(candidates, order[0] as number),
  }));
}

export function targetObjective({ policy, loss, targets }: TargetOptions): Objective<TargetActive> {
  return {
    begin: (round) => targets(round),
    loss: (active, { decoded }) => {
      const masks = active.map(({ target }) => target);
      const { total, ...parts } = supervisedLoss(decoded, masks, policy, loss);
      return { total, parts, facts: {} };
    },
  };
}

/** Stage 1's loss of decoded units against their masks on the canvas, at the head that the model expects to be best. */
export function supervisedLoss(
  decoded: DecoderOutput,
  masks: readonly Mask[],
  { sam, device }: PolicyOptions,
  loss: SegmentationLossOptions,
): SegmentationLoss {
  const { imageSize } = sam.config;
  const best = pickBest(decoded);
  const pixels = imageSize * imageSize;
  const data = new Uint8Array(masks.length * pixels);
  for (const [i, mask] of masks.entries()) data.set(mask.data, i * pixels);
  const shape = [masks.length, 1, imageSize, imageSize];
  const targets = fromTypedArray(data, shape, { share: true })
    .to(device as 'cuda')
    .to('float32');
  return segmentationLoss(logitsToCanvas(best.masks, imageSize), targets, best.iou, loss);
}
