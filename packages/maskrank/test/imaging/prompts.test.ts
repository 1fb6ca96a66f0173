// Boxes and points: tight, inside, distributed as stated.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  boxArea,
  boxesOfComponents,
  boxIou,
  boxOfMask,
  clampBox,
  jitterBySides,
  jitterByTranslation,
  sammed2dBoxes,
} from '../../src/imaging/boxes.ts';
import { corePoints, correctionPoints, initialPoints } from '../../src/imaging/points.ts';
import { decodeRle, encodeRle } from '../../src/imaging/rle.ts';
import { Random } from '../../src/util/random.ts';
import { draw, masks } from './arbitraries.ts';

const three = draw('.##....', '.##..#.', '.......', '###....', '......#');

describe('boxes', () => {
  it('are tight, exclusive at the end, largest first', () => {
    expect(boxOfMask(three)).toEqual({ x0: 0, y0: 0, x1: 7, y1: 5 });
    expect(boxOfMask(draw('...'))).toBeUndefined();
    expect(boxesOfComponents(three, { maxComponents: 2 })).toEqual([
      { x0: 1, y0: 0, x1: 3, y1: 2 },
      { x0: 0, y0: 3, x1: 3, y1: 4 },
    ]);
    expect(boxesOfComponents(three, { minAreaPx: 2 })).toHaveLength(2);
    expect(boxesOfComponents(draw('..'))).toEqual([]);
    fc.assert(
      fc.property(masks(20), (mask) => {
        const box = boxOfMask(mask);
        const all = boxesOfComponents(mask);
        expect(box === undefined).toBe(all.length === 0);
        for (const b of all) expect(boxIou(b, box!)).toBeCloseTo(boxArea(b) / boxArea(box!), 12);
      }),
    );
  });

  it('repeat in raster order where a model wants more than there are', () => {
    const two = draw('#..', '...', '.##');
    const [small, large] = [
      { x0: 0, y0: 0, x1: 1, y1: 1 },
      { x0: 1, y0: 2, x1: 3, y1: 3 },
    ];
    expect(sammed2dBoxes(two, 1)).toEqual([large]);
    expect(sammed2dBoxes(two, 3)).toEqual([small, large, small]);
    expect(() => sammed2dBoxes(draw('..'), 1)).toThrow(/empty/);
  });

  it('overlap and clamp', () => {
    const box = { x0: 0, y0: 0, x1: 4, y1: 2 };
    expect(boxIou(box, { x0: 2, y0: 0, x1: 6, y1: 2 })).toBeCloseTo(1 / 3, 12);
    expect(boxIou(box, { x0: 4, y0: 0, x1: 6, y1: 2 })).toBe(0);
    expect(boxIou(box, box)).toBe(1);
    expect(clampBox({ x0: -3, y0: 1, x1: 9, y1: 7 }, { width: 5, height: 6 })).toEqual({
      x0: 0,
      y0: 1,
      x1: 5,
      y1: 6,
    });
  });

  it('translate by at most min(5, floor(half the shorter side)), the upper end excluded, both corners alike', () => {
    const seen = new Set<number>();
    const random = new Random('translate');
    for (let i = 0; i < 2000; i++) {
      const box = { x0: 10, y0: 20, x1: 16, y1: 90 };
      const moved = jitterByTranslation(box, random);
      expect([moved.x1 - moved.x0, moved.y1 - moved.y0]).toEqual([6, 70]);
      seen.add(moved.x0 - 10);
      expect(Math.abs(moved.y0 - 20)).toBeLessThanOrEqual(3);
    }
    expect([...seen].sort((a, b) => a - b)).toEqual([-3, -2, -1, 0, 1, 2]);
    const tiny = { x0: 4, y0: 4, x1: 5, y1: 9 };
    expect(jitterByTranslation(tiny, random)).toBe(tiny);
    const large = { x0: 0, y0: 0, x1: 500, y1: 500 };
    for (let i = 0; i < 300; i++)
      expect(Math.abs(jitterByTranslation(large, random).x0)).toBeLessThanOrEqual(5);
  });

  it('move sides on their own, in proportion to width and height, and stay boxes', () => {
    const random = new Random('sides');
    const box = { x0: 100, y0: 100, x1: 200, y1: 140 };
    const moves = Array.from({ length: 4000 }, () => jitterBySides(box, random, 0.05));
    const deviation = (values: number[]): number =>
      Math.sqrt(values.reduce((a, v) => a + v * v, 0) / values.length);
    expect(deviation(moves.map((b) => b.x0 - 100))).toBeCloseTo(5, 0);
    expect(deviation(moves.map((b) => b.y1 - 140))).toBeCloseTo(2, 0);
    const together = moves.reduce((a, b) => a + (b.x0 - 100) * (b.x1 - 200), 0) / moves.length;
    expect(Math.abs(together)).toBeLessThan(2);
    expect(jitterBySides(box, random, 0)).toEqual(box);
    for (let i = 0; i < 500; i++) {
      const b = jitterBySides({ x0: 0, y0: 0, x1: 3, y1: 1 }, random, 1);
      expect(b.x1 - b.x0).toBeGreaterThanOrEqual(1 - 1e-9);
      expect(b.y1 - b.y0).toBeGreaterThanOrEqual(1 - 1e-9);
    }
    expect(() => jitterBySides(box, random, -1)).toThrow(/fraction/);
  });
});

