// Where points lie on the permutohedral lattice (Adams, Baek and Davis 2010, sections 3 and 4): for every point the corners
// of its simplex and its barycentric coordinates. All roundings are float32 with ties to even, so that the simplices are the
// ones of Krähenbühl's C++ code. N points, D features, S = D + 1 coordinates and corners, B points of a block.

import type { Features } from './filter.ts';
import type { Axes } from './lattice-axes.ts';
import type { Placement } from './lattice-loops.ts';
import { type PlaceBlock, UNROLLED_PLACING } from './lattice-simplices.ts';
import type { VertexTable } from './vertex-table.ts';

/** Points of a block: their codes stay in the first-level cache. */
const BLOCK = 256;
/** Adding and subtracting it rounds to a whole number, ties to even. */
const ROUNDING = 1.5 * 2 ** 52;
const f32 = Math.fround;

/** The corners and weights of every point; new vertices are added to the table. */
export function placePoints(features: Features, axes: Axes, table: VertexTable): Placement {
  const { points, dimensions, data } = features;
  const corners = dimensions + 1;
  const vertexOf = new Int32Array(points * corners);
  const weights = new Float32Array(points * corners);
  const codes = new Float64Array(BLOCK * corners);
  const placeBlock = UNROLLED_PLACING[dimensions] ?? placeAnyBlock;
  for (let first = 0; first < points; first += BLOCK) {
    const size = Math.min(BLOCK, points - first);
    placeBlock(data, axes, first, size, weights, codes);
    table.addAll(codes, size * corners, vertexOf, first * corners);
  }
  return { corners, vertexOf, weights };
}

/** In any number of dimensions. */
export const placeAnyBlock: PlaceBlock = (data, { scales, strides }, first, size, weights, codes) => {
  const d = scales.length;
  const corners = d + 1;
  const inverse = f32(1 / corners);
  const elevated = new Float64Array(corners);
  const rest = new Float64Array(corners);
  // Coordinates by their rest, the largest first. Kept from point to point: neighbours often share it.
  const order = Int32Array.from({ length: corners }, (_, i) => i);
  const sortedRest = new Float64Array(corners);
  const sortedStride = new Float64Array(corners);
  for (let k = 0; k < size; k++) {
    const from = (first + k) * d;
    // y = E p (p. 5).
    let sum = 0;
    for (let j = d; j > 0; j--) {
      const part = f32(data[from + j - 1]! * scales[j - 1]!);
      elevated[j] = f32(sum - f32(j * part));
      sum = f32(sum + part);
    }
    elevated[0] = sum;
    // The nearest point whose coordinates are multiples of S; its code, and how far these miss sum zero.
    let code = 0;
    let excess = 0;
    for (let i = 0; i < corners; i++) {
      const near = f32(elevated[i]! * inverse) + ROUNDING - ROUNDING;
      rest[i] = f32(elevated[i]! - near * corners);
      excess += near;
      code += near * strides[i]!;
    }
    // Of equal rests the first coordinate comes first.
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
    // Where the sum was not zero, the coordinates furthest off move by S, and all ranks with them.
    for (let p = 0; p < corners; p++) {
      const i = order[p]!;
      const rank = p + excess;
      const move = rank < 0 ? corners : rank >= corners ? -corners : 0;
      sortedRest[rank + move] = rest[i]! - move;
      sortedStride[rank + move] = strides[i]!;
      code += Math.sign(move) * strides[i]!;
    }
    // Corner r has the weight of the gap between ranks D - r and S - r (p. 10), corner 0 what closes the circle. From corner
    // r - 1 to r every coordinate grows by one, but the one of rank S - r falls by D.
    const at = (first + k) * corners;
    weights[at] = (sortedRest[d]! - sortedRest[0]! + corners) / corners;
    codes[k * corners] = code;
    for (let r = 1; r < corners; r++) {
      weights[at + r] = (sortedRest[d - r]! - sortedRest[corners - r]!) / corners;
      code += 1 - sortedStride[corners - r]!;
      codes[k * corners + r] = code;
    }
  }
};

/** Vertices before and after every vertex on every axis, 0 where there is none. [S, M, 2] */
export function findNeighbours({ strides }: Axes, table: VertexTable): Int32Array {
  const corners = strides.length;
  const count = table.count;
  const neighbours = new Int32Array(corners * count * 2);
  const all = strides.reduce((a, b) => a + b, 0);
  for (let axis = 0; axis < corners; axis++) {
    // One step back on an axis lowers every coordinate by one and raises the axis' own by D.
    const plain = strides[axis]! - 1;
    const wrapped = corners - 1 - (all - strides[axis]!);
    const start = 2 * count * axis;
    for (let vertex = 1; vertex <= count; vertex++) {
      const code = table.codes[vertex]!;
      const remainder = code - corners * Math.floor(code / corners);
      const before = table.find(code + (remainder === 0 ? wrapped : plain));
      neighbours[start + 2 * (vertex - 1)] = before;
      if (before !== 0) neighbours[start + 2 * (before - 1) + 1] = vertex;
    }
  }
  return neighbours;
}
