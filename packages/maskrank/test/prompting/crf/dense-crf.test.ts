// The mean field beside one written out label by label, and what a CRF must do whatever its numbers.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bilateralFeatures,
  type Compatibility,
  CRF_PRESETS,
  type DenseCrfOptions,
  denseCrf,
  ExactFilter,
  gaussianFeatures,
  Kernel,
  MeanField,
  type Unary,
  unaryFromLabels,
  unaryFromProbabilities,
  unaryFromSaliency,
} from '../../../src/prompting/crf/index.ts';
import { leadsOfOdds } from '../../../src/prompting/crf/leads.ts';
import { discImage, kernelMatrix, plainMeanField, randomUnary } from './toy.ts';

const largestDifference = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let largest = 0;
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs(a[i]! - b[i]!));
  return largest;
};

const potts = (labels: number, w: number): number[][] =>
  Array.from({ length: labels }, (_, l) => Array.from({ length: labels }, (_, m) => (l === m ? -w : 0)));

describe('mean field', () => {
  const side = 7;
  const image = discImage(side);
  const [gaussian, bilateral] = [gaussianFeatures(image, 1.5), bilateralFeatures(image, 4, 30)];
  const kernels = [gaussian, bilateral].map((f) => new Kernel(new ExactFilter(f), 'none'));
  const matrices = [kernelMatrix(gaussian.data, 2), kernelMatrix(bilateral.data, 5)];

  const table = [
    [-1, 0.5, 0.2],
    [0.1, -0.4, 0],
    [0.3, 0.6, -0.8],
  ];
  const symmetric = table.map((row, l) => row.map((v, m) => (v + table[m]![l]!) / 2));
  const cases: [string, number, Compatibility, number[][]][] = [
    ['Potts, 2 labels', 2, 0.3, potts(2, 0.3)],
    ['Potts, 4 labels', 4, 0.3, potts(4, 0.3)],
    [
      'a diagonal',
      3,
      [0.2, -0.3, 0],
      [
        [0.2, 0, 0],
        [0, -0.3, 0],
        [0, 0, 0],
      ],
    ],
    ['a matrix', 3, table, symmetric],
  ];
  it.each(cases)('filters one label less and still does them all: %s', (_, labels, compatibility, mu) => {
    const unary = randomUnary(side, side, labels, 'unary');
    const field = new MeanField(
      unary,
      kernels.map((kernel) => ({ kernel, compatibility })),
    );
    for (let step = 0; step < 3; step++) field.step();
    const expected = plainMeanField(
      unary,
      matrices.map((k) => ({ k, mu })),
      3,
    ).flat();
    expect(largestDifference(field.probabilities(), expected)).toBeLessThan(2e-5);
  });

  it('starts at the unary alone; without kernels it stays there', () => {
    const unary = randomUnary(3, 2, 3, 'alone');
    const field = new MeanField(unary, []);
    const start = field.probabilities();
    expect(largestDifference(start, plainMeanField(unary, [], 0).flat())).toBeLessThan(1e-6);
    field.step();
    expect(field.probabilities()).toEqual(start);
  });

  it('knows no order of labels', () => {
    const labels = 4;
    const unary = randomUnary(side, side, labels, 'order');
    const turned: Unary = { ...unary, energies: new Float32Array(unary.energies.length) };
    const points = side * side;
    for (let l = 0; l < labels; l++) {
      turned.energies.set(unary.energies.subarray(l * points, (l + 1) * points), ((l + 1) % labels) * points);
    }
    const [a, b] = [unary, turned].map((u) => {
      const field = new MeanField(u, [{ kernel: kernels[1]!, compatibility: 0.5 }]);
      for (let step = 0; step < 4; step++) field.step();
      return field.probabilities();
    });
    for (let l = 0; l < labels; l++) {
      const to = (l + 1) % labels;
      expect(
        largestDifference(
          a!.subarray(l * points, (l + 1) * points),
          b!.subarray(to * points, (to + 1) * points),
        ),
      ).toBeLessThan(1e-5);
    }
  });

  it('lowers the divergence where messages are weak', () => {
    const unary = randomUnary(side, side, 3, 'divergence');
    const field = new MeanField(
      unary,
      kernels.map((kernel) => ({ kernel, compatibility: 0.02 })),
    );
    const values = Array.from({ length: 4 }, () => {
      const value = field.divergence();
      field.step();
      return value;
    });
    expect(values[1]).toBeLessThan(values[0]!);
    expect(values[3]).toBeLessThanOrEqual(values[1]! + 1e-4);
  });

  it('says what does not fit', () => {
    const unary = randomUnary(3, 3, 2, 'fit');
    expect(() => new MeanField(unary, [{ kernel: kernels[0]!, compatibility: 1 }])).toThrow(
      /49 pixels beside.*3 x 3/,
    );
    const small = new Kernel(new ExactFilter(gaussianFeatures({ width: 3, height: 3 }, 1)));
    const wrong = (compatibility: Compatibility) => () =>
      new MeanField(unary, [{ kernel: small, compatibility }]);
    expect(wrong([1, 2, 3])).toThrow(/\[1,2,3\] with 2 labels/);
    expect(wrong([[1, 2], [3]])).toThrow(/2 rows of 2/);
    expect(wrong(Number.NaN)).toThrow(/finite/);
    expect(() => new MeanField({ ...unary, labels: 1 }, [])).toThrow(/1 labels/);
    expect(() => new MeanField({ ...unary, labels: 3 }, [])).toThrow(/18 unary energies/);
    expect(() => new MeanField({ ...unary, energies: new Float32Array(18).fill(Infinity) }, [])).toThrow(
      /Infinity/,
    );
  });
});

