import { arange, Generator, grad, nn, randn, type Tensor, tidy } from '@maskrank/torch';
import { UsageError } from '@maskrank/torch/errors';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type DhnNceOptions, dhnNceLoss, infoNce } from '../../../src/models/clip/index.ts';

const features = (b: number, e: number, seed: number): Tensor =>
  randn([b, e], { generator: Generator.seeded(seed), dtype: 'float64' });

/** Largest difference between the gradient and central differences, at every element of the first argument. */
function gradientError(loss: (x: Tensor) => Tensor, x: Tensor): number {
  const leaf = x.clone().requiresGrad_();
  const [g] = grad([loss(leaf)], [leaf]) as [Tensor];
  const got = g.toTypedArray();
  const values = x.toTypedArray() as Float64Array<ArrayBuffer>;
  const step = 1e-6;
  let worst = 0;
  for (let i = 0; i < values.length; i++) {
    const at = (delta: number) => {
      const moved = values.slice();
      moved[i] = (moved[i] as number) + delta;
      return loss(x.clone().copyFrom(moved)).item();
    };
    worst = Math.max(worst, Math.abs((at(step) - at(-step)) / (2 * step) - Number(got[i])));
  }
  return worst;
}

describe('InfoNCE', () => {
  it('is the mean of both cross-entropies', () => {
    tidy(() => {
      const logits = features(4, 4, 1);
      const target = arange(0, 4, 1, { dtype: 'int64' });
      const expected =
        nn.F.crossEntropy(logits, target).item() / 2 + nn.F.crossEntropy(logits.t(), target).item() / 2;
      expect(infoNce(logits).item()).toBeCloseTo(expected, 12);
      expect(gradientError(infoNce, logits)).toBeLessThan(1e-8);
    });
  });
  it('of equal logits is log B', () => {
    tidy(() => expect(infoNce(features(5, 5, 1).mul(0)).item()).toBeCloseTo(Math.log(5), 12));
  });
});

describe('DHN-NCE', () => {
  const cases: DhnNceOptions[] = [
    {},
    { temperature: 0.6, beta1: 0.15, beta2: 0.3 },
    { form: 'released' },
    { form: 'released', temperature: 0.6, beta1: 0.15, beta2: 0.15 },
  ];
  it.each(cases)('%j has the gradient of its value', (options) => {
    tidy(() => {
      const [images, texts] = [features(4, 6, 1), features(4, 6, 2)];
      expect(gradientError((x) => dhnNceLoss(x, texts, options), images)).toBeLessThan(1e-8);
      expect(gradientError((x) => dhnNceLoss(images, x, options), texts)).toBeLessThan(1e-8);
    });
  });

  it('with beta 0 is the decoupled loss: negatives alone under the logarithm', () => {
    tidy(() => {
      const logits = [
        [1, 0],
        [0.6, 0.8],
      ];
      const images = features(2, 2, 1).copyFrom(Float64Array.from(logits.flat()));
      const texts = features(2, 2, 1).copyFrom(Float64Array.from([1, 0, 0, 1]));
      // Cosines are [[1, 0], [0.6, 0.8]]: rows give -1 + 0 and -0.8 + 0.6, columns -1 + 0.6 and -0.8 + 0.
      const loss = dhnNceLoss(images, texts, { beta1: 0, beta2: 0 }).item();
      expect(loss).toBeCloseTo((-1 + 0 + -0.8 + 0.6) / 2 + (-1 + 0.6 + -0.8 + 0) / 2, 10);
    });
  });

  it('does not depend on the order of pairs, nor on the length of features', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 1000 }),
        fc.double({ min: 0.1, max: 9, noNaN: true }),
        (seed, factor) => {
          tidy(() => {
            const [images, texts] = [features(5, 4, seed), features(5, 4, seed + 1)];
            const loss = dhnNceLoss(images, texts).item();
            expect(dhnNceLoss(images.flip([0]), texts.flip([0])).item()).toBeCloseTo(loss, 9);
            expect(dhnNceLoss(images.mul(factor), texts).item()).toBeCloseTo(loss, 9);
          });
        },
      ),
      { numRuns: 20 },
    );
  });

  it('needs pairs, and two of them', () => {
    tidy(() => {
      expect(() => dhnNceLoss(features(1, 4, 1), features(1, 4, 2))).toThrow(UsageError);
      expect(() => dhnNceLoss(features(3, 4, 1), features(2, 4, 2))).toThrow('3 images and 2 texts');
    });
  });
});
