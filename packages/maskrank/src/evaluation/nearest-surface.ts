// Exact Euclidean distance from the surface elements of one grid to the nearest element of another. Not the general
// distance transform of imaging/, which fills every pixel: distances are wanted at the few elements only, so in images
// nothing is computed elsewhere (a sweep over rows that keeps, for each column, the nearest elements above and below),
// and volumes have a third axis.
// Sums run over the axes in the order of numpy's reduction, so that a distance equal to a tolerance stays equal to it.

import type { Lattice } from './surface-elements.ts';

/**
 * Distance from each of `queries` to the nearest of `sites`; Infinity everywhere when there are no sites.
 *
 * @param sites row-major indices in `lattice`, ascending
 * @param queries row-major indices in `lattice`, ascending
 * @param lattice places by axis: slices, rows, columns (one slice for an image)
 * @param spacing size of a step by axis; the distances have its unit
 */
export function nearestDistances(
  sites: Int32Array,
  queries: Int32Array,
  lattice: Lattice,
  spacing: Lattice,
): Float64Array {
  if (sites.length === 0) return new Float64Array(queries.length).fill(Infinity);
  return lattice[0] === 1
    ? nearestInPlane(sites, queries, lattice, spacing)
    : nearestInVolume(sites, queries, lattice, spacing);
}

/** Time: sites + queries * (columns searched, at most the distance on either side). */
function nearestInPlane(
  sites: Int32Array,
  queries: Int32Array,
  lattice: Lattice,
  spacing: Lattice,
): Float64Array {
  const columns = lattice[2];
  const [, height, width] = spacing;
  const step = squareTable(columns, width);
  // Of each column: row of the last site at or above the current row, and of the first one not yet passed.
  const above = new Float64Array(columns).fill(-Infinity);
  const below = new Float64Array(columns).fill(Infinity);
  const next = new Float64Array(sites.length); // row of the next site in the same column
  let [first, last] = [columns, 0];
  for (let s = sites.length - 1; s >= 0; s--) {
    const y = Math.trunc(sites[s]! / columns);
    const x = sites[s]! - y * columns;
    next[s] = below[x]!;
    below[x] = y;
    if (x < first) first = x;
    if (x > last) last = x;
  }

  const [top, bottom] = [sites[0]!, sites.at(-1)!].map((site) => Math.trunc(site / columns)) as [
    number,
    number,
  ];
  const distances = new Float64Array(queries.length);
  for (let q = 0, s = 0; q < queries.length; q++) {
    const y = Math.trunc(queries[q]! / columns);
    const x = queries[q]! - y * columns;
    for (; s < sites.length && sites[s]! < (y + 1) * columns; s++) {
      const row = Math.trunc(sites[s]! / columns);
      const column = sites[s]! - row * columns;
      above[column] = row;
      below[column] = next[s]!;
    }
    let best = x >= first && x <= last ? square(height * rowsTo(y, above[x]!, below[x]!)) : Infinity;
    // Outwards to both sides, from the first column that has sites until no column beyond can be nearer than the best.
    const least = square(height * Math.max(0, top - y, y - bottom));
    for (let dx = Math.max(1, first - x, x - last); dx < columns && step[dx]! + least < best; dx++) {
      const [left, right] = [x - dx, x + dx];
      if (left < first && right > last) break;
      if (left >= first) {
        const candidate = square(height * rowsTo(y, above[left]!, below[left]!)) + step[dx]!;
        if (candidate < best) best = candidate;
      }
      if (right <= last) {
        const candidate = square(height * rowsTo(y, above[right]!, below[right]!)) + step[dx]!;
        if (candidate < best) best = candidate;
      }
    }
    distances[q] = Math.sqrt(best);
  }
  return distances;
}

const square = (x: number): number => x * x;
const rowsTo = (y: number, above: number, below: number): number => Math.min(y - above, below - y);

/** Time: the volume between the outermost sites and queries, and queries as above. */
function nearestInVolume(
  sites: Int32Array,
  queries: Int32Array,
  lattice: Lattice,
  spacing: Lattice,
): Float64Array {
  const crop = cropTo(sites, queries, lattice);
  const { columns } = crop;
  const squares = squaresAlongRows(sites, crop, lattice, spacing[1]);
  lowerEnvelopes(squares, crop.slices, crop.rows * columns, spacing[0]);
  const step = squareTable(lattice[2], spacing[2]);
  const distances = new Float64Array(queries.length);
  for (let q = 0; q < queries.length; q++) {
    const row = Math.trunc(queries[q]! / lattice[2]);
    const z = Math.trunc(row / lattice[1]);
    const start = ((z - crop.z0) * crop.rows + (row - z * lattice[1]) - crop.y0) * columns;
    const x = queries[q]! - row * lattice[2] - crop.x0;
    let best = x >= 0 && x < columns ? squares[start + x]! : Infinity;
    for (let dx = Math.max(1, -x, x - columns + 1); dx < lattice[2] && step[dx]! < best; dx++) {
      const [left, right] = [x - dx, x + dx];
      if (left < 0 && right >= columns) break;
      if (left >= 0) best = Math.min(best, squares[start + left]! + step[dx]!);
      if (right < columns) best = Math.min(best, squares[start + right]! + step[dx]!);
    }
    distances[q] = Math.sqrt(best);
  }
  return distances;
}

