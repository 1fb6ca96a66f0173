// Cubes out of slices and back: where voxels land, by hand; a ball there and back.

import { describe, expect, it } from 'vitest';
import {
  type Cube,
  centreOfMask,
  cubeToStack,
  type SliceStack,
  takeCube,
  takeCubeMask,
} from '../../src/imaging/cube.ts';

describe('takeCube', () => {
  it('puts the axes to the right, front and head', () => {
    const stack: SliceStack = { shape: [2, 2, 2], spacingMm: [3, 3, 3] };
    // Slice, row, column as digits.
    const data = Float32Array.of(0, 1, 10, 11, 100, 101, 110, 111);
    const cube: Cube = { side: 2, spacingMm: 3, centre: [0.5, 0.5, 0.5] };
    // First axis: columns backwards; second: rows backwards; third: slices.
    expect([...takeCube(data, stack, cube)]).toEqual([11, 111, 1, 101, 10, 110, 0, 100]);
  });

  it('is linear between voxels, and 0 outside', () => {
    const stack: SliceStack = { shape: [3, 1, 1], spacingMm: [2, 1, 1] };
    const data = Float32Array.of(10, 20, 40);
    const cube: Cube = { side: 5, spacingMm: 1, centre: [1, 0, 0] };
    const middle = takeCube(data, stack, cube).subarray((2 * 5 + 2) * 5, (2 * 5 + 2) * 5 + 5);
    expect([...middle]).toEqual([10, 15, 20, 30, 40]);
    expect(takeCube(data, stack, cube).filter((v) => v !== 0)).toHaveLength(5);
  });
});

describe('a mask', () => {
  const stack: SliceStack = { shape: [16, 40, 48], spacingMm: [3, 1, 0.8] };
  const centre = [7, 18, 25] as const;
  const ball = new Uint8Array(16 * 40 * 48);
  for (let i = 0; i < ball.length; i++) {
    const [k, r, c] = [Math.floor(i / 1920), Math.floor(i / 48) % 40, i % 48];
    ball[i] = Number(Math.hypot(3 * (k - 7), r - 18, 0.8 * (c - 25)) < 12);
  }
  const cube: Cube = { side: 32, spacingMm: 1, centre };

  it('has its middle', () => {
    expect(centreOfMask(ball, stack.shape)).toEqual(centre);
    expect(centreOfMask(new Uint8Array(8), [2, 2, 2])).toBeUndefined();
  });

  it('goes into the cube and comes back all but the same', () => {
    const inside = takeCubeMask(ball, stack, cube);
    const volume = (4 / 3) * Math.PI * 12 ** 3;
    expect(inside.reduce((sum, v) => sum + v, 0) / volume).toBeCloseTo(1, 1);
    const logits = Float32Array.from(inside, (v) => 2 * v - 1);
    const back = cubeToStack(logits, stack, cube, 0);
    let [both, sum] = [0, 0];
    for (let i = 0; i < ball.length; i++) {
      both += ball[i]! * back[i]!;
      sum += ball[i]! + back[i]!;
    }
    expect((2 * both) / sum).toBeGreaterThan(0.93);
  });

  it('is empty outside the cube', () => {
    const far: Cube = { ...cube, side: 4, centre: [0, 0, 0] };
    const back = cubeToStack(new Float32Array(64).fill(1), stack, far, 0);
    // Half of four voxels of 1 mm from each corner's middle: 1 slice, 2 rows, 3 columns (of 3, 1, 0.8 mm).
    expect(back.reduce((sum, v) => sum + v, 0)).toBe(1 * 2 * 3);
  });
});
