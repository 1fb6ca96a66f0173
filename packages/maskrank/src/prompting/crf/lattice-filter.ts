// High-dimensional Gaussian filter on the permutohedral lattice (Adams, Baek and Davis 2010), as an approximation of
// exp(-|f_i - f_j|^2 / 2): values are spread onto the corners of the simplex around each point, blurred along every axis,
// and read back. Linear in the number of points; differs from the exact sum by some per cent, at sharp colour edges by more.
// Not here: normalisation (kernel.ts), gradients with respect to the features.
// N points, D features, M vertices, C channels.

import { type Features, type KernelFilter, type PointScales, unscaled } from './filter.ts';
import { makeAxes } from './lattice-axes.ts';
import { blur, type Placement, slice, splat, type VertexValues } from './lattice-loops.ts';
import { findNeighbours, placePoints } from './lattice-placement.ts';
import { VertexTable } from './vertex-table.ts';

/** The filter on the permutohedral lattice: time and memory grow with the points. */
export class LatticeFilter implements KernelFilter {
  readonly points: number;
  readonly vertices: number;
  private readonly placement: Placement;
  /** [D + 1, M, 2]: the vertices before and after a vertex on an axis, 0 where there is none. */
  private readonly neighbours: Int32Array;
  private values: VertexValues = new Float64Array(0);
  private blurred: VertexValues = new Float64Array(0);

  constructor(features: Features) {
    const axes = makeAxes(features);
    const table = new VertexTable(features.points >> 5);
    this.points = features.points;
    this.placement = placePoints(features, axes, table);
    this.vertices = table.count;
    this.neighbours = findNeighbours(axes, table);
  }

  apply(
    out: Float32Array,
    values: Float32Array,
    channels: number,
    { before, after }: PointScales = unscaled(this.points),
  ): void {
    const { placement, vertices } = this;
    const length = (vertices + 1) * channels;
    if (this.values.length < length) {
      this.values = new Float64Array(length);
      this.blurred = new Float64Array(length);
    }
    this.values.fill(0, 0, length);
    this.blurred.fill(0, 0, channels);
    splat(this.values, values, before, placement, channels);
    for (let axis = 0; axis < placement.corners; axis++) {
      const from = 2 * vertices * axis;
      blur(this.blurred, this.values, this.neighbours.subarray(from, from + 2 * vertices), channels);
      [this.values, this.blurred] = [this.blurred, this.values];
    }
    // The blur's gain, p. 6 of the paper.
    slice(out, this.values, after, placement, channels, 1 / (1 + 2 ** (1 - placement.corners)));
  }
}
