// The worked example: eight pixels, thresholds .3 .4 .5 .6, computed by hand and in float64.
import { fromTypedArray, grad, nn, tensor, tidy } from '@maskrank/torch';
import { describe, expect, it } from 'vitest';
import { grade, maskIou } from '../../src/alignment/annotators/oracle.ts';
import { bestFirst, rankingCoefficients, ratingCoefficients } from '../../src/alignment/coefficients.ts';
import {
  PREFERENCE_LOSSES,
  type PreferenceLossKind,
  pairScales,
  REDUCTIONS,
  type Reduction,
  scores,
} from '../../src/alignment/preference-loss.ts';

const p = [0.05, 0.32, 0.45, 0.55, 0.35, 0.58, 0.7, 0.95];
const gt = [0, 0, 1, 1, 0, 1, 1, 1];
const dz = [0.2, -0.3, 0.4, 0.1, -0.5, 0.25, -0.1, 0.6];
const thresholds = [0.3, 0.4, 0.5, 0.6];
const betas = { beta1: 1, beta2: 0.5 };
const candidates = thresholds.map((t) => p.map((x) => Number(x > t)));
const inRegion = p.map((_, i) => Number(new Set(candidates.map((y) => y[i])).size > 1));
const regionPx = inRegion.reduce((a, b) => a + b, 0);
const asMask = (bits: number[]) => ({ width: 4, height: 2, data: Uint8Array.from(bits) });
const options = { ipoTau: 0.5, robustEpsilon: 0.1, kappa: 10 };

/** Loss and d(loss)/d(shift) for one case. */
function evaluate(
  kind: PreferenceLossKind,
  coefficients: number[],
  order: number[],
  reduction: Reduction = 'region',
  kappa = 10,
  shift = dz,
) {
  return tidy(() => {
    const delta = fromTypedArray(Float64Array.from(shift), [1, 8]);
    delta.requiresGrad = true;
    const y = fromTypedArray(
      Float64Array.from(candidates.flatMap((c) => c.map((v, i) => v * (inRegion[i] as number)))),
      [1, 4, 8],
    );
    const scale = tensor([REDUCTIONS[reduction](regionPx, { kappa, pixels: 8 })], { dtype: 'float64' });
    const judgement = {
      coefficients: tensor([coefficients], { dtype: 'float64' }),
      order: tensor([order], { dtype: 'int64' }),
      pairScales: pairScales(y),
    };
    const s = scores(delta, y, scale);
    const loss = PREFERENCE_LOSSES[kind](s, judgement, { ...options, kappa });
    const [gradient] = grad([loss.sum()], [delta]);
    return {
      s: [...s.toFloat32Array()],
      loss: loss.item(),
      gradient: [...(gradient?.toFloat32Array() ?? [])],
    };
  });
}

const order = bestFirst(candidates.map((y) => maskIou(asMask(y), asMask(gt))));
const ranking = rankingCoefficients(order, betas);
const close = (got: readonly number[], ref: readonly number[]) => {
  expect(got).toHaveLength(ref.length);
  for (const [i, r] of ref.entries()) expect(got[i]).toBeCloseTo(r, 5);
};

describe('the virtual annotator', () => {
  it('overlaps and orders as by hand', () => {
    close(
      candidates.map((y) => maskIou(asMask(y), asMask(gt))),
      [0.714286, 1, 0.8, 0.4],
    );
    expect(order).toEqual([1, 2, 0, 3]);
    expect(regionPx).toBe(5);
  });
  it('grades an IoU that meets a bin edge exactly into the bin', () => {
    const grades = candidates.map((y) => grade(maskIou(asMask(y), asMask(gt)), [0.4, 0.55, 0.7]));
    expect(grades).toEqual([4, 4, 4, 2]);
    close(ratingCoefficients(grades, betas), [1 / 3, 1 / 3, 1 / 3, -1]);
  });
  it('gives nothing for four equal grades', () => {
    close(ratingCoefficients([2, 2, 2, 2], betas), [0, 0, 0, 0]);
  });
});

