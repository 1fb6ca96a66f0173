// Statistics of an evaluation: location and spread, bootstrap intervals, paired tests, correction for many tests.
// Two-sided throughout. Every random draw comes from a `Random` that the caller passes in.
// Not here: which numbers are compared with which (summarise.ts), parametric tests.

import { UsageError } from '@maskrank/torch/errors';
import type { Random } from '../util/random.ts';
import { erfc } from './normal.ts';

/** Lower and upper end. */
export type Interval = readonly [number, number];

/** NaN for an empty list. */
export function mean(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  return sum / values.length;
}

/** Sample standard deviation (n - 1); NaN below two values. */
export function standardDeviation(values: ArrayLike<number>): number {
  const centre = mean(values);
  let squares = 0;
  for (let i = 0; i < values.length; i++) squares += (values[i]! - centre) ** 2;
  return Math.sqrt(squares / (values.length - 1));
}

/** Quantile by linear interpolation between order statistics (type 7, numpy's default); NaN for an empty list. */
export function quantile(values: ArrayLike<number>, share: number): number {
  return sortedQuantile(Float64Array.from(values).sort(), share);
}

export const median = (values: ArrayLike<number>): number => quantile(values, 0.5);

function sortedQuantile(sorted: Float64Array, share: number): number {
  if (!(share >= 0 && share <= 1)) throw new UsageError(`quantile: share = ${share}; allowed: 0 to 1.`);
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  const low = sorted[below] ?? Number.NaN;
  const high = sorted[Math.min(below + 1, sorted.length - 1)] ?? Number.NaN;
  return low + (place - below) * (high - low);
}

/** Draws with replacement, prepared once and shared by every statistic of the same cases, so that they stay paired. */
export type Resamples = {
  /** Number of resamples. */
  readonly count: number;
  readonly cases: number;
  /** Independent groups; below two there is nothing to draw from. */
  readonly groups: number;
  /** How often each case was drawn: [count, cases]. */
  readonly weights: Uint16Array;
};

export type BootstrapOptions = {
  readonly random: Random;
  /** Number of resamples. Default 2000. */
  readonly resamples?: number;
  /** Group of each case: groups are drawn whole, since images of one patient are not independent. Default: each its own. */
  readonly groups?: readonly unknown[];
};

/** Draws as many groups as there are, with replacement, `resamples` times. */
export function drawResamples(cases: number, options: BootstrapOptions): Resamples {
  const { random, resamples = 2000, groups } = options;
  if (groups !== undefined && groups.length !== cases) {
    throw new UsageError(`bootstrap: ${groups.length} groups for ${cases} cases; allowed: one group a case.`);
  }
  const members = membersOf(groups ?? Array.from({ length: cases }, (_, i) => i));
  const weights = new Uint16Array(resamples * cases);
  for (let r = 0; r < resamples; r++) {
    for (let draw = 0; draw < members.length; draw++) {
      for (const i of members[random.int(0, members.length)]!) weights[r * cases + i]!++;
    }
  }
  return { count: resamples, cases, groups: members.length, weights };
}

/** Indices of the cases of each group, in order of first appearance. */
export function membersOf(groups: readonly unknown[]): number[][] {
  const members = new Map<unknown, number[]>();
  groups.forEach((group, i) => {
    const known = members.get(group);
    if (known === undefined) members.set(group, [i]);
    else known.push(i);
  });
  return [...members.values()];
}

/** A statistic of every resample, from its weights (one a case). */
export function replicate(resamples: Resamples, statistic: (weights: Uint16Array) => number): Float64Array {
  const { cases, weights } = resamples;
  return Float64Array.from({ length: resamples.count }, (_, r) =>
    statistic(weights.subarray(r * cases, (r + 1) * cases)),
  );
}

/**
 * Percentile interval of replicates; NaN (a statistic that a resample does not have) is left out.
 *
 * @param level default 0.95
 * @returns undefined when nothing is left
 */
export function percentileInterval(replicates: Float64Array, level = 0.95): Interval | undefined {
  const sorted = replicates.filter((value) => !Number.isNaN(value)).sort();
  if (sorted.length === 0) return undefined;
  return [sortedQuantile(sorted, (1 - level) / 2), sortedQuantile(sorted, (1 + level) / 2)];
}

