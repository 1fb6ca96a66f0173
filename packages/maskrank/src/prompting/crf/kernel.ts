// A kernel of a CRF: a filter and its normalisation, which keeps pixels with many neighbours from outvoting the others.
// n_i = 1 / (K 1)_i is the reciprocal of a pixel's mass. N points, C channels.

import { type KernelFilter, type PointScales, unscaled } from './filter.ts';

/**
 * - `symmetric`: sqrt(n) K sqrt(n); the reference's default
 * - `before`: K n, sources scaled
 * - `after`: n K, a weighted mean of the sources
 * - `none`: K
 */
export type KernelNormalisation = 'none' | 'before' | 'after' | 'symmetric';

/** Keeps an isolated pixel's mass from being zero. */
const SMALLEST_MASS = 1e-20;

type Factor = (mass: Float32Array) => Float32Array;

const one: Factor = (mass) => new Float32Array(mass.length).fill(1);
const share: Factor = (mass) => {
  const out = new Float32Array(mass.length);
  for (let i = 0; i < mass.length; i++) out[i] = 1 / (mass[i]! + SMALLEST_MASS);
  return out;
};
const root: Factor = (mass) => {
  const out = new Float32Array(mass.length);
  for (let i = 0; i < mass.length; i++) out[i] = 1 / Math.sqrt(mass[i]! + SMALLEST_MASS);
  return out;
};

/** Factors of the pixels by their masses. */
const FACTORS: Readonly<Record<KernelNormalisation, { readonly before: Factor; readonly after: Factor }>> = {
  none: { before: one, after: one },
  before: { before: share, after: one },
  after: { before: one, after: share },
  symmetric: { before: root, after: root },
};

/** A filter with its normalisation; made once an image, applied once a step. */
export class Kernel {
  readonly points: number;
  private readonly filter: KernelFilter;
  private readonly scales: PointScales;

  constructor(filter: KernelFilter, normalisation: KernelNormalisation = 'symmetric') {
    this.points = filter.points;
    this.filter = filter;
    this.scales = unscaled(filter.points);
    if (normalisation === 'none') return;
    const mass = new Float32Array(filter.points);
    filter.apply(mass, this.scales.before, 1, this.scales);
    const { before, after } = FACTORS[normalisation];
    this.scales = { before: before(mass), after: after(mass) };
  }

  /** out = normalised K values; both [N, C] with a point's channels side by side. `out` may be `values`. */
  apply(out: Float32Array, values: Float32Array, channels = 1): void {
    this.filter.apply(out, values, channels, this.scales);
  }
}
