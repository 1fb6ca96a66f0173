import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { erfc } from '../../src/evaluation/normal.ts';
import {
  betterWorse,
  bootstrapDifference,
  bootstrapMean,
  differences,
  drawResamples,
  holm,
  mean,
  median,
  membersOf,
  pairedPermutation,
  percentileInterval,
  quantile,
  replicate,
  standardDeviation,
  weightedMean,
  wilcoxonSignedRank,
} from '../../src/evaluation/statistics.ts';
import { Random } from '../../src/util/random.ts';

// Reference values marked [scipy] were computed with scipy 1.17.1 and numpy 2.4.6.

/** Height differences of Darwin's 15 pairs of maize plants, eighths of an inch (Fisher, The Design of Experiments, 1935). */
const MAIZE = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48];
const EIGHT = [3, 1, 4, 1, 5, 9, 2, 6];

describe('location and spread', () => {
  it('by hand', () => {
    expect(mean([1, 2, 6])).toBe(3);
    expect(standardDeviation([1, 2, 6])).toBeCloseTo(Math.sqrt((4 + 1 + 9) / 2), 14);
    expect(median([5, 1, 3])).toBe(3);
    expect(median([5, 1, 3, 2])).toBe(2.5);
  });

  it('as numpy [scipy]', () => {
    expect(quantile(EIGHT, 0.25)).toBe(1.75);
    expect(quantile(EIGHT, 0.9)).toBeCloseTo(6.9, 12);
    expect([0, 1].map((share) => quantile(EIGHT, share))).toEqual([1, 9]);
    expect(standardDeviation(EIGHT)).toBeCloseTo(2.748376143938713, 14);
  });

  it('of too few values are NaN', () => {
    expect([mean([]), median([]), standardDeviation([4])]).toEqual([Number.NaN, Number.NaN, Number.NaN]);
  });

  it('a quantile outside of 0..1 is refused', () => {
    expect(() => quantile(EIGHT, 95)).toThrow(/share = 95; allowed: 0 to 1/);
  });
});

describe('bootstrap', () => {
  const random = () => new Random(7);

  it('of a constant is the constant, of one group nothing', () => {
    expect(bootstrapMean([2, 2, 2], { random: random() })).toEqual([2, 2]);
    expect(bootstrapMean([2], { random: random() })).toBeUndefined();
    expect(bootstrapMean([1, 2, 3], { random: random(), groups: ['a', 'a', 'a'] })).toBeUndefined();
  });

  it('of two values has three means, in the shares 1 : 2 : 1', () => {
    const resamples = drawResamples(2, { random: random(), resamples: 4000 });
    const data = Float64Array.of(0, 1);
    const means = replicate(resamples, (weights) => weightedMean(data, weights));
    const share = (value: number) => means.filter((m) => m === value).length / 4000;
    expect(share(0) + share(0.5) + share(1)).toBe(1);
    expect(share(0.5)).toBeCloseTo(0.5, 1);
    expect(percentileInterval(means)).toEqual([0, 1]);
    expect(percentileInterval(Float64Array.of(Number.NaN))).toBeUndefined();
  });

  it('of normal values is about mean +- 1.96 sd / sqrt n', () => {
    const draw = new Random('sample');
    const values = Array.from({ length: 400 }, () => draw.normal());
    const [low, high] = bootstrapMean(values, { random: random() })!;
    const half = (1.96 * standardDeviation(values)) / 20;
    expect(low).toBeCloseTo(mean(values) - half, 1.5);
    expect(high).toBeCloseTo(mean(values) + half, 1.5);
  });

  it('covers the truth in about 95 of 100 samples', () => {
    let covered = 0;
    for (let sample = 0; sample < 200; sample++) {
      const draw = new Random(`coverage ${sample}`);
      const values = Array.from({ length: 40 }, () => draw.normal());
      const [low, high] = bootstrapMean(values, { random: draw, resamples: 300 })!;
      if (low <= 0 && 0 <= high) covered++;
    }
    expect(covered / 200).toBeGreaterThan(0.88);
    expect(covered / 200).toBeLessThan(0.99);
  });

  it('draws groups whole: images of one patient widen the interval', () => {
    const values = Array.from({ length: 60 }, (_, i) => Math.floor(i / 10)); // six patients, ten equal images each
    const groups = values.map((patient) => `p${patient}`);
    const [low, high] = bootstrapMean(values, { random: random() })!;
    const [groupLow, groupHigh] = bootstrapMean(values, { random: random(), groups })!;
    expect(groupHigh - groupLow).toBeGreaterThan(2 * (high - low));
    const resamples = drawResamples(60, { random: random(), groups, resamples: 50 });
    for (let i = 0; i < resamples.weights.length; i++) {
      const first = i - ((i % 60) % 10);
      expect(resamples.weights[i]).toBe(resamples.weights[first]);
    }
  });

  it('of differences is paired: a constant gain has no spread', () => {
    const before = [0.1, 0.9, 0.4, 0.6];
    const after = before.map((x) => x + 0.25);
    const [low, high] = bootstrapDifference(before, after, { random: random() })!;
    expect(low).toBeCloseTo(0.25, 12);
    expect(high).toBeCloseTo(0.25, 12);
    expect(() => differences([1], [1, 2])).toThrow(/1 and 2 values/);
  });

  it('is the same for the same seed, and leaves NaN out', () => {
    const options = () => ({ random: random(), resamples: 500 });
    expect(bootstrapMean(EIGHT, options())).toEqual(bootstrapMean(EIGHT, options()));
    const [low, high] = bootstrapMean([Number.NaN, 1, 1, 1, 1, 1], options())!;
    expect([low, high]).toEqual([1, 1]);
  });

  it('groups are listed in order of first appearance', () => {
    expect(membersOf(['b', 'a', 'b'])).toEqual([[0, 2], [1]]);
    expect(() => drawResamples(3, { random: random(), groups: ['a'] })).toThrow(/1 groups for 3 cases/);
  });
});