/** Part of the lattice that the computation needs: the slices and rows of sites and queries, the sites' columns. */
type Crop = {
  readonly z0: number;
  readonly y0: number;
  readonly x0: number;
  readonly slices: number;
  readonly rows: number;
  readonly columns: number;
};

function cropTo(sites: Int32Array, queries: Int32Array, lattice: Lattice): Crop {
  const [, rows, columns] = lattice;
  let [z0, z1, y0, y1, x0, x1] = [Infinity, 0, Infinity, 0, Infinity, 0];
  for (const corners of [sites, queries]) {
    for (let i = 0; i < corners.length; i++) {
      const row = Math.trunc(corners[i]! / columns);
      const z = Math.trunc(row / rows);
      const y = row - z * rows;
      if (z < z0) z0 = z;
      if (z > z1) z1 = z;
      if (y < y0) y0 = y;
      if (y > y1) y1 = y;
      if (corners === queries) continue;
      const x = corners[i]! - row * columns;
      if (x < x0) x0 = x;
      if (x > x1) x1 = x;
    }
  }
  return { z0, y0, x0, slices: z1 - z0 + 1, rows: y1 - y0 + 1, columns: x1 - x0 + 1 };
}

/** For each place of the crop: squared distance to the nearest site of its own slice and column, or Infinity. */
function squaresAlongRows(sites: Int32Array, crop: Crop, lattice: Lattice, spacing: number): Float64Array {
  const { slices, rows, columns } = crop;
  const plane = rows * columns;
  const squares = new Float64Array(slices * plane);
  const table = squareTable(2 * rows, spacing).fill(Infinity, rows);
  const steps = new Int32Array(plane); // rows to the nearest site; `rows` and more: none
  let site = 0;
  for (let z = 0; z < slices; z++) {
    steps.fill(rows);
    const sliceEnd = (crop.z0 + z + 1) * lattice[1] * lattice[2];
    for (; site < sites.length && sites[site]! < sliceEnd; site++) {
      const row = Math.trunc(sites[site]! / lattice[2]);
      const x = sites[site]! - row * lattice[2] - crop.x0;
      steps[((row % lattice[1]) - crop.y0) * columns + x] = 0;
    }
    for (let i = columns; i < plane; i++) {
      const above = steps[i - columns]! + 1;
      if (above < steps[i]!) steps[i] = above;
    }
    const base = z * plane;
    for (let i = plane - 1; i >= 0; i--) {
      const below = i + columns < plane ? steps[i + columns]! + 1 : rows;
      if (below < steps[i]!) steps[i] = below;
      squares[base + i] = table[steps[i]!]!;
    }
  }
  return squares;
}

/**
 * Replaces each value of every line along the first axis by `min over v of squares[v] + ((z - v) spacing)^2`: the lower
 * envelope of parabolas (Felzenszwalb and Huttenlocher 2012).
 */
function lowerEnvelopes(squares: Float64Array, length: number, stride: number, spacing: number): void {
  const table = squareTable(length, spacing);
  const line = new Float64Array(length);
  const vertex = new Int32Array(length);
  const from = new Float64Array(length);
  const scale = 0.5 / (spacing * spacing);
  for (let offset = 0; offset < stride; offset++) {
    let top = -1;
    for (let q = 0; q < length; q++) {
      const height = squares[q * stride + offset]!;
      line[q] = height;
      if (height === Infinity) continue;
      let begin = -Infinity;
      while (top >= 0) {
        const v = vertex[top]!;
        begin = 0.5 * (q + v) + ((height - line[v]!) * scale) / (q - v);
        if (begin > from[top]!) break;
        top--;
        begin = -Infinity;
      }
      vertex[++top] = q;
      from[top] = begin;
    }
    if (top < 0) continue;
    for (let z = 0, k = 0; z < length; z++) {
      while (k < top && from[k + 1]! <= z) k++;
      const v = vertex[k]!;
      squares[z * stride + offset] = line[v]! + table[Math.abs(z - v)]!;
    }
  }
}

/** `(i * spacing)^2` for i below `count`. */
function squareTable(count: number, spacing: number): Float64Array {
  const table = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    const distance = i * spacing;
    table[i] = distance * distance;
  }
  return table;
}
