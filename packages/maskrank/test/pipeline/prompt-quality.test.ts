// Measures of prompts that a person can compute by hand.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { boxIou } from '../../src/imaging/boxes.ts';
import type { Box, Mask } from '../../src/imaging/types.ts';
import { BASELINES, matchedIou, summariseQuality, unitQuality } from '../../src/pipeline/prompt/quality.ts';

const box = (x0: number, y0: number, x1: number, y1: number): Box => ({ x0, y0, x1, y1 });

function maskOf(width: number, height: number, ...boxes: Box[]): Mask {
  const data = new Uint8Array(width * height);
  for (const { x0, y0, x1, y1 } of boxes)
    for (let y = y0; y < y1; y++) data.fill(1, y * width + x0, y * width + x1);
  return { width, height, data };
}

const LEFT = box(0, 0, 2, 4);
const RIGHT = box(6, 0, 8, 4);
const two = maskOf(8, 4, LEFT, RIGHT);

describe('unitQuality', () => {
  it('is perfect for the tight boxes, in any order', () => {
    const points = [
      { x: 0, y: 0, label: 1 as const },
      { x: 7, y: 3, label: 1 as const },
    ];
    expect(unitQuality({ boxes: [RIGHT, LEFT], points }, two, 2)).toEqual({
      boxIou: 1,
      boxHit: true,
      pointPrecision: 1,
    });
  });

  it('counts a missing box and one too many as 0', () => {
    expect(unitQuality({ boxes: [LEFT], points: [] }, two, 2)?.boxIou).toBe(0.5);
    expect(unitQuality({ boxes: [LEFT, RIGHT], points: [] }, two, 1)?.boxIou).toBe(0.5);
    expect(unitQuality({ boxes: [], points: [] }, two, 2)).toEqual({
      boxIou: 0,
      boxHit: false,
      pointPrecision: null,
    });
  });

  it('takes the whole image for a box around nothing in particular', () => {
    // 8 of 32 pixels are the left lung's box; the centre (4, 2) lies between the lungs.
    expect(unitQuality(BASELINES['whole image'](two), two, 2)).toEqual({
      boxIou: 8 / 32 / 2,
      boxHit: false,
      pointPrecision: null,
    });
    const centred = maskOf(8, 8, box(2, 2, 6, 6));
    expect(unitQuality(BASELINES['centre box'](centred), centred, 1)).toMatchObject({
      boxIou: 1,
      boxHit: true,
    });
  });

  it('counts points of label 1 alone', () => {
    const points = [
      { x: 0, y: 0, label: 1 as const },
      { x: 4, y: 0, label: 1 as const },
      { x: 4, y: 1, label: 0 as const },
    ];
    expect(unitQuality({ boxes: [], points }, two, 2)?.pointPrecision).toBe(0.5);
  });

  it('says nothing of a class that is not there', () => {
    expect(unitQuality({ boxes: [LEFT], points: [] }, maskOf(8, 4), 2)).toBeNull();
  });
});

describe('matchedIou', () => {
  it('finds the best pairing where the greedy one is not', () => {
    // Greedy takes the pair of IoU 2/3 first and leaves 0 for the others; crosswise gives 1/2 + 1/2.
    const some = [box(0, 0, 4, 1), box(4, 0, 8, 1)];
    const others = [box(2, 0, 6, 1), box(0, 0, 2, 1)];
    expect(matchedIou(some, others)).toBeCloseTo(
      boxIou(some[1]!, others[0]!) + boxIou(some[0]!, others[1]!),
      12,
    );
  });

  const anyBox = fc
    .tuple(fc.nat(8), fc.nat(8), fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 8 }))
    .map(([x, y, w, h]) => box(x, y, x + w, y + h));
  const boxes = fc.array(anyBox, { maxLength: 4 });

  it('is the largest sum over all pairings, whichever side comes first', () => {
    fc.assert(
      fc.property(boxes, boxes, (some, others) => {
        const sum = matchedIou(some, others);
        expect(sum).toBeCloseTo(bruteForce(some, others), 10);
        expect(matchedIou(others, some)).toBeCloseTo(sum, 10);
      }),
    );
  });

  function bruteForce([first, ...rest]: readonly Box[], others: readonly Box[]): number {
    if (first === undefined) return 0;
    const paired = others.map(
      (other, i) =>
        boxIou(first, other) +
        bruteForce(
          rest,
          others.filter((_, j) => j !== i),
        ),
    );
    return Math.max(bruteForce(rest, others), ...paired);
  }
});

describe('summariseQuality', () => {
  it('takes means over cases, and over those with points', () => {
    expect(
      summariseQuality([
        { boxIou: 0.5, boxHit: true, pointPrecision: 0 },
        { boxIou: 0.1, boxHit: false, pointPrecision: 0.5 },
        { boxIou: 0.9, boxHit: true, pointPrecision: null },
      ]),
    ).toEqual({
      cases: 3,
      boxIou: 0.5,
      boxIou50: 2 / 3,
      boxHit: 2 / 3,
      pointHit: 0.5,
      pointPrecision: 0.25,
    });
    expect(summariseQuality([])).toMatchObject({ cases: 0, boxIou: null, pointHit: null });
  });
});
