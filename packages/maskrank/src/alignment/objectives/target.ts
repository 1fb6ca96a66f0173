// Training the decoder towards one mask a unit, with stage 1's loss. Three controls are this with different targets: the
// best-ranked candidate alone (best-only), the ground truth of the same images (the ceiling of any ranking), and the labelled
// images again (continued stage 1). Letters: B units, S canvas side.

import { fromTypedArray } from '@maskrank/torch';
import type { Mask } from '../../imaging/types.ts';
import { logitsToCanvas, pickBest } from '../../models/sam/index.ts';
import { type SegmentationLossOptions, segmentationLoss } from '../../training/losses.ts';
import type { PolicyOptions } from '../policy.ts';
import type { Active, Objective, Round } from './objective.ts';

type TargetActive = Active & { readonly target: Mask };

export type TargetOptions = {
  readonly policy: PolicyOptions;
  readonly loss: SegmentationLossOptions;
  /** The units of a round that have a target, and it, on the canvas. */
  readonly targets: (round: Round) => Promise<readonly TargetActive[]>;
};

export function targetObjective({ policy, loss, targets }: TargetOptions): Objective<TargetActive> {
  return {
    begin: (round) => targets(round),
    loss: (active, { decoded }) => {
      const { imageSize } = policy.sam.config;
      const best = pickBest(decoded);
      const pixels = imageSize * imageSize;
      const data = new Uint8Array(active.length * pixels);
      for (const [i, { target }] of active.entries()) data.set(target.data, i * pixels);
      const masks = fromTypedArray(data, [active.length, 1, imageSize, imageSize], { share: true })
        .to(policy.device as 'cuda')
        .to('float32');
      const { total, ...parts } = segmentationLoss(
        logitsToCanvas(best.masks, imageSize),
        masks,
        best.iou,
        loss,
      );
      return { total, parts, facts: {} };
    },
  };
}