describe('leads', () => {
  it('of two labels are the difference of their probabilities to float32, at any odds', () => {
    const odds = Float32Array.from({ length: 20001 }, (_, i) => (i - 10000) / 100);
    const leads = new Float32Array(odds.length);
    leadsOfOdds(leads, odds, 1);
    for (const [i, x] of odds.entries()) expect(Math.abs(leads[i]! - Math.tanh(x / 2))).toBeLessThan(1e-7);
    leadsOfOdds(leads, Float32Array.of(Infinity, -Infinity, 0), 1);
    expect([...leads.subarray(0, 3)]).toEqual([1, -1, 0]);
  });

  it('of more labels do not overflow', () => {
    const leads = new Float32Array(4);
    leadsOfOdds(leads, Float32Array.of(500, 0, -500, -600), 2);
    expect(largestDifference(leads, [1, 0, -1, -1])).toBe(0);
  });
});

describe('denseCrf', () => {
  const side = 24;
  const image = discImage(side);
  const noisy: Unary = (() => {
    const unary = randomUnary(side, side, 2, 'noisy');
    const points = side * side;
    for (let i = 0; i < points; i++) unary.energies[image.data[3 * i]! > 115 ? i : points + i]! += 0.7;
    return unary;
  })();

  it('with weight zero or no steps gives the most probable labels of the unary', () => {
    const none: DenseCrfOptions = {
      iterations: 3,
      terms: [{ kind: 'bilateral', sigmaPx: 20, sigmaColour: 10, compatibility: 0 }],
    };
    const expected = Array.from({ length: side * side }, (_, i) =>
      Number(noisy.energies[side * side + i]! < noisy.energies[i]!),
    );
    expect([...denseCrf(image, noisy, none).labels.data]).toEqual(expected);
    const unmoved = denseCrf(image, noisy, { ...CRF_PRESETS.pydensecrf, iterations: 0 });
    expect([...unmoved.labels.data]).toEqual(expected);
  });

  it('finds the disc in noise, and the lattice agrees with the exact filter on 98 % of the pixels', () => {
    const options = { ...CRF_PRESETS.pydensecrf, iterations: 5 };
    const lattice = denseCrf(image, noisy, options).labels.data;
    const exact = denseCrf(image, noisy, { ...options, filter: 'exact' }).labels.data;
    const same = lattice.filter((l, i) => l === exact[i]).length / lattice.length;
    expect(same).toBeGreaterThan(0.98);
    const right = lattice.filter((l, i) => l === Number(image.data[3 * i]! > 115)).length / lattice.length;
    expect(right).toBeGreaterThan(0.98);
  });

  it('gives probabilities, for grey images and any number of labels', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 2, max: 5 }),
        fc.string(),
        (width, height, labels, seed) => {
          const unary = randomUnary(width, height, labels, seed);
          const data = Uint16Array.from({ length: width * height }, (_, i) => (i * 7919) % 4096);
          const { probabilities, labels: map } = denseCrf({ width, height, channels: 1, data }, unary, {
            iterations: 2,
            terms: [
              { kind: 'gaussian', sigmaPx: [2, 3], compatibility: 1 },
              { kind: 'bilateral', sigmaPx: 5, sigmaColour: 300, compatibility: 2, normalisation: 'after' },
            ],
          });
          const points = width * height;
          for (let i = 0; i < points; i++) {
            let sum = 0;
            for (let l = 0; l < labels; l++) {
              const p = probabilities[l * points + i]!;
              expect(p).toBeGreaterThanOrEqual(0);
              expect(p).toBeLessThanOrEqual(probabilities[map.data[i]! * points + i]!);
              sum += p;
            }
            expect(sum).toBeCloseTo(1, 5);
          }
        },
      ),
      { numRuns: 30 },
    );
  });

  it('treats three equal channels as one with the deviation over sqrt(3)', () => {
    const grey = discImage(16, 1);
    const rgb = {
      ...grey,
      channels: 3 as const,
      data: Uint8Array.from({ length: 768 }, (_, i) => grey.data[Math.floor(i / 3)]!),
    };
    const unary = randomUnary(16, 16, 2, 'grey');
    const run = (img: typeof grey, sigmaColour: number): Float32Array =>
      denseCrf(img, unary, {
        iterations: 2,
        filter: 'exact',
        terms: [{ kind: 'bilateral', sigmaPx: 8, sigmaColour, compatibility: 3 }],
      }).probabilities;
    expect(largestDifference(run(rgb, 12), run(grey, 12 / Math.sqrt(3)))).toBeLessThan(1e-5);
  });

  it('says what does not fit', () => {
    expect(() => denseCrf(discImage(5), noisy, CRF_PRESETS['medclip-sam'])).toThrow(/5 x 5.*24 x 24/);
    expect(() => denseCrf(image, noisy, { terms: [], iterations: 1.5 })).toThrow(/iterations = 1.5/);
  });
});

