import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  countOverlap,
  dice,
  distanceWhereEmpty,
  EMPTIES_POLICIES,
  emptinessOf,
  iou,
  poolCounts,
  precision,
  recall,
  shareWhereEmpty,
} from '../../src/evaluation/overlap.ts';

const mask = (text: string) => Uint8Array.from(text, (c) => (c === '#' ? 1 : 0));

describe('one image', () => {
  // truth  ####......   4 pixels
  // found  ..###.....   3 pixels, 2 of them right
  const counts = countOverlap(mask('####......'), mask('..###.....'));

  it('counts pixels by agreement', () => {
    expect(counts).toEqual({ truePositive: 2, falsePositive: 1, falseNegative: 2 });
    expect(emptinessOf(counts)).toBe('neither');
  });

  it('gives the ratios of the definitions', () => {
    expect(dice(counts)).toBe(4 / 7);
    expect(iou(counts)).toBe(2 / 5);
    expect(precision(counts)).toBe(2 / 3);
    expect(recall(counts)).toBe(2 / 4);
  });

  it('takes any non-zero value for foreground', () => {
    expect(countOverlap(Uint8Array.of(255, 0, 7), Uint8Array.of(1, 3, 0))).toEqual({
      truePositive: 1,
      falsePositive: 1,
      falseNegative: 1,
    });
  });

  it('refuses masks of different sizes', () => {
    expect(() => countOverlap(new Uint8Array(4), new Uint8Array(5))).toThrow(/4 pixels, prediction 5/);
  });
});

describe('many images', () => {
  it('pooled differs from the mean: large objects dominate', () => {
    const large = countOverlap(mask('########'), mask('########'));
    const small = countOverlap(mask('#.......'), mask('.#......'));
    expect((dice(large) + dice(small)) / 2).toBe(0.5);
    expect(dice(poolCounts([large, small]))).toBe(16 / 18);
  });
});

describe('empty masks', () => {
  const both = countOverlap(mask('....'), mask('....'));
  const falseAlarm = countOverlap(mask('....'), mask('##..'));
  const missed = countOverlap(mask('##..'), mask('....'));
  const nan = Number.NaN;

  it('are told apart', () => {
    expect([both, falseAlarm, missed].map(emptinessOf)).toEqual(['both', 'truth', 'prediction']);
  });

  it.each([
    ['exclude', 'both', [nan, nan, nan, nan]],
    ['exclude', 'false alarm', [0, 0, 0, nan]],
    ['exclude', 'missed', [0, 0, nan, 0]],
    ['one', 'both', [1, 1, 1, 1]],
    ['one', 'false alarm', [0, 0, 0, 0]],
    ['one', 'missed', [0, 0, 0, 0]],
    ['zero', 'both', [0, 0, 0, 0]],
    ['zero', 'false alarm', [0, 0, 0, 0]],
    ['zero', 'missed', [0, 0, 0, 0]],
    ['zero-if-missed', 'both', [nan, nan, nan, nan]],
    ['zero-if-missed', 'false alarm', [nan, nan, nan, nan]],
    ['zero-if-missed', 'missed', [0, 0, 0, 0]],
  ] as const)('%s, %s: Dice, IoU, precision, recall', (policy, which, expected) => {
    const counts = { both, 'false alarm': falseAlarm, missed }[which];
    expect([dice, iou, precision, recall].map((metric) => metric(counts, policy))).toEqual(expected);
  });

  it('exclude is the default', () => {
    expect(dice(both)).toBeNaN();
  });

  it('count as the largest distance where one is empty', () => {
    expect(distanceWhereEmpty(3, 'neither', 'exclude', 99)).toBe(3);
    expect(distanceWhereEmpty(Infinity, 'prediction', 'exclude', 99)).toBe(99);
    expect(distanceWhereEmpty(Infinity, 'truth', 'exclude', 99)).toBe(99);
    expect(distanceWhereEmpty(Infinity, 'truth', 'zero-if-missed', 99)).toBeNaN();
    expect(distanceWhereEmpty(Infinity, 'both', 'exclude', 99)).toBeNaN();
    expect(distanceWhereEmpty(Infinity, 'both', 'one', 99)).toBe(0);
  });

  it('do not change images where neither is empty', () => {
    for (const policy of EMPTIES_POLICIES) expect(shareWhereEmpty(0.3, 'neither', policy)).toBe(0.3);
  });
});

describe('properties', () => {
  const masks = fc.integer({ min: 1, max: 60 }).chain((n) => {
    const one = fc.array(fc.nat(1), { minLength: n, maxLength: n }).map((xs) => Uint8Array.from(xs));
    return fc.tuple(one, one);
  });

  it('Dice = 2 IoU / (1 + IoU) = harmonic mean of precision and recall, symmetric', () => {
    fc.assert(
      fc.property(masks, ([a, b]) => {
        const counts = countOverlap(a, b);
        fc.pre(counts.truePositive > 0);
        expect(dice(counts)).toBeCloseTo((2 * iou(counts)) / (1 + iou(counts)), 12);
        expect(dice(counts)).toBeCloseTo(2 / (1 / precision(counts) + 1 / recall(counts)), 12);
        expect(dice(countOverlap(b, a))).toBe(dice(counts));
        expect(precision(countOverlap(b, a))).toBe(recall(counts));
      }),
    );
  });

  it('counts add up to the sizes of the masks', () => {
    fc.assert(
      fc.property(masks, ([a, b]) => {
        const { truePositive, falsePositive, falseNegative } = countOverlap(a, b);
        const size = (xs: Uint8Array) => xs.reduce((n, x) => n + x, 0);
        expect(truePositive + falseNegative).toBe(size(a));
        expect(truePositive + falsePositive).toBe(size(b));
      }),
    );
  });
});