/** Mean under resampling weights; cases whose value is NaN take no part. */
export function weightedMean(values: Float64Array, weights: Uint16Array): number {
  let [sum, total] = [0, 0];
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (Number.isNaN(value)) continue;
    sum += weights[i]! * value;
    total += weights[i]!;
  }
  return sum / total;
}

/** 95 % interval of the mean; undefined below two groups. */
export function bootstrapMean(values: ArrayLike<number>, options: BootstrapOptions): Interval | undefined {
  const data = Float64Array.from(values);
  const resamples = drawResamples(data.length, options);
  if (resamples.groups < 2) return undefined;
  return percentileInterval(replicate(resamples, (weights) => weightedMean(data, weights)));
}

/** 95 % interval of the mean of `b - a`, drawing pairs. */
export function bootstrapDifference(
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  options: BootstrapOptions,
): Interval | undefined {
  return bootstrapMean(differences(a, b), options);
}

/** `b - a`, pair by pair. */
export function differences(a: ArrayLike<number>, b: ArrayLike<number>): Float64Array {
  if (a.length !== b.length) {
    throw new UsageError(
      `paired differences: ${a.length} and ${b.length} values; allowed: equally many, paired.`,
    );
  }
  return Float64Array.from(a, (x, i) => b[i]! - x);
}

export type WilcoxonResult = {
  /** Sum of the ranks of the positive differences. */
  readonly positiveRanks: number;
  /** Differences that are not zero; zeros are dropped (Wilcoxon's own rule). */
  readonly n: number;
  /** NaN when n is 0. */
  readonly p: number;
  readonly method: 'exact' | 'normal';
};

/** Up to here all sign patterns are counted; every count is below 2^53. */
const WILCOXON_EXACT_MAX = 50;

/**
 * Wilcoxon's signed-rank test (1945), two-sided. Ties get mean ranks. Up to 50 non-zero differences the distribution is
 * exact, given the ties; beyond, normal with the variance corrected for ties and with continuity correction.
 */
export function wilcoxonSignedRank(
  values: ArrayLike<number>,
  method: 'auto' | 'exact' | 'normal' = 'auto',
): WilcoxonResult {
  const nonZero = Array.from(values).filter((d) => d !== 0);
  const n = nonZero.length;
  const chosen = method === 'auto' ? (n <= WILCOXON_EXACT_MAX ? 'exact' : 'normal') : method;
  if (chosen === 'exact' && n > WILCOXON_EXACT_MAX) {
    throw new UsageError(
      `wilcoxonSignedRank: exact with n = ${n}; allowed: at most ${WILCOXON_EXACT_MAX}. Use "normal".`,
    );
  }
  const ranks = meanRanks(nonZero.map(Math.abs));
  const positiveRanks = ranks.reduce((sum, rank, i) => sum + (nonZero[i]! > 0 ? rank : 0), 0);
  if (n === 0) return { positiveRanks, n, p: Number.NaN, method: chosen };
  const p =
    chosen === 'exact' ? exactSignedRank(ranks, positiveRanks) : normalSignedRank(ranks, positiveRanks);
  return { positiveRanks, n, p, method: chosen };
}

/** Ranks from 1, equal values share their mean rank. */
function meanRanks(values: readonly number[]): number[] {
  const order = values.map((_, i) => i).sort((i, j) => values[i]! - values[j]!);
  const ranks = new Array<number>(values.length).fill(0);
  for (let start = 0; start < order.length; ) {
    let end = start;
    while (end < order.length && values[order[end]!] === values[order[start]!]) end++;
    for (let i = start; i < end; i++) ranks[order[i]!] = (start + 1 + end) / 2;
    start = end;
  }
  return ranks;
}

/** Counts, for each rank sum, the sign patterns that give it. Doubled ranks are whole numbers even with ties. */
function exactSignedRank(ranks: readonly number[], positiveRanks: number): number {
  const doubled = ranks.map((rank) => Math.round(2 * rank));
  const total = doubled.reduce((sum, rank) => sum + rank, 0);
  const patterns = new Float64Array(total + 1);
  patterns[0] = 1;
  for (const rank of doubled) {
    for (let sum = total; sum >= rank; sum--) patterns[sum]! += patterns[sum - rank]!;
  }
  const observed = Math.round(2 * positiveRanks);
  const smallerTail = Math.min(observed, total - observed); // the distribution is symmetric
  let count = 0;
  for (let sum = 0; sum <= smallerTail; sum++) count += patterns[sum]!;
  return Math.min(1, (2 * count) / 2 ** ranks.length);
}

