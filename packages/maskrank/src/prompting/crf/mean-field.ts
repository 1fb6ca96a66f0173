// Mean-field inference in a fully connected CRF (Krähenbühl and Koltun 2011, algorithm 1), as the authors' code does it:
// a pixel's message to itself stays in. Q <- softmax(-U - sum over kernels of mu K Q).
//
// Only L - 1 channels go through the filters: how far every label leads over the last, u_l = q_l - q_last. For Potts these say
// all that a step needs; else the rest follows from probabilities that sum to one, and from K 1, which never changes.
// N pixels, L labels, C = L - 1 channels. Not here: learning of weights, higher-order terms.

import { UsageError } from '@maskrank/torch/errors';
import type { Size } from '../../imaging/types.ts';
import { type Compatibility, compatibilityMatrix } from './compatibility.ts';
import type { Kernel } from './kernel.ts';
import { leadsOfOdds } from './leads.ts';

/** Energy of every label at every pixel: minus log of its probability, up to a constant a pixel. */
export type Unary = Size & {
  /** At least 2. */
  readonly labels: number;
  /** [L, h, w] */
  readonly energies: Float32Array;
};

/** A kernel and what it costs labels to meet in it. */
export type PairwisePotential = { readonly kernel: Kernel; readonly compatibility: Compatibility };

type Term = {
  readonly kernel: Kernel;
  /** [L, L] */
  readonly mu: Float64Array;
  /** [C, C]: how filtered leads move the log-odds against the last label. */
  readonly gain: Float64Array;
};

/** Keeps log(q) finite in the divergence, as in the reference. */
const SMALLEST_PROBABILITY = 1e-20;

/** One inference: starts at the unary's probabilities, every `step` is one pass over all kernels. */
export class MeanField {
  private readonly unary: Unary;
  private readonly points: number;
  private readonly terms: readonly Term[];
  /** [N, C]: log-odds against the last label but for what the leads say. */
  private readonly base: Float32Array;
  /** [N, C]: q_l - q_last now. */
  private readonly leads: Float32Array;
  private readonly odds: Float32Array;
  private readonly filtered: Float32Array;

  constructor(unary: Unary, potentials: readonly PairwisePotential[]) {
    const { labels } = unary;
    const points = unary.width * unary.height;
    checkUnary(unary, points);
    this.unary = unary;
    this.points = points;
    const channels = labels - 1;
    this.terms = potentials.map(({ kernel, compatibility }) => {
      if (kernel.points !== points) {
        throw new UsageError(
          `MeanField: a kernel of ${kernel.points} pixels beside unary energies of ${unary.width} x ${unary.height}; allowed: equal sizes.`,
        );
      }
      const mu = compatibilityMatrix(compatibility, labels);
      return { kernel, mu, gain: gainMatrix(mu, labels) };
    });
    this.leads = new Float32Array(points * channels);
    this.odds = new Float32Array(points * channels);
    this.filtered = new Float32Array(points * channels);
    this.base = unaryOdds(unary);
    leadsOfOdds(this.leads, this.base, channels);
    for (const term of this.terms) addMass(this.base, term, labels);
  }

  /** One parallel update of all pixels. */
  step(): void {
    const channels = this.unary.labels - 1;
    this.odds.set(this.base);
    for (const { kernel, gain } of this.terms) {
      kernel.apply(this.filtered, this.leads, channels);
      addProduct(this.odds, this.filtered, gain, channels);
    }
    leadsOfOdds(this.leads, this.odds, channels);
  }

  /** Probabilities now. [L, h, w] */
  probabilities(): Float32Array {
    const { points, leads } = this;
    const { labels } = this.unary;
    const channels = labels - 1;
    const out = new Float32Array(labels * points);
    for (let i = 0; i < points; i++) {
      let last = 1;
      for (let l = 0; l < channels; l++) last -= leads[i * channels + l]!;
      last = Math.max(0, last / labels);
      for (let l = 0; l < channels; l++) out[l * points + i] = Math.max(0, leads[i * channels + l]! + last);
      out[channels * points + i] = last;
    }
    return out;
  }