describe('Eq. (5)', () => {
  it.each([
    ['sum', 1, 0.326956],
    ['mean', 1, 0.635534],
    ['region', 1, 0.602653],
    ['region', 3, 0.448222],
    ['region', 10, 0.139387],
  ] as const)('reduction %s, kappa %d', (reduction, kappa, loss) => {
    expect(evaluate('sigmoid', ranking, order, reduction, kappa).loss).toBeCloseTo(loss, 6);
  });
  it('has the gradient of the linear form', () => {
    close(
      evaluate('sigmoid', ranking, order).gradient,
      [0, 0.130108, -0.130108, -0.260217, 0.130108, -0.260217, 0, 0],
    );
  });
  it("takes any weights that sum to zero: here each candidate's Dice above their mean", () => {
    const dice = candidates.map((y) => {
      const both = y.filter((bit, i) => bit === 1 && gt[i] === 1).length;
      return (2 * both) / (y.filter((bit) => bit === 1).length + gt.filter((bit) => bit === 1).length);
    });
    close(dice, [0.833333, 1, 0.888889, 0.571429]);
    const above = dice.map((d) => d - dice.reduce((a, b) => a + b, 0) / 4);
    const graded = above.map((d) => d / Math.max(...above.map(Math.abs)));
    close(graded, [0.03937, 0.700787, 0.259843, -1]);
    const { s, loss } = evaluate('sigmoid', graded, order);
    expect(s.reduce((sum, score, k) => sum + score * (graded[k] as number), 0)).toBeCloseTo(1.229134, 5);
    expect(loss).toBeCloseTo(0.256614, 6);
  });
  it('starts at ln 2 where policy and reference are one', () => {
    const { loss, gradient } = evaluate(
      'sigmoid',
      ranking,
      order,
      'region',
      10,
      dz.map(() => 0),
    );
    expect(loss).toBeCloseTo(Math.LN2, 6);
    close(gradient, [0, 0.5, -0.5, -1, 0.5, -1, 0, 0]);
  });
  it('changes sign with the order', () => {
    const reversed = [...order].reverse();
    const coefficients = rankingCoefficients(reversed, betas);
    expect(evaluate('sigmoid', coefficients, reversed, 'sum').loss).toBeCloseTo(1.276956, 6);
    expect(evaluate('sigmoid', coefficients, reversed).loss).toBeCloseTo(2.039387, 6);
  });
  it('feels a swap of neighbours', () => {
    const swapped = [1, 0, 2, 3];
    const coefficients = rankingCoefficients(swapped, betas);
    expect(evaluate('sigmoid', coefficients, swapped, 'sum').loss).toBeCloseTo(0.455492, 6);
    expect(evaluate('sigmoid', coefficients, swapped).loss).toBeCloseTo(0.287335, 6);
  });
  it('takes ratings', () => {
    const coefficients = ratingCoefficients([4, 4, 4, 2], betas);
    expect(evaluate('sigmoid', coefficients, order, 'sum').loss).toBeCloseTo(0.533382, 6);
    expect(evaluate('sigmoid', coefficients, order).loss).toBeCloseTo(0.403186, 6);
  });
  it('equals the full likelihood form', () => {
    const fine = p.map((x) => Math.log(x / (1 - x)));
    const logLikelihood = (z: number[], y: number[]) =>
      z.reduce((sum, zi, i) => sum + (y[i] as number) * zi - Math.log1p(Math.exp(zi)), 0);
    const policy = fine.map((z, i) => z + (dz[i] as number));
    const full = candidates.reduce(
      (sum, y, k) => sum + (ranking[k] as number) * (logLikelihood(policy, y) - logLikelihood(fine, y)),
      0,
    );
    expect(full).toBeCloseTo(0.95, 10);
  });
});

describe('the other losses on the same example', () => {
  it('scores', () => {
    const { s } = evaluate('sigmoid', ranking, order);
    close(
      order.map((k) => s[k] as number),
      [1.5, 0.7, -0.1, 0],
    );
  });
  it.each([
    ['plackett-luce', 0.679465],
    ['all-pairs', 0.379183],
    ['all-pairs-own-region', 0.208962],
    ['best-worst', 0.201413],
    ['ipo', 0.6561],
    ['pairwise-ipo', 0.622389],
    ['robust', -0.098113],
    ['conservative', 0.329387],
    ['hinge', 0],
  ] as const)('%s', (kind, loss) => {
    expect(evaluate(kind, ranking, order).loss).toBeCloseTo(loss, 5);
  });
  it('robust stays bounded where the reward runs away', () => {
    const far = dz.map((x) => x * 1000);
    expect(evaluate('robust', ranking, order, 'region', 10, far).loss).toBeGreaterThan(-1);
  });
});

it('carries gradients through the bilinear upsampling to 2x2 logits', () => {
  tidy(() => {
    const z = tensor(
      [
        [
          [
            [0, 0],
            [0, 0],
          ],
        ],
      ],
      { dtype: 'float64' },
    );
    z.requiresGrad = true;
    const shift = nn.F.interpolate(z, [4, 4], { mode: 'bilinear' }).reshape([1, 16]);
    const y = [[1, 1], [1], [], []].map((bits, k) =>
      Float64Array.from({ length: 16 }, (_, i) => (k === 3 ? Number(i === 15) : (bits[i] ?? 0))),
    );
    const candidateTensor = fromTypedArray(Float64Array.from(y.flatMap((row) => [...row])), [1, 4, 16]);
    const s = scores(shift, candidateTensor, tensor([10 / 3], { dtype: 'float64' }));
    const judgement = {
      coefficients: tensor([[1, 0.5, -0.5, -1]], { dtype: 'float64' }),
      order: tensor([[0, 1, 2, 3]], { dtype: 'int64' }),
    };
    const loss = PREFERENCE_LOSSES.sigmoid(s, judgement).sum();
    expect(loss.item()).toBeCloseTo(Math.LN2, 6);
    const [gradient] = grad([loss], [z]);
    close([...(gradient?.toFloat32Array() ?? [])], [-3.75, -0.416667, 0, 1.666667]);
  });
});

describe('the anchor to the reference', () => {
  it('is binary cross-entropy to its probabilities: their entropy, and the distance from them', () => {
    const fine = p.map((x) => Math.log(x / (1 - x)));
    const anchor = (logits: readonly number[]) =>
      tidy(() =>
        nn.F.bceWithLogits(
          fromTypedArray(Float64Array.from(logits), [8]),
          fromTypedArray(Float64Array.from(fine), [8]).sigmoid(),
        ).item(),
      );
    expect(anchor(fine)).toBeCloseTo(0.542348, 6);
    expect(anchor(fine.map((z, i) => z + (dz[i] as number)))).toBeCloseTo(0.551618, 6);
  });
});
