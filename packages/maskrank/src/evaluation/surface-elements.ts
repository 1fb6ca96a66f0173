// The surface of a binary grid as a list of elements: corners where 4 pixels (8 voxels) meet that are neither all inside
// nor all outside, each with the length (area) of the surface near it. Semantics of google-deepmind/surface-distance:
// everything beyond the grid counts as background, so an object cut off by the image's edge has surface there.
// Not here: distances between surfaces (nearest-surface.ts).

import { contourLengths, FULL_CODE_2D, FULL_CODE_3D, surfaceAreas } from './surface-tables.ts';

/** A binary image or volume; non-zero is inside. */
export type Grid = {
  /** [rows, columns] or [slices, rows, columns]. */
  readonly shape: readonly number[];
  /** Row-major, as many values as the shape has places. */
  readonly data: Uint8Array;
};

/** Places of a lattice of corners by axis: slices, rows, columns; one slice for an image. */
export type Lattice = readonly [number, number, number];

/** Surface elements of one grid. */
export type SurfaceElements = {
  /** Row-major index of each element in the lattice of corners, ascending. */
  readonly corners: Int32Array;
  /** Length (2-D) or area (3-D) of each element, in the spacing's unit (squared in 3-D). */
  readonly sizes: Float64Array;
};

/** The corners of a grid: one more than it has pixels along each axis. */
export function latticeOf(grid: Grid): Lattice {
  const [columns, rows, slices] = grid.shape.map((n) => n + 1).reverse() as [number, number, number?];
  return [slices ?? 1, rows, columns];
}

/** Finds the surface elements of a grid. `spacing` has the order of the grid's shape. */
export function surfaceElements(grid: Grid, spacing: readonly number[]): SurfaceElements {
  return grid.shape.length === 2
    ? contourElements(grid, contourLengths(spacing as [number, number]))
    : areaElements(grid, surfaceAreas(spacing as [number, number, number]));
}

// Most pixels lie deep inside or outside, so words of four are compared first. `and` of words with four non-zero bytes
// is one of these two for masks of 0 and 1 or of 0 and 255; other masks are read pixel by pixel.
const allInside = (and: number): boolean => and === 0x01010101 || and === -1;

function contourElements(grid: Grid, lengths: Float64Array): SurfaceElements {
  const [height, width] = grid.shape as [number, number];
  const found = new ElementList(4 * (width + height));
  const rowAt = rowsOf(grid);
  for (let y = 0; y <= height; y++) {
    // Row y of corners lies between the rows y - 1 (a) and y (b) of pixels.
    const { bytes: a, words: aWords, start: aStart } = rowAt(0, y - 1);
    const { bytes: b, words: bWords, start: bStart } = rowAt(0, y);
    const corner = y * (width + 1);
    let code = 0;
    for (let x = 0; x < width; x++) {
      for (; x + 8 <= width && (code === 0 || code === FULL_CODE_2D); x += 8) {
        const [i, j] = [aStart + x, bStart + x];
        const [a0, a1] = [aWords.getInt32(i, true), aWords.getInt32(i + 4, true)];
        const [b0, b1] = [bWords.getInt32(j, true), bWords.getInt32(j + 4, true)];
        if (code === 0 ? (a0 | a1 | b0 | b1) !== 0 : !allInside(a0 & a1 & b0 & b1)) break;
      }
      if (x === width) break;
      code = ((code & 5) << 1) | (a[aStart + x] === 0 ? 0 : 4) | (b[bStart + x] === 0 ? 0 : 1);
      if (code !== 0 && code !== FULL_CODE_2D) found.add(corner + x, lengths[code]!);
    }
    code = (code & 5) << 1;
    if (code !== 0) found.add(corner + width, lengths[code]!);
  }
  return found.finish();
}

function areaElements(grid: Grid, areas: Float64Array): SurfaceElements {
  const [depth, height, width] = grid.shape as [number, number, number];
  const found = new ElementList(width * height + height * depth + depth * width);
  const rowAt = rowsOf(grid);
  for (let z = 0; z <= depth; z++) {
    for (let y = 0; y <= height; y++) {
      const { bytes: a, words: aWords, start: aStart } = rowAt(z - 1, y - 1);
      const { bytes: b, words: bWords, start: bStart } = rowAt(z - 1, y);
      const { bytes: c, words: cWords, start: cStart } = rowAt(z, y - 1);
      const { bytes: d, words: dWords, start: dStart } = rowAt(z, y);
      const corner = (z * (height + 1) + y) * (width + 1);
      let code = 0;
      for (let x = 0; x < width; x++) {
        for (; x + 4 <= width && (code === 0 || code === FULL_CODE_3D); x += 4) {
          const [a0, b0] = [aWords.getInt32(aStart + x, true), bWords.getInt32(bStart + x, true)];
          const [c0, d0] = [cWords.getInt32(cStart + x, true), dWords.getInt32(dStart + x, true)];
          if (code === 0 ? (a0 | b0 | c0 | d0) !== 0 : !allInside(a0 & b0 & c0 & d0)) break;
        }
        if (x === width) break;
        const ab = (a[aStart + x] === 0 ? 0 : 64) | (b[bStart + x] === 0 ? 0 : 16);
        const cd = (c[cStart + x] === 0 ? 0 : 4) | (d[dStart + x] === 0 ? 0 : 1);
        code = ((code & 0x55) << 1) | ab | cd;
        if (code !== 0 && code !== FULL_CODE_3D) found.add(corner + x, areas[code]!);
      }
      code = (code & 0x55) << 1;
      if (code !== 0) found.add(corner + width, areas[code]!);
    }
  }
  return found.finish();
}

/** A row of pixels: its bytes from `start`, and the same bytes for reading four at once. */
type Row = { readonly bytes: Uint8Array; readonly words: DataView; readonly start: number };

/** Rows of a grid by slice and row; a row of background beyond it. */
function rowsOf(grid: Grid): (z: number, y: number) => Row {
  const [height, width] = grid.shape.slice(-2) as [number, number];
  const depth = grid.shape.length === 2 ? 1 : grid.shape[0]!;
  const { data } = grid;
  const words = new DataView(data.buffer, data.byteOffset, data.length);
  const background = new Uint8Array(width);
  const outside = { bytes: background, words: new DataView(background.buffer), start: 0 };
  return (z, y) =>
    z >= 0 && z < depth && y >= 0 && y < height
      ? { bytes: data, words, start: (z * height + y) * width }
      : outside;
}

class ElementList {
  private corners: Int32Array;
  private sizes: Float64Array;
  private count = 0;

  constructor(capacity: number) {
    this.corners = new Int32Array(capacity);
    this.sizes = new Float64Array(capacity);
  }

  add(corner: number, size: number): void {
    if (this.count === this.corners.length) this.grow();
    this.corners[this.count] = corner;
    this.sizes[this.count++] = size;
  }

  finish(): SurfaceElements {
    return { corners: this.corners.slice(0, this.count), sizes: this.sizes.slice(0, this.count) };
  }

  private grow(): void {
    const { corners, sizes } = this;
    this.corners = new Int32Array(2 * corners.length);
    this.corners.set(corners);
    this.sizes = new Float64Array(2 * sizes.length);
    this.sizes.set(sizes);
  }
}