describe('points', () => {
  it('start inside, half and half when there are several, and never outside the image', () => {
    fc.assert(
      fc.property(masks(16), fc.integer({ min: 1, max: 9 }), fc.string(), (mask, count, seed) => {
        const points = initialPoints(mask, count, new Random(seed));
        expect(points).toHaveLength(count);
        for (const { x, y, label } of points) expect(mask.data[y * mask.width + x]).toBe(label);
        const foreground = mask.data.reduce((a, b) => a + b, 0);
        const expected =
          foreground === 0 ? 0 : foreground === mask.data.length ? count : count === 1 ? 1 : count >> 1;
        expect(points.filter(({ label }) => label === 1)).toHaveLength(expected);
      }),
    );
  });

  it('correct errors: 1 where missed, 0 where too much, none where all is right', () => {
    const truth = draw('##..');
    const predicted = draw('.##.');
    const points = correctionPoints(predicted, truth, 50, new Random(1));
    expect(new Set(points.map(({ x, label }) => `${x}:${label}`))).toEqual(new Set(['0:1', '2:0']));
    expect(correctionPoints(truth, truth, 5, new Random(1))).toEqual([]);
    expect(() => correctionPoints(truth, draw('##', '..'), 5, new Random(1))).toThrow(/equal sizes/);
  });

  it('lie deep inside: the whole mask with share 0, the innermost with 1', () => {
    const block = draw('.......', '.#####.', '.#####.', '.#####.', '.#####.', '.#####.', '.......');
    const places = (share: number): Set<string> =>
      new Set(corePoints(block, 300, new Random('core'), share).map(({ x, y }) => `${x},${y}`));
    expect(places(0).size).toBe(25);
    expect(places(0.5).size).toBe(9);
    expect(places(1)).toEqual(new Set(['3,3']));
    // Beyond the edge is outside too.
    expect(
      new Set(corePoints(draw('###', '###', '###'), 20, new Random(1), 1).map(({ x, y }) => `${x},${y}`)),
    ).toEqual(new Set(['1,1']));
    expect(() => corePoints(draw('..'), 1, new Random(1))).toThrow(/empty/);
  });

  it('repeat with the seed', () => {
    expect(initialPoints(three, 5, new Random(4))).toEqual(initialPoints(three, 5, new Random(4)));
  });
});

describe('run lengths', () => {
  it('go down the columns and come back', () => {
    expect(encodeRle(draw('#.', '##')).counts).toEqual([0, 2, 1, 1]);
    fc.assert(
      fc.property(masks(20), (mask) => {
        expect(decodeRle(encodeRle(mask))).toEqual(mask);
      }),
    );
    expect(() => decodeRle({ width: 2, height: 2, counts: [3] })).toThrow(/add up to 3/);
  });
});
