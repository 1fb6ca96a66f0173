// High-dimensional Gaussian filter on the permutohedral lattice (Adams, Baek and Davis 2010), as an approximation of
// exp(-|f_i - f_j|^2 / 2): values are spread onto the vertices of the simplex around each point, blurred along every axis,
// and read back. Linear in the number of points; differs from the exact sum by some per cent, at sharp colour edges by more.
// Simplices are chosen in float32 with ties to even, so that the vertices are the ones of Krähenbühl's C++ code.
// Not here: normalisation (kernel.ts), gradients with respect to the features.
// N points, D features, M vertices, C channels.

import { UsageError } from '@maskrank/torch/errors';
import type { Features, KernelFilter } from './filter.ts';
import { blur, type Placement, slice, splat, type VertexValues } from './lattice-loops.ts';
import { VertexTable } from './vertex-table.ts';

/** Adding and subtracting it rounds a float32 below 2^22 to a whole number, ties to even. */
const ROUNDING = 12582912;
/** Below this a code is exact, and so is its remainder modulo D + 1. */
const MAX_CODE = 2 ** 50;
const f32 = Math.fround;

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

  apply(out: Float32Array, values: Float32Array, channels: number): void {
    const { placement, vertices } = this;
    const length = (vertices + 1) * channels;
    if (this.values.length < length) {
      this.values = new Float64Array(length);
      this.blurred = new Float64Array(length);
    }
    this.values.fill(0, 0, length);
    this.blurred.fill(0, 0, channels);
    splat(this.values, values, placement, channels);
    for (let axis = 0; axis < placement.corners; axis++) {
      const from = 2 * vertices * axis;
      blur(this.blurred, this.values, this.neighbours.subarray(from, from + 2 * vertices), channels);
      [this.values, this.blurred] = [this.blurred, this.values];
    }
    // The blur's gain, p. 6 of the paper.
    slice(out, this.values, placement, channels, 1 / (1 + 2 ** (1 - placement.corners)));
  }
}

/**
 * A vertex has D + 1 coordinates that sum to zero and leave the same remainder r modulo D + 1. It is coded as
 * r + (D + 1) (c_0 s_0 + c_1 s_1 + ...), with c_i = (coordinate i - r) / (D + 1), or one less where the canonical simplex
 * wraps, for the first D coordinates; the strides s leave room for every c_i that occurs and its neighbours.
 */
type Axes = {
  /** Feature i times this is its part of the lattice coordinates (the diagonal of E, p. 5). */
  readonly scales: Float32Array;
  /** (D + 1) s_i; 0 for the last coordinate, which follows from the others. */
  readonly strides: Float64Array;
};

function makeAxes({ points, dimensions: d, data }: Features): Axes {
  const deviation = f32(Math.sqrt(2 / 3) * (d + 1));
  const scales = Float32Array.from({ length: d }, (_, i) => deviation / Math.sqrt((i + 1) * (i + 2)));
  const low = new Float64Array(d).fill(Infinity);
  const high = new Float64Array(d).fill(-Infinity);
  for (let k = 0; k < points; k++) {
    for (let i = 0; i < d; i++) {
      const v = data[k * d + i]!;
      if (v < low[i]!) low[i] = v;
      if (v > high[i]!) high[i] = v;
      if (Number.isNaN(v)) high[i] = Infinity;
    }
  }
  const strides = new Float64Array(d + 1);
  let stride = d + 1;
  for (let j = 0; j < d; j++) {
    let reach = j === 0 ? 0 : j * (high[j - 1]! - low[j - 1]!) * scales[j - 1]!;
    for (let i = j; i < d; i++) reach += (high[i]! - low[i]!) * scales[i]!;
    strides[j] = stride;
    stride *= Math.ceil(reach / (d + 1)) + 8;
  }
  if (!(stride < MAX_CODE)) {
    throw new UsageError(
      `LatticeFilter: features span ${Array.from(high, (v, i) => (v - low[i]!).toPrecision(3)).join(', ')} standard deviations, too many to number the vertices; allowed: finite, about 1000 in each of 5 dimensions. Use larger sigmas.`,
    );
  }
  return { scales, strides };
}

