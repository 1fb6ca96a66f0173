// High-dimensional Gaussian filter on the permutohedral lattice (Adams, Baek and Davis 2010), as an approximation of
// exp(-|f_i - f_j|^2 / 2): values are spread onto the vertices of the simplex around each point, blurred along every axis,
// and read back. Linear in the number of points; differs from the exact sum by some per cent, at sharp colour edges by more.
// Simplices are chosen in float32 with ties to even, so that the vertices are the ones of Krähenbühl's C++ code.
// Not here: normalisation (kernel.ts), gradients with respect to the features.
// N points, D features, M vertices, C channels.

import { UsageError } from '@maskrank/torch/errors';
import type { Features, KernelFilter } from './filter.ts';
import { VertexTable } from './vertex-table.ts';

/** Adding and subtracting it rounds a float32 below 2^22 to a whole number, ties to even. */
const ROUNDING = 12582912;
/** Below this a code is exact, and so is its remainder modulo D + 1. */
const MAX_CODE = 2 ** 50;
const f32 = Math.fround;

export class LatticeFilter implements KernelFilter {
  readonly points: number;
  readonly vertices: number;
  private readonly corners: number;
  /** [N, D + 1]: vertices of the simplex around a point. */
  private readonly vertexOf: Int32Array;
  /** [N, D + 1]: how much of the point each of them holds. */
  private readonly weights: Float32Array;
  /** [D + 1, M, 2]: the vertices before and after a vertex on an axis, 0 where there is none. */
  private readonly neighbours: Int32Array;
  private values = new Float32Array(0);
  private blurred = new Float32Array(0);

  constructor(features: Features) {
    const { points, dimensions } = features;
    this.points = points;
    this.corners = dimensions + 1;
    this.vertexOf = new Int32Array(points * this.corners);
    this.weights = new Float32Array(points * this.corners);
    const axes = makeAxes(features);
    const table = new VertexTable(points >> 2);
    placePoints(features, axes, table, this.vertexOf, this.weights);
    this.vertices = table.count;
    this.neighbours = findNeighbours(axes, table);
  }

  apply(out: Float32Array, values: Float32Array, channels: number): void {
    const length = (this.vertices + 1) * channels;
    if (this.values.length < length) {
      this.values = new Float32Array(length);
      this.blurred = new Float32Array(length);
    }
    this.values.fill(0, 0, length);
    this.blurred.fill(0, 0, channels);
    const [splat, blur, slice] =
      channels === 1 ? [splatOne, blurOne, sliceOne] : [splatMany, blurMany, sliceMany];
    splat(this.values, values, this.vertexOf, this.weights, this.corners, channels);
    for (let axis = 0; axis < this.corners; axis++) {
      const from = 2 * this.vertices * axis;
      const neighbours = this.neighbours.subarray(from, from + 2 * this.vertices);
      blur(this.blurred, this.values, neighbours, channels);
      [this.values, this.blurred] = [this.blurred, this.values];
    }
    // The blur's gain, p. 6 of the paper.
    const gain = 1 / (1 + 2 ** (1 - this.corners));
    slice(out, this.values, this.vertexOf, this.weights, this.corners, channels, gain);
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
  vertexOf: Int32Array,
  weights: Float32Array,
): void {
  const corners = d + 1;
  const inverse = f32(1 / corners);
  const elevated = new Float64Array(corners);
  const rest = new Float64Array(corners);
  // Coordinates by their rest, the largest first. Kept from point to point: neighbours often share it.
  const order = Int32Array.from({ length: corners }, (_, i) => i);
  const sorted = new Float64Array(corners);
  const sortedStrides = new Float64Array(corners);
  const lastCode = new Float64Array(corners).fill(Number.NaN);
  const lastVertex = new Int32Array(corners);
  for (let k = 0, feature = d, at = 0; k < points; k++, feature += d) {
    // y = E p (p. 5).
    let sum = 0;
    for (let j = d; j > 0; j--) {
      const part = f32(data[feature - 1 - (d - j)]! * scales[j - 1]!);
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
    for (let r = 0; r < corners; r++, at++) {
      const above = sorted[d - r]!;
      if (r > 0) code += 1 - sortedStrides[corners - r]!;
      if (code !== lastCode[r]) {
        lastCode[r] = code;
        lastVertex[r] = table.add(code);
      }
      vertexOf[at] = lastVertex[r]!;
      weights[at] = inverse * (above - below);
      below = above;
    }
  }
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

function splatOne(
  to: Float32Array,
  values: Float32Array,
  vertexOf: Int32Array,
  weights: Float32Array,
  corners: number,
): void {
  for (let k = 0, at = 0; at < vertexOf.length; k++) {
    const value = values[k]!;
    for (const end = at + corners; at < end; at++) {
      const vertex = vertexOf[at]!;
      to[vertex] = to[vertex]! + weights[at]! * value;
    }
  }
}

function splatMany(
  to: Float32Array,
  values: Float32Array,
  vertexOf: Int32Array,
  weights: Float32Array,
  corners: number,
  channels: number,
): void {
  for (let from = 0, at = 0; at < vertexOf.length; from += channels) {
    for (const end = at + corners; at < end; at++) {
      const vertex = vertexOf[at]! * channels;
      const weight = weights[at]!;
      for (let c = 0; c < channels; c++) to[vertex + c] = to[vertex + c]! + weight * values[from + c]!;
    }
  }
}

function blurOne(to: Float32Array, from: Float32Array, neighbours: Int32Array): void {
  for (let at = 0, vertex = 1; at < neighbours.length; at += 2, vertex++) {
    to[vertex] = from[vertex]! + 0.5 * (from[neighbours[at]!]! + from[neighbours[at + 1]!]!);
  }
}

function blurMany(to: Float32Array, from: Float32Array, neighbours: Int32Array, channels: number): void {
  for (let at = 0, vertex = channels; at < neighbours.length; at += 2) {
    const before = neighbours[at]! * channels;
    const after = neighbours[at + 1]! * channels;
    for (let c = 0; c < channels; c++, vertex++) {
      to[vertex] = from[vertex]! + 0.5 * (from[before + c]! + from[after + c]!);
    }
  }
}

function sliceOne(
  out: Float32Array,
  from: Float32Array,
  vertexOf: Int32Array,
  weights: Float32Array,
  corners: number,
  _channels: number,
  gain: number,
): void {
  for (let k = 0, at = 0; at < vertexOf.length; k++) {
    let sum = 0;
    for (const end = at + corners; at < end; at++) sum += weights[at]! * from[vertexOf[at]!]!;
    out[k] = gain * sum;
  }
}

function sliceMany(
  out: Float32Array,
  from: Float32Array,
  vertexOf: Int32Array,
  weights: Float32Array,
  corners: number,
  channels: number,
  gain: number,
): void {
  for (let k = 0, at = 0; at < vertexOf.length; k += channels) {
    out.fill(0, k, k + channels);
    for (const end = at + corners; at < end; at++) {
      const vertex = vertexOf[at]! * channels;
      const weight = gain * weights[at]!;
      for (let c = 0; c < channels; c++) out[k + c] = out[k + c]! + weight * from[vertex + c]!;
    }
  }
}
