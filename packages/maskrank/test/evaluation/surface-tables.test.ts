import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { contourLengths, surfaceAreas } from '../../src/evaluation/surface-tables.ts';

const SIDE = Math.SQRT1_2; // half a diagonal of a unit pixel

describe('contour lengths', () => {
  it('are half a diagonal for a corner, a side for an edge, two corners for a saddle', () => {
    const lengths = contourLengths([1, 1]);
    expect([...lengths]).toEqual([
      0,
      SIDE,
      SIDE,
      1,
      SIDE,
      1,
      2 * SIDE,
      SIDE,
      SIDE,
      2 * SIDE,
      1,
      SIDE,
      1,
      SIDE,
      SIDE,
      0,
    ]);
  });

  it('take the width for a horizontal edge and the height for a vertical one', () => {
    const lengths = contourLengths([3, 4]);
    expect(lengths[0b0011]).toBe(4);
    expect(lengths[0b0101]).toBe(3);
    expect(lengths[0b0001]).toBe(2.5);
  });
});

describe('surface areas', () => {
  const bit = (z: number, y: number, x: number) => 128 >> (4 * z + 2 * y + x);
  const unit = surfaceAreas([1, 1, 1]);

  it('are nothing where all or no corners are inside', () => {
    expect(unit[0]).toBe(0);
    expect(unit[255]).toBe(0);
  });

  it('of one corner is the triangle through three edge midpoints', () => {
    // Sides sqrt(2)/2: area sqrt(3)/8.
    for (let corner = 0; corner < 8; corner++) expect(unit[1 << corner]).toBeCloseTo(Math.sqrt(3) / 8, 14);
  });

  it('of a face of corners is the face of the voxel', () => {
    const areas = surfaceAreas([2, 3, 5]);
    const slice = bit(0, 0, 0) + bit(0, 0, 1) + bit(0, 1, 0) + bit(0, 1, 1);
    const row = bit(0, 0, 0) + bit(0, 0, 1) + bit(1, 0, 0) + bit(1, 0, 1);
    const column = bit(0, 0, 0) + bit(0, 1, 0) + bit(1, 0, 0) + bit(1, 1, 0);
    expect(areas[slice]).toBeCloseTo(15, 12);
    expect(areas[row]).toBeCloseTo(10, 12);
    expect(areas[column]).toBeCloseTo(6, 12);
  });

  it('of an edge of corners is the rectangle that cuts it off', () => {
    // One side runs along the edge, the other is the hypotenuse of half steps.
    const areas = surfaceAreas([2, 3, 5]);
    expect(areas[bit(0, 0, 0) + bit(0, 0, 1)]).toBeCloseTo(5 * Math.hypot(1, 1.5), 12);
  });

  // google-deepmind/surface-distance, classes of neighbourhoods up to rotation at spacing 1, one code of each class.
  it.each([
    [1, 0.21651],
    [3, Math.SQRT1_2],
    [6, 0.43301],
    [7, 1.14952],
    [15, 1],
    [22, 0.64952],
    [23, 1.29904],
    [24, 0.43301],
    [25, 0.92361],
    [27, 1.57313],
    [29, 1.57313],
    [30, 1.36603],
    [60, Math.SQRT2],
    [61, 0.92361],
    [105, 0.86603],
    [126, 0.43301],
    [127, 0.21651],
  ])('of code %i is %f', (code, area) => {
    expect(unit[code]).toBeCloseTo(area, 5);
  });

  // google-deepmind/surface-distance: sum over codes of area, of area * code, of area squared.
  it.each([
    [[3, 0.75, 0.875], 480.41442858641665, 61252.83964476813, 1079.1731553970967],
    [[0.7, 1.1, 5], 884.6785175863456, 112796.51099225906, 3707.5995161152523],
  ] as const)("of all codes at spacing %j are the reference's", (spacing, sum, moment, squares) => {
    const areas = [...surfaceAreas(spacing)];
    expect(areas.reduce((total, area) => total + area, 0)).toBeCloseTo(sum, 9);
    expect(areas.reduce((total, area, code) => total + area * code, 0)).toBeCloseTo(moment, 7);
    expect(areas.reduce((total, area) => total + area * area, 0)).toBeCloseTo(squares, 9);
  });

  it('do not change when inside and outside, left and right, or the axes change places', () => {
    const spacing = fc.double({ min: 0.2, max: 5, noNaN: true });
    const swapYx = (code: number) => permute(code, ([z, y, x]) => [z, x, y]);
    const flipX = (code: number) => permute(code, ([z, y, x]) => [z, y, 1 - x]);
    function permute(
      code: number,
      to: (corner: [number, number, number]) => [number, number, number],
    ): number {
      let out = 0;
      for (let c = 0; c < 8; c++) {
        if ((code & (128 >> c)) !== 0) out |= bit(...to([c >> 2, (c >> 1) & 1, c & 1]));
      }
      return out;
    }
    fc.assert(
      fc.property(spacing, spacing, spacing, fc.nat(255), (s0, s1, s2, code) => {
        const areas = surfaceAreas([s0, s1, s2]);
        expect(areas[255 - code]).toBeCloseTo(areas[code]!, 10);
        expect(areas[flipX(code)]).toBeCloseTo(areas[code]!, 10);
        expect(surfaceAreas([s0, s2, s1])[swapYx(code)]).toBeCloseTo(areas[code]!, 10);
      }),
      { numRuns: 100 },
    );
  });
});
