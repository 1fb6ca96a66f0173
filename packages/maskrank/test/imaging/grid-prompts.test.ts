// Point grids, crops and stability by hand; the reference's numbers are in the golden fixtures.

import { describe, expect, it } from 'vitest';
import { cropBoxes, pointGrid, stabilityScore } from '../../src/imaging/grid-prompts.ts';

describe('grids', () => {
  it('puts points into the middle of cells, rows first', () => {
    expect(pointGrid(2)).toEqual([
      { x: 0.25, y: 0.25 },
      { x: 0.75, y: 0.25 },
      { x: 0.25, y: 0.75 },
      { x: 0.75, y: 0.75 },
    ]);
  });

  it('covers the image with each layer of crops', () => {
    const crops = cropBoxes({ width: 100, height: 60 }, 2, 0.3);
    expect(crops.map(({ layer }) => layer)).toEqual([0, ...Array(4).fill(1), ...Array(16).fill(2)]);
    for (const layer of [1, 2]) {
      const covered = new Uint8Array(6000);
      for (const { box } of crops.filter((crop) => crop.layer === layer)) {
        for (let y = box.y0; y < box.y1; y++) covered.fill(1, y * 100 + box.x0, y * 100 + box.x1);
      }
      expect(covered.includes(0)).toBe(false);
    }
  });

  it('scores how much a mask depends on its threshold', () => {
    expect(stabilityScore({ data: Float32Array.of(-5, 5, 5, 0.5) }, 0, 1)).toBeCloseTo(2 / 3, 12);
    expect(stabilityScore({ data: Float32Array.of(-5) }, 0, 1)).toBeNaN();
  });
});
