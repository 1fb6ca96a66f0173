import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Box, Mask } from '../../src/imaging/types.ts';
import { type FromMaskOptions, loosenBox, promptFromMask } from '../../src/prompting/from-mask.ts';
import { Random } from '../../src/util/random.ts';

const SIDE = 40;
const filled = (...boxes: Box[]): Mask => {
  const data = new Uint8Array(SIDE * SIDE);
  for (const { x0, y0, x1, y1 } of boxes)
    for (let y = y0; y < y1; y++) data.fill(1, y * SIDE + x0, y * SIDE + x1);
  return { width: SIDE, height: SIDE, data };
};
const large = { x0: 4, y0: 5, x1: 20, y1: 17 };
const small = { x0: 28, y0: 30, x1: 34, y1: 36 };
const options: FromMaskOptions = {
  maxBoxes: 4,
  boxes: true,
  points: 3,
  negativePoints: 2,
  jitter: { kind: 'none', sigma: 0.12 },
};
const kinds = fc.constantFrom('none' as const, 'translation' as const, 'sides' as const);
const seeds = fc.nat(10_000);
const at = (mask: Mask, { x, y }: { x: number; y: number }) => mask.data[y * SIDE + x];

describe('promptFromMask', () => {
  it('boxes the components tightly, the largest first, as many as asked for', () => {
    const mask = filled(small, large);
    expect(promptFromMask(mask, options, new Random(1)).boxes).toEqual([large, small]);
    expect(promptFromMask(mask, { ...options, maxBoxes: 1 }, new Random(1)).boxes).toEqual([large]);
    expect(promptFromMask(mask, { ...options, boxes: false }, new Random(1)).boxes).toEqual([]);
  });

  it('of an empty mask is nothing', () => {
    expect(promptFromMask(filled(), options, new Random(1))).toEqual({ boxes: [], points: [] });
  });

  it('points lie inside, background points outside, boxes on the image; the same from the same stream', () => {
    fc.assert(
      fc.property(kinds, seeds, (kind, seed) => {
        const mask = filled(large, small);
        const draw = () =>
          promptFromMask(mask, { ...options, jitter: { kind, sigma: 0.3 } }, new Random(seed));
        const { boxes, points } = draw();
        expect(draw()).toEqual({ boxes, points });
        expect(points.map((p) => p.label)).toEqual([1, 1, 1, 0, 0]);
        for (const p of points) expect(at(mask, p)).toBe(p.label);
        for (const b of boxes) {
          expect(b.x0 >= 0 && b.y0 >= 0 && b.x1 <= SIDE && b.y1 <= SIDE).toBe(true);
          expect(b.x0 < b.x1 && b.y0 < b.y1).toBe(true);
        }
      }),
    );
  });

  it('of a mask that fills the image has no background point, and ends', () => {
    const whole = filled({ x0: 0, y0: 0, x1: SIDE, y1: SIDE });
    expect(promptFromMask(whole, options, new Random(1)).points.every((p) => p.label === 1)).toBe(true);
  });
});

describe('loosenBox', () => {
  const iou = (a: Box, b: Box): number => {
    const overlap =
      Math.max(0, Math.min(a.x1, b.x1) - Math.max(a.x0, b.x0)) *
      Math.max(0, Math.min(a.y1, b.y1) - Math.max(a.y0, b.y0));
    const area = (c: Box) => (c.x1 - c.x0) * (c.y1 - c.y0);
    return overlap / (area(a) + area(b) - overlap);
  };

  it('with sigma 0.12 overlaps the tight box by about 0.6, mostly from outside', () => {
    const tight = { x0: 100, y0: 200, x1: 180, y1: 260 };
    const random = new Random(3);
    const drawn = Array.from({ length: 2000 }, () => loosenBox(tight, 0.12, random));
    const mean = (of: (b: Box) => number) => drawn.reduce((sum, b) => sum + of(b), 0) / drawn.length;
    expect(Math.abs(mean((b) => iou(b, tight)) - 0.62)).toBeLessThan(0.05);
    expect(mean((b) => Number(b.x0 < tight.x0))).toBeGreaterThan(0.7);
    expect(mean((b) => Number(b.y1 > tight.y1))).toBeGreaterThan(0.7);
  });

  it('with sigma 0 is the box', () => {
    for (const seed of [1, 2, 3]) expect(loosenBox(large, 0, new Random(seed))).toEqual(large);
  });
});
