// Components against a naive flood fill, and the choice of the largest.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { byArea, type Connectivity, keepLargest, labelComponents } from '../../src/imaging/components.ts';
import type { Mask } from '../../src/imaging/types.ts';
import { draw, masks, show } from './arbitraries.ts';

const STEPS = {
  4: [
    [1, 0],
    [-1, 0],
    [0, 1],
    [0, -1],
  ],
  8: [
    [1, 0],
    [-1, 0],
    [0, 1],
    [0, -1],
    [1, 1],
    [1, -1],
    [-1, 1],
    [-1, -1],
  ],
} as const;

function floodFill({ width, height, data }: Mask, connectivity: Connectivity): number[] {
  const labels = new Array<number>(data.length).fill(0);
  let count = 0;
  for (let start = 0; start < data.length; start++) {
    if (data[start] === 0 || labels[start] !== 0) continue;
    count++;
    const stack = [start];
    labels[start] = count;
    while (stack.length > 0) {
      const i = stack.pop()!;
      for (const [dx, dy] of STEPS[connectivity]) {
        const [x, y] = [(i % width) + dx, Math.floor(i / width) + dy];
        const j = y * width + x;
        if (x < 0 || y < 0 || x >= width || y >= height || data[j] === 0 || labels[j] !== 0) continue;
        labels[j] = count;
        stack.push(j);
      }
    }
  }
  return labels;
}

describe('labelComponents', () => {
  it.each([4, 8] as const)(
    'equals a flood fill under %i-connectivity, labels in raster order',
    (connectivity) => {
      fc.assert(
        fc.property(masks(30), (mask) => {
          const { labels, components } = labelComponents(mask, connectivity);
          expect([...labels]).toEqual(floodFill(mask, connectivity));
          for (const { label, areaPx, box, centroid } of components) {
            const pixels = [...labels.keys()].filter((i) => labels[i] === label);
            const xs = pixels.map((i) => i % mask.width);
            const ys = pixels.map((i) => Math.floor(i / mask.width));
            expect(areaPx).toBe(pixels.length);
            expect(box).toEqual({
              x0: Math.min(...xs),
              y0: Math.min(...ys),
              x1: Math.max(...xs) + 1,
              y1: Math.max(...ys) + 1,
            });
            expect(centroid.x).toBeCloseTo(xs.reduce((a, b) => a + b, 0) / xs.length, 9);
            expect(centroid.y).toBeCloseTo(ys.reduce((a, b) => a + b, 0) / ys.length, 9);
          }
        }),
        { numRuns: 300 },
      );
    },
  );

  it('unites arms that meet late', () => {
    const comb = draw('#.#.#.#', '#.#.#.#', '#.#.#.#', '#######');
    expect(labelComponents(comb, 4).components).toHaveLength(1);
    const spiral = draw('#####', '....#', '###.#', '#.###'.slice(0, 5), '#....');
    expect(labelComponents(spiral, 4).components).toHaveLength(1);
    expect(labelComponents(draw('#.', '.#'), 4).components).toHaveLength(2);
    expect(labelComponents(draw('#.', '.#'), 8).components).toHaveLength(1);
  });
});

describe('keepLargest', () => {
  const three = draw('##.#..', '......', '#..##.');
  it('breaks ties by raster order', () => {
    expect(show(keepLargest(three, 1))).toEqual(['##....', '......', '......']);
    expect(show(keepLargest(three, 2))).toEqual(['##....', '......', '...##.']);
    expect(byArea(labelComponents(three).components).map(({ label }) => label)).toEqual([1, 4, 2, 3]);
  });

  it('can keep all that tie, and drops what is too small', () => {
    expect(show(keepLargest(three, 1, { ties: 'all' }))).toEqual(['##....', '......', '...##.']);
    expect(show(keepLargest(three, 9, { minAreaPx: 2 }))).toEqual(['##....', '......', '...##.']);
    expect(keepLargest(draw('...'), 2).data).toEqual(new Uint8Array(3));
  });
});
