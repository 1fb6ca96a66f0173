// Which head learns: the one that is best, or the one that is expected to be; and what the IoU head is taught.

import { cat, full, grad, type Tensor, tensor, tidy, zeros } from '@maskrank/torch';
import { describe, expect, it } from 'vitest';
import { judgeBest, judgeExpected } from '../../../src/training/promptable/heads.ts';

/** One image of 8 x 8 whose left half is wanted; heads: all, the left half, nothing. */
function scene() {
  const left = cat([full([1, 1, 8, 4], 1), zeros([1, 1, 8, 4])], 3);
  const logits = (mask: Tensor) => mask.mul(20).sub(10);
  const heads = [full([1, 1, 8, 8], 1), left, zeros([1, 1, 8, 8])].map(logits);
  const masks = cat(heads, 1).detach();
  masks.requiresGrad = true;
  const targets = left.repeatInterleave(4, 2).repeatInterleave(4, 3); // [1, 1, 32, 32]
  return { masks, targets };
}

describe('judgeBest', () => {
  it('trains the head that is best, whatever is expected, and teaches all heads their IoU', () => {
    tidy(() => {
      const { masks, targets } = scene();
      const iou = tensor([[0.9, 0.1, 0.3]]);
      const { logits, parts } = judgeBest({ scope: 'mask' })({ masks, iou }, targets);
      expect(logits.toFloat32Array()).toEqual(masks.slice(1, 1, 2).toFloat32Array());
      const [g] = grad([parts.total], [masks]) as [Tensor];
      const byHead = g.abs().sum([0, 2, 3]).toFloat32Array();
      expect([byHead[0], byHead[2]]).toEqual([0, 0]);
      expect(byHead[1]).toBeGreaterThan(0);
      // True IoUs are 1/2, 1 and 0: (0.4^2 + 0.9^2 + 0.3^2) / 3.
      expect(parts.iou.item()).toBeCloseTo((0.16 + 0.81 + 0.09) / 3, 3);
    });
  });

  it('costs almost nothing where the mask is right', () => {
    tidy(() => {
      const { masks, targets } = scene();
      const { parts } = judgeBest({ scope: 'mask' })({ masks, iou: tensor([[0.5, 1, 0]]) }, targets);
      // Only the blur of doubling at the border is left.
      expect(parts.dice.item()).toBeLessThan(0.1);
      expect(parts.iou.item()).toBeLessThan(1e-3);
    });
  });
});

describe('judgeExpected', () => {
  it('trains the head that is expected to be best', () => {
    tidy(() => {
      const { masks, targets } = scene();
      const { parts } = judgeExpected({ scope: 'mask' })({ masks, iou: tensor([[0.9, 0.1, 0.3]]) }, targets);
      const [g] = grad([parts.total], [masks]) as [Tensor];
      const byHead = g.abs().sum([0, 2, 3]).toFloat32Array();
      expect(byHead[0]).toBeGreaterThan(0);
      expect([byHead[1], byHead[2]]).toEqual([0, 0]);
    });
  });
});
