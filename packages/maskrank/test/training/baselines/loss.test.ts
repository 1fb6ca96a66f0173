// Dice and cross-entropy by hand and against finite differences; scores that say which class a pixel has.

import { Generator, nn, randn, type Tensor, tensor, tidy } from '@maskrank/torch';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkDirectionalGradients } from '../../../src/golden/finite-differences.ts';
import {
  type ClassRelation,
  classScores,
  diceCrossEntropy,
  outputsOf,
} from '../../../src/training/baselines/loss.ts';

const f64 = (values: number[], shape: number[]): Tensor => tensor(values, { dtype: 'float64' }).view(shape);
const RELATIONS: readonly ClassRelation[] = ['exclusive', 'overlapping'];

describe('by hand', () => {
  it('overlapping classes: binary cross-entropy, and Dice of the sigmoid over the whole batch', () => {
    tidy(() => {
      // Two images of one pixel, one class, p = 0.75 both; the class is in the first image alone.
      const { crossEntropy, dice } = diceCrossEntropy(
        f64([Math.log(3), Math.log(3)], [2, 1, 1, 1]),
        f64([1, 0], [2, 1, 1, 1]),
        { relation: 'overlapping' },
      );
      expect(crossEntropy.item()).toBeCloseTo(-(Math.log(0.75) + Math.log(0.25)) / 2, 12);
      expect(dice.item()).toBeCloseTo(1 - (2 * 0.75 + 1) / (1.5 + 1 + 1), 12);
    });
  });

  it('exclusive classes: softmax with the background first, which has no Dice of its own', () => {
    tidy(() => {
      // One pixel, two classes; probabilities 1/4, 1/4, 1/2; the truth is class 2.
      const { crossEntropy, dice } = diceCrossEntropy(
        f64([0, 0, Math.log(2)], [1, 3, 1, 1]),
        f64([0, 1], [1, 2, 1, 1]),
        { relation: 'exclusive' },
      );
      expect(crossEntropy.item()).toBeCloseTo(Math.log(2), 12);
      const each = [1 / (0.25 + 0 + 1), (2 * 0.5 + 1) / (0.5 + 1 + 1)];
      expect(dice.item()).toBeCloseTo(1 - (each[0]! + each[1]!) / 2, 12);
    });
  });

  it('weighs its parts, and a class that is in no image and not predicted costs no Dice', () => {
    tidy(() => {
      const logits = f64([-40, -40], [1, 1, 1, 2]);
      const parts = diceCrossEntropy(logits, f64([0, 0], [1, 1, 1, 2]), { relation: 'overlapping' });
      expect(parts.dice.item()).toBeCloseTo(0, 12);
      const weighted = diceCrossEntropy(f64([1, 2], [1, 1, 1, 2]), f64([0, 1], [1, 1, 1, 2]), {
        relation: 'overlapping',
        crossEntropyWeight: 3,
        diceWeight: 0.5,
      });
      expect(weighted.total.item()).toBeCloseTo(
        3 * weighted.crossEntropy.item() + 0.5 * weighted.dice.item(),
        12,
      );
    });
  });
});

describe('gradients against finite differences', () => {
  it.each(RELATIONS)('%s classes', (relation) => {
    tidy(() => {
      const generator = Generator.seeded(3);
      const logits = randn([2, outputsOf(relation, 3), 4, 5], { generator, dtype: 'float64' });
      logits.requiresGrad = true;
      const masks = randn([2, 3, 4, 5], { generator, dtype: 'float64' }).gt(0.8).to('float64');
      const checks = checkDirectionalGradients(
        () => diceCrossEntropy(logits, masks, { relation }).total,
        [['logits', logits]],
      );
      expect(checks.filter(({ ok }) => !ok)).toEqual([]);
    });
  });
});

describe('scores', () => {
  it('of overlapping classes are the logits', () => {
    tidy(() => {
      const logits = randn([1, 2, 3, 3]);
      expect(classScores(logits, 'overlapping')).toBe(logits);
    });
  });

  it('of exclusive classes are above 0 where the class is the highest, and never two at once, resized or not', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 0, max: 999 }), (classes, seed) => {
        tidy(() => {
          const logits = randn([1, classes + 1, 6, 7], { generator: Generator.seeded(seed) });
          const scores = classScores(logits, 'exclusive');
          expect(scores.shape).toEqual([1, classes, 6, 7]);
          const highest = [...logits.argmax(1).toTypedArray()].map(Number);
          const above = scores.gt(0).toTypedArray() as Uint8Array;
          for (const [i, c] of highest.entries())
            for (let k = 0; k < classes; k++) expect(above[k * 42 + i]).toBe(Number(c === k + 1));
          const larger = nn.F.interpolate(scores, [13, 17], { mode: 'bilinear' }).gt(0).to('int64').sum([1]);
          expect(larger.amax().item()).toBeLessThanOrEqual(1);
        });
      }),
      { numRuns: 20 },
    );
  });
});
