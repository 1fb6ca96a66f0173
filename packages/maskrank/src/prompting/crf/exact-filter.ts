// Gaussian filter by its definition, sum over j of exp(-|f_i - f_j|^2 / 2) v_j: the oracle of the lattice, for small images.
// Holds the kernel's lower triangle in float32 and sums in float64. N points, D features, C channels.

import { UsageError } from '@maskrank/torch/errors';
import { type Features, type KernelFilter, type PointScales, unscaled } from './filter.ts';

/** 96 x 85 pixels: 134 MB of kernel. */
const MAX_POINTS = 8192;

/** The filter by its definition, for at most 8192 points; memory and time grow with their square. */
export class ExactFilter implements KernelFilter {
  readonly points: number;
  /** Rows of the triangle below the diagonal: K[i][j], j < i, at i (i - 1) / 2 + j. */
  private readonly triangle: Float32Array;

  /** @throws UsageError for more than 8192 points: the kernel has N^2 elements */
  constructor({ points, dimensions, data }: Features) {
    if (points > MAX_POINTS) {
      throw new UsageError(
        `ExactFilter: ${points} points; allowed: at most ${MAX_POINTS}, as the kernel has N^2 elements. Use the lattice.`,
      );
    }
    this.points = points;
    this.triangle = new Float32Array((points * (points - 1)) / 2);
    const squares = new Float64Array(points);
    for (let i = 1, at = 0; i < points; i++) {
      squares.fill(0, 0, i);
      for (let k = 0; k < dimensions; k++) {
        const own = data[i * dimensions + k]!;
        for (let j = 0, other = k; j < i; j++, other += dimensions) squares[j]! += (own - data[other]!) ** 2;
      }
      for (let j = 0; j < i; j++, at++) {
        // Beyond this it is zero in float32.
        this.triangle[at] = squares[j]! > 210 ? 0 : Math.exp(-0.5 * squares[j]!);
      }
    }
  }

  apply(
    out: Float32Array,
    values: Float32Array,
    channels: number,
    { before, after }: PointScales = unscaled(this.points),
  ): void {
    const { points, triangle } = this;
    const own = new Float64Array(points);
    const sums = new Float64Array(points);
    for (let c = 0; c < channels; c++) {
      for (let i = 0; i < points; i++) own[i] = sums[i] = before[i]! * values[i * channels + c]!;
      for (let i = 1, at = 0; i < points; i++) {
        const value = own[i]!;
        let sum = 0;
        for (let j = 0; j < i; j++, at++) {
          const k = triangle[at]!;
          sum += k * own[j]!;
          sums[j]! += k * value;
        }
        sums[i]! += sum;
      }
      for (let i = 0; i < points; i++) out[i * channels + c] = after[i]! * sums[i]!;
    }
  }
}
