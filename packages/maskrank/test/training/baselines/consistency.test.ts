// Terms of images without masks: by hand, against finite differences, and that nothing sure means nothing learned.

import { Generator, randn, type Tensor, tensor, tidy } from '@maskrank/torch';
import { describe, expect, it } from 'vitest';
import { checkDirectionalGradients } from '../../../src/golden/finite-differences.ts';
import {
  probabilityDistance,
  pseudoLabelLoss,
  pseudoLabels,
  rampUp,
} from '../../../src/training/baselines/consistency.ts';
import { type ClassRelation, diceCrossEntropy, outputsOf } from '../../../src/training/baselines/loss.ts';

const f64 = (values: number[], shape: number[]): Tensor => tensor(values, { dtype: 'float64' }).view(shape);
const RELATIONS: readonly ClassRelation[] = ['exclusive', 'overlapping'];
const EQUAL = { crossEntropyWeight: 1, diceWeight: 1 };
const drawn = (shape: number[], seed: number, spread = 1): Tensor =>
  randn(shape, { generator: Generator.seeded(seed), dtype: 'float64' }).mul(spread);

describe('the rise of a weight', () => {
  it('is exp(-5 (1 - t)^2), and 1 from the end on', () => {
    expect(rampUp(0, 100)).toBeCloseTo(Math.exp(-5), 12);
    expect(rampUp(50, 100)).toBeCloseTo(Math.exp(-1.25), 12);
    expect([rampUp(100, 100), rampUp(900, 100), rampUp(0, 0)]).toEqual([1, 1, 1]);
  });
});

describe('the distance of probabilities', () => {
  it('is a mean square, of the background too where classes exclude each other', () => {
    tidy(() => {
      const [even, three] = [f64([0, 0], [1, 2, 1, 1]), f64([0, Math.log(3)], [1, 2, 1, 1])];
      // softmax 1/2, 1/2 and 1/4, 3/4; sigmoid 1/2, 1/2 and 1/2, 3/4.
      expect(probabilityDistance(even, three, 'exclusive').item()).toBeCloseTo(1 / 16, 12);
      expect(probabilityDistance(even, three, 'overlapping').item()).toBeCloseTo(1 / 32, 12);
      expect(probabilityDistance(three, three, 'exclusive').item()).toBe(0);
    });
  });
});

describe('pseudo-labels', () => {
  it('of overlapping classes: a yes or no for each, sure of either', () => {
    tidy(() => {
      const logit = (p: number) => Math.log(p / (1 - p));
      const logits = f64([0.96, 0.94, 0.06, 0.04].map(logit), [1, 2, 1, 2]);
      const { masks, sure } = pseudoLabels(logits, 'overlapping', 0.95);
      expect([...masks.toTypedArray()]).toEqual([1, 1, 0, 0]);
      expect([...sure.toTypedArray()]).toEqual([1, 0, 0, 1]);
      expect(sure.shape).toEqual([1, 2, 1, 2]);
    });
  });

  it('of exclusive classes: the likeliest, the background without a mask', () => {
    tidy(() => {
      const log = (p: number[]) => p.map(Math.log);
      // Pixels: background for certain; class 2 for certain; class 1, unsure.
      const columns = [log([0.98, 0.01, 0.01]), log([0.01, 0.02, 0.97]), log([0.3, 0.4, 0.3])];
      const values = [0, 1, 2].flatMap((c) => columns.map((column) => column[c] as number));
      const { masks, sure } = pseudoLabels(f64(values, [1, 3, 1, 3]), 'exclusive', 0.95);
      expect([...masks.toTypedArray()]).toEqual([0, 0, 1, 0, 1, 0]);
      expect([...sure.toTypedArray()]).toEqual([1, 1, 0]);
      expect(sure.shape).toEqual([1, 1, 1, 3]);
    });
  });

  it.each(RELATIONS)('%s: with everything sure the loss is that of masks', (relation) => {
    tidy(() => {
      const logits = drawn([2, outputsOf(relation, 3), 4, 5], 1);
      const labels = pseudoLabels(drawn(logits.shape as number[], 2), relation, 0);
      expect(labels.sure.amin().item()).toBe(1);
      const expected = diceCrossEntropy(logits, labels.masks, { relation, crossEntropyWeight: 2 });
      const loss = pseudoLabelLoss(logits, labels, { relation, crossEntropyWeight: 2, diceWeight: 1 });
      expect(loss.item()).toBeCloseTo(expected.total.item(), 12);
    });
  });

  it.each(RELATIONS)('%s: a pixel that is not sure moves nothing; nothing sure is 0', (relation) => {
    tidy(() => {
      const shape = [2, outputsOf(relation, 2), 3, 4];
      const targets = drawn(shape, 3, 3);
      const labels = pseudoLabels(targets, relation, 0.9);
      expect(labels.sure.mean().item()).toBeGreaterThan(0.1);
      expect(labels.sure.mean().item()).toBeLessThan(0.9);
      const logits = drawn(shape, 4);
      logits.requiresGrad = true;
      pseudoLabelLoss(logits, labels, { relation, ...EQUAL }).backward();
      const moved = (logits.grad as Tensor).abs().mul(labels.sure.rsub(1));
      expect(moved.amax().item()).toBe(0);
      expect((logits.grad as Tensor).abs().amax().item()).toBeGreaterThan(0);
      const unsure = pseudoLabels(targets, relation, 0.9999999);
      expect(pseudoLabelLoss(logits, unsure, { relation, ...EQUAL }).item()).toBeCloseTo(0, 12);
    });
  });
});

describe('gradients against finite differences', () => {
  it.each(RELATIONS)('%s classes', (relation) => {
    tidy(() => {
      const shape = [2, outputsOf(relation, 3), 4, 5];
      const logits = drawn(shape, 5);
      logits.requiresGrad = true;
      const targets = drawn(shape, 6, 2);
      const labels = pseudoLabels(targets, relation, 0.8);
      for (const loss of [
        () => probabilityDistance(logits, targets, relation),
        () => pseudoLabelLoss(logits, labels, { relation, crossEntropyWeight: 0.7, diceWeight: 1.3 }),
      ])
        expect(checkDirectionalGradients(loss, [['logits', logits]]).filter(({ ok }) => !ok)).toEqual([]);
    });
  });
});
