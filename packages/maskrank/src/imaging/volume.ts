// Volumes: voxels with the matrix that says where they are in the patient. Not here: files (formats/nifti.ts), slices (axial.ts).

/** Three rows of the matrix that takes voxel (i, j, k, 1) to RAS+ millimetres: x to the right, y anterior, z superior. */
export type Affine = readonly [AffineRow, AffineRow, AffineRow];
export type AffineRow = readonly [number, number, number, number];

export type VoxelArray = Uint8Array | Int16Array | Float32Array;

/** Voxels, i fastest: index `(k * size[1] + j) * size[0] + i`. */
export type Volume<T extends VoxelArray = VoxelArray> = {
  readonly size: readonly [number, number, number];
  readonly data: T;
  readonly affine: Affine;
};

/** Voxel spacing by voxel axis, mm: the lengths of the affine's columns. */
export function columnLengths(a: Affine): [number, number, number] {
  const length = (c: 0 | 1 | 2) => Math.hypot(a[0][c], a[1][c], a[2][c]);
  return [length(0), length(1), length(2)];
}
