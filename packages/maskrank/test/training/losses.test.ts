import { Generator, grad, rand, randn, type Tensor, tensor, tidy } from '@maskrank/torch';
import { describe, expect, it } from 'vitest';
import { diceLoss, focalLoss, maskIouLoss, segmentationLoss } from '../../src/training/losses.ts';

const f64 = (values: number[], shape: number[]): Tensor => tensor(values, { dtype: 'float64' }).view(shape);

describe('losses by hand', () => {
  it('focal loss of one pixel: -alpha (1 - p)^2 log p on foreground, -(1 - alpha) p^2 log(1 - p) on background', () => {
    tidy(() => {
      const logit = Math.log(3); // p = 0.75
      const foreground = focalLoss(f64([logit], [1, 1, 1, 1]), f64([1], [1, 1, 1, 1])).item();
      const background = focalLoss(f64([logit], [1, 1, 1, 1]), f64([0], [1, 1, 1, 1])).item();
      expect(foreground).toBeCloseTo(-0.25 * 0.25 ** 2 * Math.log(0.75), 10);
      expect(background).toBeCloseTo(-0.75 * 0.75 ** 2 * Math.log(0.25), 10);
    });
  });

  it('Dice loss counts the batch as one mask, or each mask by itself', () => {
    tidy(() => {
      const z = f64([0, 0, 0, 0], [2, 1, 1, 2]); // p = 0.5 everywhere
      const m = f64([1, 1, 0, 0], [2, 1, 1, 2]);
      expect(diceLoss(z, m).item()).toBeCloseTo(1 - (2 * 1 + 1) / (2 + 2 + 1), 10);
      const each = [1 - (2 * 1 + 1) / (1 + 2 + 1), 1 - 1 / (1 + 0 + 1)];
      expect(diceLoss(z, m, { scope: 'mask' }).item()).toBeCloseTo((each[0]! + each[1]!) / 2, 10);
    });
  });

  it('IoU loss is the squared error of the predicted IoU', () => {
    tidy(() => {
      const z = f64([0, 0, 0, 0], [2, 1, 1, 2]);
      const m = f64([1, 1, 0, 0], [2, 1, 1, 2]);
      const predicted = f64([0.5, 0.1], [2, 1]);
      const batch = 1 / 3; // 1 / (2 + 2 - 1)
      expect(maskIouLoss(z, m, predicted).item()).toBeCloseTo(
        ((0.5 - batch) ** 2 + (0.1 - batch) ** 2) / 2,
        6,
      );
      expect(maskIouLoss(z, m, predicted, { scope: 'mask' }).item()).toBeCloseTo((0 + 0.1 ** 2) / 2, 6);
    });
  });

  it('the total weighs its parts 20 : 1 : 1', () => {
    tidy(() => {
      const generator = Generator.seeded(1);
      const loss = segmentationLoss(
        randn([2, 1, 4, 4], { generator }),
        rand([2, 1, 4, 4], { generator }).round(),
        rand([2, 1], { generator }),
      );
      expect(loss.total.item()).toBeCloseTo(20 * loss.focal.item() + loss.dice.item() + loss.iou.item(), 5);
    });
  });
});

describe('gradients against finite differences', () => {
  const step = 1e-6;
  for (const scope of ['batch', 'mask'] as const) {
    it(`of the total, overlaps by ${scope}`, () => {
      tidy(() => {
        const generator = Generator.seeded(3);
        const m = rand([2, 1, 3, 3], { generator }).round().to('float64');
        const leaves = [
          randn([2, 1, 3, 3], { generator, dtype: 'float64' }),
          rand([2, 1], { generator, dtype: 'float64' }),
        ];
        for (const leaf of leaves) leaf.requiresGrad = true;
        const f = () => segmentationLoss(leaves[0]!, m, leaves[1]!, { scope }).total;
        const gradients = grad([f()], leaves) as Tensor[];
        for (const [k, leaf] of leaves.entries()) {
          const values = (leaf.toTypedArray() as Float64Array<ArrayBuffer>).slice();
          const got = gradients[k]!.toTypedArray() as Float64Array;
          for (let i = 0; i < values.length; i++) {
            const at = (delta: number) => {
              const moved = values.slice();
              moved[i] = moved[i]! + delta;
              leaf.requiresGrad = false;
              leaf.copyFrom(moved);
              return f().item();
            };
            const numeric = (at(step) - at(-step)) / (2 * step);
            expect(Math.abs(got[i]! - numeric)).toBeLessThan(1e-7);
          }
          leaf.copyFrom(values);
        }
      });
    });
  }
});

describe('the worked example of eight pixels, in float64', () => {
  const p = [0.05, 0.32, 0.45, 0.55, 0.35, 0.58, 0.7, 0.95];
  const logits = () =>
    f64(
      p.map((x) => Math.log(x / (1 - x))),
      [1, 1, 2, 4],
    );
  const twentyToOne = (z: Tensor, mask: Tensor): Tensor => focalLoss(z, mask).mul(20).add(diceLoss(z, mask));

  it('weighs 20 focal to 1 Dice', () => {
    tidy(() => {
      const truth = f64([0, 0, 1, 1, 0, 1, 1, 1], [1, 1, 2, 4]);
      expect(focalLoss(logits(), truth).item()).toBeCloseTo(0.024003, 6);
      expect(diceLoss(logits(), truth).item()).toBeCloseTo(0.250251, 6);
      expect(twentyToOne(logits(), truth).item()).toBeCloseTo(0.730315, 6);
      const wider = f64([0, 1, 1, 1, 1, 1, 1, 1], [1, 1, 2, 4]);
      expect(twentyToOne(logits(), wider).item()).toBeCloseTo(1.177185, 6);
    });
  });

  it('has that gradient, which is what best-only learns from its winner', () => {
    tidy(() => {
      const z = logits();
      z.requiresGrad = true;
      const winner = f64([0, 0, 1, 1, 0, 1, 1, 1], [1, 1, 2, 4]);
      const [gradient] = grad([twentyToOne(z, winner)], [z]);
      const expected = [0.00427, 0.178541, -0.270955, -0.171282, 0.226162, -0.146579, -0.07135, -0.006199];
      for (const [i, got] of [...(gradient as Tensor).flatten().toFloat32Array()].entries())
        expect(got).toBeCloseTo(expected[i] as number, 6);
    });
  });
});