describe('Wilcoxon signed-rank test', () => {
  it('by hand: three gains, p = 2 / 8', () => {
    expect(wilcoxonSignedRank([1, 2, 3])).toEqual({ positiveRanks: 6, n: 3, p: 0.25, method: 'exact' });
    expect(wilcoxonSignedRank([-1, 2, 3]).p).toBe(0.5); // W = 1: patterns 0 and 1 of 8, twice
  });

  it('Hamilton depression scores of nine patients (Hollander and Wolfe 1973): p = 0.03906', () => {
    const before = [1.83, 0.5, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.3];
    const after = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29];
    const result = wilcoxonSignedRank(differences(before, after));
    expect(result.positiveRanks).toBe(5);
    expect(result.p).toBe(0.0390625);
  });

  it.each([
    [6, 0],
    [10, 8],
    [15, 25],
    [20, 52],
    [25, 89],
  ])('published critical value at 5 %%, n = %i: %i', (n, critical) => {
    const withRankSum = (sum: number) => {
      let rest = sum;
      const signs = Array.from({ length: n }, () => -1);
      for (let rank = n; rank >= 1; rank--) {
        if (rank > rest) continue;
        signs[rank - 1] = 1;
        rest -= rank;
      }
      return signs.map((sign, i) => sign * (i + 1));
    };
    expect(wilcoxonSignedRank(withRankSum(critical)).p).toBeLessThanOrEqual(0.05);
    expect(wilcoxonSignedRank(withRankSum(critical + 1)).p).toBeGreaterThan(0.05);
  });

  it('exact, n = 15 and 40 [scipy]', () => {
    expect(wilcoxonSignedRank(MAIZE).p).toBeCloseTo(0.041259765625, 14);
    const forty = Array.from({ length: 40 }, (_, i) => (((i + 1) * 29) % 97) * ((i + 1) % 3 === 0 ? -1 : 1));
    expect(wilcoxonSignedRank(forty)).toMatchObject({ n: 40, method: 'exact' });
    expect(wilcoxonSignedRank(forty).p).toBeCloseTo(0.12810258085846726, 12);
  });

  it('drops zeros [scipy]', () => {
    expect(wilcoxonSignedRank([0, 0, 3, -1, 2, 5, 4, -6, 7, 0])).toMatchObject({ n: 7, p: 0.296875 });
    expect(wilcoxonSignedRank([0, 0]).p).toBeNaN();
  });

  it('ties share ranks, and the distribution is counted given the ties (all 1024 patterns)', () => {
    const result = wilcoxonSignedRank([1, 1, -1, 2, 2, -3, 4, 4, 4, 5]);
    expect(result.positiveRanks).toBe(47);
    expect(result.p).toBe(0.044921875);
  });

  it('normal approximation with ties and continuity correction [scipy]', () => {
    const sixty = Array.from({ length: 60 }, (_, i) => ((i * 53) % 127) - 50);
    expect(wilcoxonSignedRank(sixty).method).toBe('normal');
    expect(wilcoxonSignedRank(sixty).p).toBeCloseTo(0.03822258879974336, 12);
    const thirty = Array.from({ length: 30 }, (_, k) => (((7 * k) % 31) - 12) / 10);
    expect(wilcoxonSignedRank(thirty, 'normal').p).toBeCloseTo(0.1442803225853882, 12);
  });

  it('exact and normal agree at n = 50; exact is refused beyond', () => {
    const fifty = Array.from({ length: 50 }, (_, i) => (i + 1) * (i % 3 === 0 ? -1 : 1));
    const exact = wilcoxonSignedRank(fifty).p;
    expect(wilcoxonSignedRank(fifty, 'normal').p).toBeCloseTo(exact, 2.5);
    expect(() => wilcoxonSignedRank([...fifty, 51], 'exact')).toThrow(/n = 51; allowed: at most 50/);
  });

  it('does not depend on order, scale or sign of all differences', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: -20, max: 20 }), { minLength: 1, maxLength: 30 }), (ds) => {
        const { p } = wilcoxonSignedRank(ds);
        expect(wilcoxonSignedRank(ds.toReversed()).p).toBe(p);
        expect(wilcoxonSignedRank(ds.map((d) => -4 * d)).p).toBe(p);
        if (ds.some((d) => d !== 0)) expect(p > 0 && p <= 1).toBe(true);
      }),
    );
  });
});