  /**
   * Divergence of the present probabilities from the CRF's distribution, up to the logarithm of its partition function:
   * what every step is meant to lower. Pairs count twice, as in the reference.
   */
  divergence(): number {
    const { points, terms } = this;
    const { labels, energies } = this.unary;
    const q = this.probabilities();
    let sum = 0;
    for (let i = 0; i < q.length; i++) {
      sum += q[i]! * (Math.log(Math.max(q[i]!, SMALLEST_PROBABILITY)) + energies[i]!);
    }
    for (const { kernel, mu } of terms) {
      const filtered = q.slice();
      for (let l = 0; l < labels; l++) {
        const channel = filtered.subarray(l * points, (l + 1) * points);
        kernel.apply(channel, channel);
      }
      for (let l = 0; l < labels; l++) {
        for (let m = 0; m < labels; m++) {
          const cost = mu[l * labels + m]!;
          if (cost === 0) continue;
          for (let i = 0; i < points; i++) sum += cost * q[l * points + i]! * filtered[m * points + i]!;
        }
      }
    }
    return sum;
  }
}

/** d[l][m] = mu[l][m] - mu[last][m]: what label m elsewhere costs label l more than the last. */
const difference = (mu: Float64Array, labels: number, l: number, m: number): number =>
  mu[l * labels + m]! - mu[(labels - 1) * labels + m]!;

/** What all labels together cost label l more than the last; 0 for Potts. */
function rowSum(mu: Float64Array, labels: number, l: number): number {
  let sum = 0;
  for (let m = 0; m < labels; m++) sum += difference(mu, labels, l, m);
  return sum;
}

/**
 * With g_m = K u_m: K q_m = g_m + K q_last and L K q_last = K 1 - (g_1 + g_2 + ...), so that the log-odds of l move by
 * -(d_l1 K q_1 + d_l2 K q_2 + ...) = (D_l / L - d_l1) g_1 + (D_l / L - d_l2) g_2 + ... - D_l / L K 1, D_l being d's row sum.
 */
function gainMatrix(mu: Float64Array, labels: number): Float64Array {
  const channels = labels - 1;
  return Float64Array.from({ length: channels * channels }, (_, at) => {
    const [l, m] = [Math.floor(at / channels), at % channels];
    return rowSum(mu, labels, l) / labels - difference(mu, labels, l, m);
  });
}

/** Log-odds of every label but the last against the last by the unary alone. [N, C] */
function unaryOdds({ labels, energies }: Unary): Float32Array {
  const last = labels - 1;
  const points = energies.length / labels;
  const out = new Float32Array(points * last);
  for (let l = 0; l < last; l++) {
    const own = l * points;
    const other = last * points;
    for (let i = 0, at = l; i < points; i++, at += last) out[at] = energies[other + i]! - energies[own + i]!;
  }
  return out;
}

/** The part of K 1: -D_l / L K 1. */
function addMass(odds: Float32Array, { kernel, mu }: Term, labels: number): void {
  const channels = labels - 1;
  const sums = Float64Array.from({ length: channels }, (_, l) => rowSum(mu, labels, l));
  if (sums.every((sum) => sum === 0)) return;
  const mass = new Float32Array(kernel.points).fill(1);
  kernel.apply(mass, mass);
  for (let i = 0, at = 0; i < mass.length; i++) {
    for (let l = 0; l < channels; l++, at++) odds[at]! -= (sums[l]! / labels) * mass[i]!;
  }
}

/** odds += gain * filtered, pixel by pixel. */
function addProduct(odds: Float32Array, filtered: Float32Array, gain: Float64Array, channels: number): void {
  if (channels === 1) {
    const g = gain[0]!;
    for (let i = 0; i < odds.length; i++) odds[i] = odds[i]! + g * filtered[i]!;
    return;
  }
  for (let i = 0; i < odds.length; i += channels) {
    for (let l = 0; l < channels; l++) {
      let sum = odds[i + l]!;
      for (let m = 0; m < channels; m++) sum += gain[l * channels + m]! * filtered[i + m]!;
      odds[i + l] = sum;
    }
  }
}

function checkUnary({ width, height, labels, energies }: Unary, points: number): void {
  if (!Number.isInteger(labels) || labels < 2) {
    throw new UsageError(`MeanField: ${labels} labels; allowed: whole numbers from 2.`);
  }
  if (energies.length !== labels * points) {
    throw new UsageError(
      `MeanField: ${energies.length} unary energies; expected ${labels} labels * ${width} * ${height} = ${labels * points}.`,
    );
  }
  for (let i = 0; i < energies.length; i++) {
    if (Number.isFinite(energies[i]!)) continue;
    throw new UsageError(
      `MeanField: unary energy ${i} is ${energies[i]}; allowed: finite numbers. Clip probabilities before the logarithm.`,
    );
  }
}
