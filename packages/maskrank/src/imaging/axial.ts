// A volume as axial slices the way radiologists look at them, whatever the order and direction of its voxel axes: slices from feet
// to head, rows from front to back, columns from the patient's right to left. Slices are cut along voxel axes, so an oblique
// scan keeps its voxels; the axis nearest to each direction stands for it. Nothing is resampled and every voxel has one place, so
// slices go back into the volume exactly. Not here: files (formats/nifti.ts), grey values (formats/window.ts).

import { type Affine, columnLengths } from './volume.ts';

/** Where slices, rows and columns of a volume lie among its voxels. */
export type AxialView = {
  /** Slices, rows, columns. */
  readonly shape: readonly [number, number, number];
  /** In the same order, mm. */
  readonly spacingMm: readonly [number, number, number];
  /** Index of the first voxel of the first slice. */
  readonly offset: number;
  /** Steps in the index from slice to slice, row to row, column to column; negative along an axis that runs the other way. */
  readonly strides: readonly [number, number, number];
};

type Voxels = Uint8Array | Uint16Array | Int16Array | Float32Array;

/** World directions of slices, rows and columns: the row of the affine, and its sign (RAS+ points to right, front, head). */
const DIRECTIONS = [
  { world: 2, sign: 1 },
  { world: 1, sign: -1 },
  { world: 0, sign: -1 },
] as const;

const ORDERS = [
  [0, 1, 2],
  [0, 2, 1],
  [1, 0, 2],
  [1, 2, 0],
  [2, 0, 1],
  [2, 1, 0],
] as const;

/** @param size voxels by axis, the first fastest; @param affine voxel indices to RAS+ mm */
export function axialView(size: readonly [number, number, number], affine: Affine): AxialView {
  const lengths = columnLengths(affine);
  const steps = [1, size[0], size[0] * size[1]] as const;
  const along = (world: 0 | 1 | 2, axis: 0 | 1 | 2) => affine[world][axis] / lengths[axis];
  // The assignment of voxel axes to directions with the largest sum of cosines; the first of equals.
  const fit = (order: (typeof ORDERS)[number]) =>
    DIRECTIONS.reduce((sum, { world }, i) => sum + Math.abs(along(world, order[i]!)), 0);
  const axes = ORDERS.reduce((best, order) => (fit(order) > fit(best) + 1e-9 ? order : best));
  const chosen = DIRECTIONS.map(({ world, sign }, i) => {
    const axis = axes[i]!;
    const isBackwards = along(world, axis) * sign < 0;
    return {
      axis,
      stride: isBackwards ? -steps[axis] : steps[axis],
      start: isBackwards ? size[axis] - 1 : 0,
    };
  });
  const three = <T>(f: (c: (typeof chosen)[number]) => T) => chosen.map(f) as unknown as readonly [T, T, T];
  return {
    shape: three(({ axis }) => size[axis]),
    spacingMm: three(({ axis }) => lengths[axis]),
    offset: chosen.reduce((sum, { axis, start }) => sum + start * steps[axis], 0),
    strides: three(({ stride }) => stride),
  };
}

/** Slice `k`, row-major. */
export function takeSlice<T extends Voxels>({ shape, strides, offset }: AxialView, data: T, k: number): T {
  const [, rows, columns] = shape;
  const slice = new (data.constructor as new (length: number) => T)(rows * columns);
  const first = offset + k * strides[0];
  for (let y = 0; y < rows; y++) {
    let from = first + y * strides[1];
    for (let x = 0; x < columns; x++, from += strides[2]) slice[y * columns + x] = data[from]!;
  }
  return slice;
}

/** Puts a slice, row-major, at `k` into the volume's voxels. */
export function putSlice(
  { shape, strides, offset }: AxialView,
  data: Voxels,
  k: number,
  slice: ArrayLike<number>,
): void {
  const [, rows, columns] = shape;
  const first = offset + k * strides[0];
  for (let y = 0; y < rows; y++) {
    let to = first + y * strides[1];
    for (let x = 0; x < columns; x++, to += strides[2]) data[to] = slice[y * columns + x]!;
  }
}

/** Name of a slice of a volume, as imports and prompts have it: `amos_0001_s042`. */
export const sliceName = (volume: string, k: number): string => `${volume}_s${String(k).padStart(3, '0')}`;
