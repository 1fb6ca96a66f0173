// Mean-field inference in a fully connected CRF (Krähenbühl and Koltun 2011, algorithm 1), as the authors' code does it:
// a pixel's message to itself stays in. Q <- softmax(-U - sum over kernels of mu K Q).
//
// Probabilities sum to one, so the last label's messages follow from the others' and from K 1, which never changes: only
// L - 1 channels go through the filters, and what K 1 adds to every energy is known before the first step.
// N pixels, L labels, C = L - 1 channels. Not here: learning of weights, higher-order terms.

import { UsageError } from '@maskrank/torch/errors';
import type { Size } from '../../imaging/types.ts';
import { type Compatibility, compatibilityMatrix } from './compatibility.ts';
import type { Kernel } from './kernel.ts';
import { softmax } from './softmax.ts';

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
  /** [C, C]: how the filtered probabilities move the log-odds against the last label. */
  readonly gain: Float64Array;
  /** [N]: K 1. */
  readonly mass: Float32Array;
};

/** Largest number that keeps log(q) finite in the divergence, as in the reference. */
const SMALLEST_PROBABILITY = 1e-20;

/** One inference: starts at the unary's probabilities, every `step` is one pass over all kernels. */
export class MeanField {
  private readonly unary: Unary;
  private readonly points: number;
  private readonly terms: readonly Term[];
  /** [N, C]: log-odds against the last label before any message from the filters. */
  private readonly base: Float32Array;
  /** [N, C]: probabilities of all labels but the last. */
  private readonly q: Float32Array;
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
      const mass = new Float32Array(points).fill(1);
      kernel.apply(mass, mass);
      return { kernel, mu, gain: gainMatrix(mu, labels), mass };
    });
    this.q = new Float32Array(points * channels);
    this.odds = new Float32Array(points * channels);
    this.filtered = new Float32Array(points * channels);
    this.base = unaryOdds(unary);
    softmax(this.q, this.base, channels);
    for (const { mu, mass } of this.terms) addMass(this.base, mass, mu, labels);
  }

  /** One parallel update of all pixels. */
  step(): void {
    const channels = this.unary.labels - 1;
    this.odds.set(this.base);
    for (const { kernel, gain } of this.terms) {
      kernel.apply(this.filtered, this.q, channels);
      addProduct(this.odds, this.filtered, gain, channels);
    }
    softmax(this.q, this.odds, channels);
  }

  /** Probabilities now. [L, h, w] */
  probabilities(): Float32Array {
    const { points, q } = this;
    const { labels } = this.unary;
    const out = new Float32Array(labels * points);
    for (let i = 0, at = 0; i < points; i++) {
      let rest = 1;
      for (let l = 0; l < labels - 1; l++, at++) {
        out[l * points + i] = q[at]!;
        rest -= q[at]!;
      }
      out[(labels - 1) * points + i] = Math.max(0, rest);
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

/** Gain[l][m] = -(mu[l][m] - mu[l][last]) + (mu[last][m] - mu[last][last]). */
function gainMatrix(mu: Float64Array, labels: number): Float64Array {
  const last = labels - 1;
  const against = (l: number, m: number): number => mu[l * labels + m]! - mu[l * labels + last]!;
  return Float64Array.from({ length: last * last }, (_, at) => {
    const [l, m] = [Math.floor(at / last), at % last];
    return against(last, m) - against(l, m);
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

/** What K 1 adds to the log-odds: messages of the last label, had it all the probability. */
function addMass(odds: Float32Array, mass: Float32Array, mu: Float64Array, labels: number): void {
  const last = labels - 1;
  for (let l = 0; l < last; l++) {
    const cost = mu[l * labels + last]! - mu[last * labels + last]!;
    for (let i = 0, at = l; i < mass.length; i++, at += last) odds[at]! -= cost * mass[i]!;
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
