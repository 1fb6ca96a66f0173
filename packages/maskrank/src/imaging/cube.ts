// A cube cut out of a stack of axial slices at a spacing of its own, in the order of axes that SAM-Med3D was trained with (to the
// patient's right, front, head), and masks on the cube taken back to the slices. Linear between voxels, zero outside.
// Not here: files and slices (axial.ts), grey values to a network's input (models/sam3d).

/** Voxels of axial slices: slices from feet to head, rows from front to back, columns from right to left; columns fastest. */
export type SliceStack = {
  readonly shape: readonly [slices: number, rows: number, columns: number];
  /** In the same order, mm. */
  readonly spacingMm: readonly [number, number, number];
};

export type Cube = {
  /** Voxels a side. */
  readonly side: number;
  readonly spacingMm: number;
  /** Slice, row and column of its middle; between voxels where it falls there. */
  readonly centre: readonly [number, number, number];
};

/** Places along one axis of the cube, as indices of the stack, and their neighbours. */
type Axis = { readonly lower: Int32Array; readonly share: Float32Array };

/**
 * Where the cube's voxels lie along an axis of the stack. The cube's axes run with the slices, but against rows and columns:
 * to the front and to the right.
 */
function axisOf({ side, spacingMm, centre }: Cube, stack: SliceStack, axis: 0 | 1 | 2): Axis {
  const direction = axis === 0 ? 1 : -1;
  const step = (direction * spacingMm) / stack.spacingMm[axis];
  const lower = new Int32Array(side);
  const share = new Float32Array(side);
  for (let i = 0; i < side; i++) {
    const place = centre[axis] + (i - (side - 1) / 2) * step;
    lower[i] = Math.floor(place);
    share[i] = place - lower[i]!;
  }
  return { lower, share };
}

/** The stack's values in the cube, [side, side, side] to the right, front, head, the last fastest. */
export function takeCube(data: ArrayLike<number>, stack: SliceStack, cube: Cube): Float32Array {
  const [slices, rows, columns] = stack.shape;
  const [z, y, x] = [axisOf(cube, stack, 0), axisOf(cube, stack, 1), axisOf(cube, stack, 2)];
  const { side } = cube;
  const out = new Float32Array(side ** 3);
  const at = (k: number, r: number, c: number): number =>
    k < 0 || k >= slices || r < 0 || r >= rows || c < 0 || c >= columns
      ? 0
      : data[(k * rows + r) * columns + c]!;
  let to = 0;
  for (let i = 0; i < side; i++) {
    const [c, fc] = [x.lower[i]!, x.share[i]!];
    for (let j = 0; j < side; j++) {
      const [r, fr] = [y.lower[j]!, y.share[j]!];
      for (let l = 0; l < side; l++) {
        const [k, fk] = [z.lower[l]!, z.share[l]!];
        const plane = (slice: number): number =>
          (at(slice, r, c) * (1 - fc) + at(slice, r, c + 1) * fc) * (1 - fr) +
          (at(slice, r + 1, c) * (1 - fc) + at(slice, r + 1, c + 1) * fc) * fr;
        out[to++] = plane(k) * (1 - fk) + (fk === 0 ? 0 : plane(k + 1) * fk);
      }
    }
  }
  return out;
}

/** The same for a mask of 0 and 1: 1 where at least half of the neighbourhood is. */
export function takeCubeMask(data: ArrayLike<number>, stack: SliceStack, cube: Cube): Uint8Array {
  return Uint8Array.from(takeCube(data, stack, cube), (v) => Number(v >= 0.5));
}

/** Where slice, row or column `i` of the stack lies along the cube, in its voxels. */
const alongCube = (
  { side, spacingMm, centre }: Cube,
  stack: SliceStack,
  axis: 0 | 1 | 2,
  i: number,
): number =>
  (side - 1) / 2 + ((axis === 0 ? 1 : -1) * (i - centre[axis]) * stack.spacingMm[axis]) / spacingMm;

/** A voxel of the stack among the cube's, to the right, front, head; undefined where it is outside. */
export function placeInCube(
  [slice, row, column]: readonly [slice: number, row: number, column: number],
  stack: SliceStack,
  cube: Cube,
): readonly [number, number, number] | undefined {
  const place = [
    alongCube(cube, stack, 2, column),
    alongCube(cube, stack, 1, row),
    alongCube(cube, stack, 0, slice),
  ] as const;
  return place.every((p) => p > -0.5 && p < cube.side - 0.5) ? place : undefined;
}

/** Voxels of the stack, 1 where the cube's values [side, side, side] are above `level` between its voxels; 0 outside the cube. */
export function cubeToStack(values: Float32Array, stack: SliceStack, cube: Cube, level: number): Uint8Array {
  const [slices, rows, columns] = stack.shape;
  const { side } = cube;
  const out = new Uint8Array(slices * rows * columns);
  const isInside = (p: number) => p > -0.5 && p < side - 0.5;
  const clamped = (i: number) => Math.min(side - 1, Math.max(0, i));
  for (let k = 0; k < slices; k++) {
    const z = alongCube(cube, stack, 0, k);
    if (!isInside(z)) continue;
    for (let r = 0; r < rows; r++) {
      const y = alongCube(cube, stack, 1, r);
      if (!isInside(y)) continue;
      for (let c = 0; c < columns; c++) {
        const x = alongCube(cube, stack, 2, c);
        if (isInside(x)) out[(k * rows + r) * columns + c] = Number(linear(x, y, z) > level);
      }
    }
  }
  return out;

  function linear(x: number, y: number, z: number): number {
    const [x0, y0, z0] = [Math.floor(x), Math.floor(y), Math.floor(z)];
    const [fx, fy, fz] = [x - x0, y - y0, z - z0];
    let sum = 0;
    for (let corner = 0; corner < 8; corner++) {
      const [dx, dy, dz] = [corner & 1, (corner >> 1) & 1, corner >> 2];
      const weight = (dx ? fx : 1 - fx) * (dy ? fy : 1 - fy) * (dz ? fz : 1 - fz);
      if (weight > 0)
        sum += weight * values[(clamped(x0 + dx) * side + clamped(y0 + dy)) * side + clamped(z0 + dz)]!;
    }
    return sum;
  }
}

/** Middle of the box around everything that is not 0: slice, row, column; undefined where all is 0. */
export function centreOfMask(
  data: ArrayLike<number>,
  [slices, rows, columns]: SliceStack['shape'],
): readonly [number, number, number] | undefined {
  const low = [slices, rows, columns];
  const high = [-1, -1, -1];
  for (let i = 0; i < slices * rows * columns; i++) {
    if (data[i] === 0) continue;
    const place = [Math.floor(i / (rows * columns)), Math.floor(i / columns) % rows, i % columns];
    place.forEach((p, axis) => {
      if (p < low[axis]!) low[axis] = p;
      if (p > high[axis]!) high[axis] = p;
    });
  }
  if (high[0]! < 0) return undefined;
  return [0, 1, 2].map((axis) => (low[axis]! + high[axis]!) / 2) as unknown as readonly [
    number,
    number,
    number,
  ];
}
