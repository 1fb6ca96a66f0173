// A kernel of a CRF: a filter and its normalisation, which keeps pixels with many neighbours from outvoting the others.
// n_i = 1 / (K 1)_i is the reciprocal of a pixel's mass. N points, C channels.

import type { KernelFilter } from './filter.ts';

/**
 * - `symmetric`: sqrt(n) K sqrt(n); the reference's default
 * - `before`: K n, sources scaled
 * - `after`: n K, a weighted mean of the sources
 * - `none`: K
 */
export type KernelNormalisation = 'none' | 'before' | 'after' | 'symmetric';

/** Keeps an isolated pixel's mass from being zero. */
const SMALLEST_MASS = 1e-20;

type Scaling = {
  /** A pixel's factor by its mass; null: nothing is scaled. */
  readonly factor: ((mass: number) => number) | null;
  readonly before: boolean;
  readonly after: boolean;
};

const share = (mass: number): number => 1 / (mass + SMALLEST_MASS);

const SCALINGS: Readonly<Record<KernelNormalisation, Scaling>> = {
  none: { factor: null, before: false, after: false },
  before: { factor: share, before: true, after: false },
  after: { factor: share, before: false, after: true },
  symmetric: { factor: (mass) => Math.sqrt(share(mass)), before: true, after: true },
};

export class Kernel {
  private readonly filter: KernelFilter;
  private readonly scaling: Scaling;
  /** [N]; empty without normalisation. */
  private readonly scale: Float32Array;
  private scaled = new Float32Array(0);

  constructor(filter: KernelFilter, normalisation: KernelNormalisation = 'symmetric') {
    this.filter = filter;
    this.scaling = SCALINGS[normalisation];
    const { factor } = this.scaling;
    this.scale = new Float32Array(factor === null ? 0 : filter.points).fill(1);
    if (factor === null) return;
    filter.apply(this.scale, this.scale, 1);
    for (let i = 0; i < this.scale.length; i++) this.scale[i] = factor(this.scale[i]!);
  }

  get points(): number {
    return this.filter.points;
  }

  /** out = normalised K values; both [N, C] with a point's channels side by side. */
  apply(out: Float32Array, values: Float32Array, channels = 1): void {
    const { filter, scale, scaling } = this;
    let source = values;
    if (scaling.before) {
      if (this.scaled.length !== values.length) this.scaled = new Float32Array(values.length);
      source = this.scaled;
      multiply(source, values, scale, channels);
    }
    filter.apply(out, source, channels);
    if (scaling.after) multiply(out, out, scale, channels);
  }
}

function multiply(out: Float32Array, values: Float32Array, scale: Float32Array, channels: number): void {
  if (channels === 1) {
    for (let i = 0; i < scale.length; i++) out[i] = scale[i]! * values[i]!;
    return;
  }
  for (let i = 0, at = 0; i < scale.length; i++) {
    const s = scale[i]!;
    for (let c = 0; c < channels; c++, at++) out[at] = s * values[at]!;
  }
}