describe('unary energies', () => {
  const map = { width: 4, height: 1, data: Float32Array.of(0, 0.25, 0.5, 1) };
  const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

  it('of saliency, as MedCLIP-SAM writes them', () => {
    const { energies, labels } = unaryFromSaliency(map);
    expect(labels).toBe(2);
    for (const [i, s] of map.data.entries()) {
      expect(energies[i]).toBeCloseTo(-Math.log(1 - s + 1e-8) / (1.05 * sigmoid(1 - s)), 4);
      expect(energies[4 + i]).toBeCloseTo(-Math.log(s + 1e-8) / (1.05 * sigmoid(s)), 4);
    }
    const gentle = unaryFromSaliency(map, { form: 'medclip-sam', tau: 2.1, epsilon: 1e-8 }).energies;
    expect(
      largestDifference(
        gentle,
        energies.map((e) => e / 2),
      ),
    ).toBeLessThan(1e-5);
  });

  it('of saliency as probabilities, which is what probabilities give', () => {
    const { energies } = unaryFromSaliency(map, { form: 'log' });
    expect(energies[0]).toBeCloseTo(0, 6);
    expect(energies[4]).toBeCloseTo(-Math.log(1e-5), 4);
    expect(energies[6]).toBeCloseTo(Math.LN2, 6);
    const both = Float32Array.of(...map.data.map((s) => 1 - s), ...map.data);
    expect(largestDifference(unaryFromProbabilities(both, 2, map).energies, energies)).toBeLessThan(1e-6);
    const half = unaryFromProbabilities(both, 2, map, { trust: 0.5 }).energies;
    expect(half[4]).toBeCloseTo(-Math.log(0.25), 5);
    expect(half[7]).toBeCloseTo(-Math.log(0.75), 5);
  });

  it('of labels', () => {
    const labels = { width: 3, height: 1, data: Uint8Array.of(0, 2, 255) };
    const { energies } = unaryFromLabels(labels, 3, { certainty: 0.8, unsure: 255 });
    const [sure, other, any] = [-Math.log(0.8), -Math.log(0.1), Math.log(3)];
    expect(largestDifference(energies, [sure, other, any, other, other, any, other, sure, any])).toBeLessThan(
      1e-6,
    );
  });

  it('say what is wrong', () => {
    const bad = { width: 2, height: 1, data: Float32Array.of(0.5, 1.5) };
    expect(() => unaryFromSaliency(bad)).toThrow(/value 1 is 1.5; allowed: 2 \* 1 values in 0\.\.1/);
    expect(() => unaryFromSaliency({ ...bad, width: 3 })).toThrow(/1.5/);
    expect(() => unaryFromSaliency(map, { form: 'medclip-sam', tau: 0 })).toThrow(/tau = 0/);
    expect(() =>
      unaryFromLabels({ width: 1, height: 1, data: Uint8Array.of(3) }, 3, { certainty: 0.5 }),
    ).toThrow(/\(0, 0\) has label 3; allowed: 0\.\.2/);
    expect(() =>
      unaryFromLabels({ width: 1, height: 1, data: Uint8Array.of(0) }, 2, { certainty: 1 }),
    ).toThrow(/certainty = 1/);
    expect(() =>
      unaryFromProbabilities(new Float32Array(2), 2, { width: 1, height: 1 }, { trust: 0 }),
    ).toThrow(/trust = 0/);
  });
});
