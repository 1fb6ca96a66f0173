// The anchor to labels: stage 1's loss on a few labelled cases beside the preference loss of every step. Off by default: with box
// prompts it cost about a point. Draws its cases from a stream named by the step.

import type { Tensor } from '@maskrank/torch';
import type { Mask } from '../../imaging/types.ts';
import type { SegmentationLossOptions } from '../../training/losses.ts';
import { batchOf } from '../../training/streams.ts';
import { type AlignUnit, decodeUnits, type PolicyOptions } from '../policy.ts';
import { supervisedLoss } from './target.ts';

export type LabelAnchor = {
  readonly weight: number;
  /** The loss of the labelled cases of a step. */
  readonly loss: (step: number) => Tensor;
};

export type LabelAnchorOptions = {
  /** The policy, on embeddings of the labelled cases. */
  readonly policy: PolicyOptions;
  readonly units: readonly AlignUnit[];
  /** Mask of a unit on the canvas. */
  readonly target: (unit: AlignUnit) => Mask;
  readonly loss: SegmentationLossOptions;
  readonly batchSize: number;
  readonly weight: number;
  readonly seed: number;
};

export function labelAnchor({
  policy,
  units,
  target,
  loss,
  batchSize,
  weight,
  seed,
}: LabelAnchorOptions): LabelAnchor {
  const size = Math.min(batchSize, units.length);
  return {
    weight,
    loss: (step) => {
      const chosen = batchOf(seed, 'stage2/labels', step, size, units.length).map(
        (i) => units[i] as AlignUnit,
      );
      const { decoded } = decodeUnits(policy, chosen);
      return supervisedLoss(decoded, chosen.map(target), policy, loss).total;
    },
  };
}