describe('paired permutation test', () => {
  const random = () => new Random(3);

  it('by hand: the observed pattern and its mirror of four', () => {
    expect(pairedPermutation([1, 2], { random: random() })).toBe(0.5);
    expect(pairedPermutation([1, -1], { random: random() })).toBe(1);
    expect(pairedPermutation([], { random: random() })).toBeNaN();
  });

  it("Darwin's maize: 1726 of 32768 patterns, as Fisher counted", () => {
    expect(pairedPermutation(MAIZE, { random: random() })).toBe(1726 / 32768);
  });

  it('random patterns come near the exact value and never reach 0', () => {
    const twice = [...MAIZE, ...MAIZE.slice(0, 3)]; // 18: beyond the exact range
    const p = pairedPermutation(twice, { random: random(), permutations: 20_000 });
    let extreme = 0;
    const observed = Math.abs(twice.reduce((sum, d) => sum + d, 0));
    for (let pattern = 0; pattern < 2 ** 18; pattern++) {
      const sum = twice.reduce((total, d, i) => total + ((pattern >> i) & 1 ? -d : d), 0);
      if (Math.abs(sum) >= observed) extreme++;
    }
    expect(p).toBeCloseTo(extreme / 2 ** 18, 2);
    const sure = Array.from({ length: 200 }, (_, i) => 1 + i / 1000);
    expect(pairedPermutation(sure, { random: random(), permutations: 999 })).toBe(1 / 1000);
  });

  it('p is uniform where nothing differs', () => {
    const draw = new Random('null');
    const ps = Array.from({ length: 300 }, () =>
      pairedPermutation(
        Array.from({ length: 10 }, () => draw.normal()),
        { random: draw },
      ),
    );
    expect(ps.filter((p) => p <= 0.05).length / 300).toBeLessThan(0.09);
    expect(mean(ps)).toBeCloseTo(0.5, 1);
  });
});

describe('shares of better and worse', () => {
  it('count changes beyond epsilon only', () => {
    const changes = [0.01, 0.001, -0.001, -0.2, 0];
    expect(betterWorse(changes, 0.001)).toEqual({ better: 0.2, worse: 0.2 });
    expect(betterWorse(changes, 0)).toEqual({ better: 0.4, worse: 0.4 });
  });

  it('change places for distances', () => {
    expect(betterWorse([-3, -2, 1], 0.5, false)).toEqual({ better: 2 / 3, worse: 1 / 3 });
  });
});

describe('Holm correction', () => {
  it('by hand', () => {
    // Sorted .01 .02 .03 .04: times 4 3 2 1 = .04 .06 .06 .04, then never below the one before.
    const corrected = holm([0.03, 0.01, 0.04, 0.02]);
    [0.06, 0.04, 0.06, 0.06].forEach((p, i) => {
      expect(corrected[i]).toBeCloseTo(p, 12);
    });
  });

  it('never exceeds 1, passes a single test through, leaves missing ones out of the count', () => {
    expect(holm([0.6, 0.9])).toEqual([1, 1]);
    expect(holm([0.03])).toEqual([0.03]);
    expect(holm([Number.NaN, 0.02, Number.NaN, 0.04])).toEqual([Number.NaN, 0.04, Number.NaN, 0.04]);
  });
});

describe('complementary error function [scipy]', () => {
  it.each([
    [0, 1],
    [0.1, 0.8875370839817152],
    [1, 0.15729920705028516],
    [1.9, 0.007209570764742531],
    [2, 0.004677734981047266],
    [2.5, 0.00040695201744495886],
    [5, 1.5374597944280347e-12],
    [10, 2.0884875837625446e-45],
    [26, 5.663192408856145e-296],
  ])('erfc(%f)', (x, expected) => {
    expect(Math.abs(erfc(x) / expected - 1)).toBeLessThan(1e-12);
    expect(erfc(-x)).toBeCloseTo(2 - expected, 14);
  });
});
