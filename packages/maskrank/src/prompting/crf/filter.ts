// What a CRF needs of a kernel: the product of the matrix K, K[i][j] = exp(-|f_i - f_j|^2 / 2) with K[i][i] = 1, with values
// at the points. Two forms: the lattice's approximation (lattice-filter.ts) and the sum itself (exact-filter.ts).
// N points, D features a point, C channels.

/** Features of points in units of their standard deviations: [N, D], the features of a point side by side. */
export type Features = {
  readonly points: number;
  readonly dimensions: number;
  readonly data: Float32Array;
  /** At least the largest less the smallest value of each feature; NaN where one is no number. [D] */
  readonly spans: readonly number[];
};

/** Factors of every point. [N] each */
export type PointScales = {
  /** Of the values that go in. */
  readonly before: Float32Array;
  /** Of the sums that come out. */
  readonly after: Float32Array;
};

/** A Gaussian kernel as something to multiply with. */
export interface KernelFilter {
  readonly points: number;
  /** out = after K (before values); both [N, C] with a point's channels side by side. `out` may be `values`. */
  apply(out: Float32Array, values: Float32Array, channels: number, scales?: PointScales): void;
}

/** Scales that change nothing. */
export function unscaled(points: number): PointScales {
  const ones = new Float32Array(points).fill(1);
  return { before: ones, after: ones };
}