/** Finds the simplex of every point: its vertices and the point's barycentric coordinates. */
function placePoints(
  { points, dimensions: d, data }: Features,
  { scales, strides }: Axes,
  table: VertexTable,
): Placement {
  const corners = d + 1;
  const vertexOf = new Int32Array(points * corners);
  const weights = new Float32Array(points * corners);
  const inverse = f32(1 / corners);
  const elevated = new Float64Array(corners);
  const rest = new Float64Array(corners);
  // Coordinates by their rest, the largest first. Kept from point to point: neighbours often share it.
  const order = Int32Array.from({ length: corners }, (_, i) => i);
  const sorted = new Float64Array(corners);
  const sortedStrides = new Float64Array(corners);
  const codes = new Float64Array(corners);
  for (let at = 0, feature = 0; at < vertexOf.length; at += corners, feature += d) {
    // y = E p (p. 5).
    let sum = 0;
    for (let j = d; j > 0; j--) {
      const part = f32(data[feature + j - 1]! * scales[j - 1]!);
      elevated[j] = f32(sum - f32(j * part));
      sum = f32(sum + part);
    }
    elevated[0] = sum;
    // The nearest point whose coordinates are multiples of D + 1; its code, and how far its coordinates miss sum zero.
    let code = 0;
    let excess = 0;
    for (let i = 0; i < corners; i++) {
      const near = f32(f32(f32(elevated[i]! * inverse) + ROUNDING) - ROUNDING);
      rest[i] = f32(elevated[i]! - near * corners);
      excess += near;
      code += near * strides[i]!;
    }
    for (let p = 1; p < corners; p++) {
      const i = order[p]!;
      const value = rest[i]!;
      let q = p;
      for (; q > 0; q--) {
        const before = order[q - 1]!;
        const other = rest[before]!;
        if (other > value || (other === value && before < i)) break;
        order[q] = before;
      }
      order[q] = i;
    }
    // Where the sum was not zero, the coordinates furthest off move by D + 1, and all ranks with them.
    for (let p = 0; p < corners; p++) {
      const i = order[p]!;
      let r = p + excess;
      let value = rest[i]!;
      if (r < 0) {
        r += corners;
        code += strides[i]!;
        value -= corners;
      } else if (r >= corners) {
        r -= corners;
        code -= strides[i]!;
        value += corners;
      }
      sorted[r] = value;
      sortedStrides[r] = strides[i]!;
    }
    // Vertex r has the weight of the gap between ranks D - r and D + 1 - r (p. 10). From vertex r - 1 to r every coordinate
    // grows by one, the one of rank D + 1 - r falls by D.
    let below = sorted[0]! - corners;
    for (let r = 0; r < corners; r++) {
      const above = sorted[d - r]!;
      if (r > 0) code += 1 - sortedStrides[corners - r]!;
      codes[r] = code;
      weights[at + r] = inverse * (above - below);
      below = above;
    }
    table.addAll(codes, vertexOf, at);
  }
  return { corners, vertexOf, weights };
}

/** On axis j: one step back lowers every coordinate by one and raises coordinate j by D. */
function findNeighbours({ strides }: Axes, table: VertexTable): Int32Array {
  const corners = strides.length;
  const count = table.count;
  const neighbours = new Int32Array(corners * count * 2);
  const all = strides.reduce((a, b) => a + b, 0);
  for (let axis = 0; axis < corners; axis++) {
    const start = 2 * count * axis;
    const plain = strides[axis]! - 1;
    const wrapped = corners - 1 - (all - strides[axis]!);
    for (let vertex = 1; vertex <= count; vertex++) {
      const code = table.codes[vertex]!;
      const before = table.find(code + (remainder(code, corners) === 0 ? wrapped : plain));
      neighbours[start + 2 * (vertex - 1)] = before;
      if (before !== 0) neighbours[start + 2 * (before - 1) + 1] = vertex;
    }
  }
  return neighbours;
}

function remainder(code: number, corners: number): number {
  return code - corners * Math.floor(code / corners);
}