/** Sum of squared ranks / 4 is the variance, ties included. */
function normalSignedRank(ranks: readonly number[], positiveRanks: number): number {
  const centre = ranks.reduce((sum, rank) => sum + rank, 0) / 2;
  const deviation = Math.sqrt(ranks.reduce((sum, rank) => sum + rank * rank, 0) / 4);
  const distance = Math.max(0, Math.abs(positiveRanks - centre) - 0.5);
  return Math.min(1, erfc(distance / deviation / Math.SQRT2));
}

export type PermutationOptions = {
  readonly random: Random;
  /** Random sign patterns where there are too many to try all. Default 10 000. */
  readonly permutations?: number;
};

/** Differences are taken eight at a time: the sums of their 256 sign patterns are looked up, not added up. */
const BLOCK = 8;
/** Up to here all 2^n sign patterns are tried. */
const PERMUTATION_EXACT_MAX = 2 * BLOCK;

/**
 * Paired permutation test of mean difference 0: the share of sign patterns whose mean is at least as far from 0 as the
 * observed one. Random patterns count the observed one among them, so p is never 0. NaN for an empty list.
 */
export function pairedPermutation(values: ArrayLike<number>, options: PermutationOptions): number {
  const { random, permutations = 10_000 } = options;
  const data = Array.from(values);
  if (data.length === 0) return Number.NaN;
  const observed = Math.abs(data.reduce((sum, d) => sum + d, 0));
  const scale = data.reduce((sum, d) => sum + Math.abs(d), 0);
  const threshold = observed - 1e-12 * scale; // equal but for rounding counts as equal
  const blocks = signedSums(data);
  let extreme = 0;
  if (data.length <= PERMUTATION_EXACT_MAX) {
    const [first, second = Float64Array.of(0)] = blocks;
    for (const a of first!) for (const b of second) if (Math.abs(a + b) >= threshold) extreme++;
    return extreme / 2 ** data.length;
  }
  for (let k = 0; k < permutations; k++) {
    let [sum, bits] = [0, 0];
    for (let i = 0; i < blocks.length; i++) {
      bits = i % 4 === 0 ? random.uint32() : bits >>> BLOCK;
      const block = blocks[i]!;
      sum += block[bits & (block.length - 1)]!;
    }
    if (Math.abs(sum) >= threshold) extreme++;
  }
  return (extreme + 1) / (permutations + 1);
}

/** For each block of differences, the sums of all its sign patterns. */
function signedSums(data: readonly number[]): Float64Array[] {
  return Array.from({ length: Math.ceil(data.length / BLOCK) }, (_, block) => {
    const differences = data.slice(block * BLOCK, (block + 1) * BLOCK);
    const sums = new Float64Array(2 ** differences.length);
    differences.forEach((d, i) => {
      for (let pattern = 2 ** i - 1; pattern >= 0; pattern--) {
        sums[pattern + 2 ** i] = sums[pattern]! - d;
        sums[pattern]! += d;
      }
    });
    return sums;
  });
}

/** Shares of the differences above `epsilon` and below `-epsilon`; NaN for an empty list. */
export function betterWorse(
  values: ArrayLike<number>,
  epsilon: number,
  higherIsBetter = true,
): { readonly better: number; readonly worse: number } {
  const list = Array.from(values);
  const up = list.filter((d) => d > epsilon).length / list.length;
  const down = list.filter((d) => d < -epsilon).length / list.length;
  return higherIsBetter ? { better: up, worse: down } : { better: down, worse: up };
}

/** Holm's step-down correction (1979) of a family of tests, in the order given. Tests without a p (NaN) do not count. */
export function holm(ps: readonly number[]): number[] {
  const order = ps.map((_, i) => i).filter((i) => !Number.isNaN(ps[i]!));
  order.sort((i, j) => ps[i]! - ps[j]!);
  const corrected = ps.slice();
  let largest = 0;
  order.forEach((i, place) => {
    largest = Math.max(largest, Math.min(1, (order.length - place) * ps[i]!));
    corrected[i] = largest;
  });
  return corrected;
}
