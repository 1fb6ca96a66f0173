// Boxes and points land where warp puts the pixels under them: known movements by hand, any movement by painted masks.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { augment, DEFAULT_AUGMENTATION } from '../../src/imaging/augment.ts';
import { boxOfMask } from '../../src/imaging/boxes.ts';
import { type Motion, moveBox, movePoint } from '../../src/imaging/motion.ts';
import type { Box, Mask } from '../../src/imaging/types.ts';
import { makeAffine, makeDisplacement, warp } from '../../src/imaging/warp.ts';
import { Random } from '../../src/util/random.ts';

const SIDE = 48;
const still = {
  rotationDegrees: 0,
  scale: 1,
  translationPx: [0, 0],
  flipHorizontal: false,
  flipVertical: false,
} as const;
const motionOf = (parts: Partial<Parameters<typeof makeAffine>[0]>, bendPx = 0): Motion => ({
  size: { width: SIDE, height: SIDE },
  affine: makeAffine({ ...still, ...parts }),
  displacement: bendPx > 0 ? makeDisplacement(4, bendPx, new Random(`bend ${bendPx}`)) : undefined,
});

function painted({ x0, y0, x1, y1 }: Box): Mask {
  const data = new Uint8Array(SIDE * SIDE);
  for (let y = y0; y < y1; y++) data.fill(1, y * SIDE + x0, y * SIDE + x1);
  return { width: SIDE, height: SIDE, data };
}

function warped(mask: Mask, motion: Motion): Mask {
  const image = { width: SIDE, height: SIDE, channels: 1, data: new Uint8Array(SIDE * SIDE) } as const;
  return warp({ image, masks: [mask] }, motion.affine, motion.displacement).masks[0] as Mask;
}

const box = fc
  .record({
    x0: fc.integer({ min: 0, max: SIDE - 6 }),
    y0: fc.integer({ min: 0, max: SIDE - 6 }),
    width: fc.integer({ min: 3, max: SIDE }),
    height: fc.integer({ min: 3, max: SIDE }),
  })
  .map(({ x0, y0, width, height }) => ({
    x0,
    y0,
    x1: Math.min(SIDE, x0 + width),
    y1: Math.min(SIDE, y0 + height),
  }));
const parts = fc.record({
  rotationDegrees: fc.double({ min: -180, max: 180, noNaN: true }),
  scale: fc.double({ min: 0.6, max: 1.7, noNaN: true }),
  translationPx: fc.tuple(
    fc.double({ min: -9, max: 9, noNaN: true }),
    fc.double({ min: -9, max: 9, noNaN: true }),
  ),
  flipHorizontal: fc.boolean(),
  flipVertical: fc.boolean(),
});

describe('moveBox', () => {
  const at = { x0: 4, y0: 6, x1: 10, y1: 20 };

  it.each([
    ['nothing', {}, at],
    ['a mirror', { flipHorizontal: true }, { x0: 38, y0: 6, x1: 44, y1: 20 }],
    ['a shift', { translationPx: [3, -2] }, { x0: 7, y0: 4, x1: 13, y1: 18 }],
    ['a quarter turn counter-clockwise', { rotationDegrees: 90 }, { x0: 6, y0: 38, x1: 20, y1: 44 }],
  ] as const)('by hand: %s', (_name, change, wanted) => {
    const moved = moveBox(motionOf(change), at);
    for (const key of ['x0', 'y0', 'x1', 'y1'] as const) expect(moved?.[key]).toBeCloseTo(wanted[key], 6);
  });

  it('is cut at the edge, and gone beyond it', () => {
    expect(moveBox(motionOf({ scale: 2 }), { x0: 20, y0: 4, x1: 26, y1: 20 })).toEqual({
      x0: 16,
      y0: 0,
      x1: 28,
      y1: 16,
    });
    expect(moveBox(motionOf({ scale: 2 }), at)).toBeUndefined(); // x from -16 to -4
  });

  it.each([0, 1.2])('covers every pixel of the painted and moved box, bent by %d px', (bendPx) => {
    fc.assert(
      fc.property(box, parts, (before, change) => {
        const motion = motionOf(change, bendPx);
        const mask = warped(painted(before), motion);
        const moved = moveBox(motion, before);
        const room = 1e-3 + bendPx * 0.2; // a bent side bulges a little between the places that are followed
        for (let i = 0; i < mask.data.length; i++) {
          if (mask.data[i] === 0) continue;
          const [x, y] = [(i % SIDE) + 0.5, Math.floor(i / SIDE) + 0.5];
          expect(moved).toBeDefined();
          const { x0, y0, x1, y1 } = moved as Box;
          expect(x0 - room <= x && x <= x1 + room && y0 - room <= y && y <= y1 + room).toBe(true);
        }
      }),
      { numRuns: 80 },
    );
  });

  it('is tight: upright movements give the box of the moved mask', () => {
    fc.assert(
      fc.property(box, parts, (before, change) => {
        const motion = motionOf({ ...change, rotationDegrees: 0 });
        const tight = boxOfMask(warped(painted(before), motion));
        const moved = moveBox(motion, before);
        if (tight === null || tight === undefined || moved === undefined) return;
        for (const key of ['x0', 'y0', 'x1', 'y1'] as const)
          expect(Math.abs(moved[key] - tight[key])).toBeLessThan(0.51);
      }),
      { numRuns: 80 },
    );
  });

  it('stays on the canvas, or is gone', () => {
    fc.assert(
      fc.property(box, parts, (before, change) => {
        const moved = moveBox(motionOf({ ...change, translationPx: [60, -50] }), before);
        if (moved === undefined) return;
        expect(moved.x0).toBeGreaterThanOrEqual(0);
        expect(moved.x1).toBeLessThanOrEqual(SIDE);
        expect(moved.y1).toBeGreaterThan(moved.y0);
      }),
    );
  });
});

describe('movePoint', () => {
  it.each([0, 1.2])('lies on the pixel that it lay on before, bent by %d px', (bendPx) => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: SIDE - 3 }),
        fc.integer({ min: 2, max: SIDE - 3 }),
        parts,
        (x, y, change) => {
          const motion = motionOf(change, bendPx);
          const moved = movePoint(motion, { x, y, label: 1 });
          if (moved === undefined) return;
          // Around it a block of the old mask, so that rounding to the nearest pixel cannot leave it.
          const mask = warped(painted({ x0: x - 1, y0: y - 1, x1: x + 2, y1: y + 2 }), motion);
          expect(mask.data[Math.round(moved.y) * SIDE + Math.round(moved.x)]).toBe(1);
          expect(moved.label).toBe(1);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('is dropped when it leaves', () => {
    expect(movePoint(motionOf({ translationPx: [30, 0] }), { x: 20, y: 5, label: 0 })).toBeUndefined();
    expect(movePoint(motionOf({ translationPx: [27, 0] }), { x: 20, y: 5, label: 0 })).toEqual({
      x: 47,
      y: 5,
      label: 0,
    });
  });
});

it('augment says how it moved what it moved', () => {
  const before = { x0: 12, y0: 15, x1: 30, y1: 28 };
  const mask = painted(before);
  const image = { width: SIDE, height: SIDE, channels: 1, data: new Uint8Array(SIDE * SIDE) } as const;
  let movedOnes = 0;
  for (let seed = 0; seed < 40; seed++) {
    const { masks, motion } = augment({ image, masks: [mask] }, new Random(seed), DEFAULT_AUGMENTATION);
    if (motion === null) {
      expect(masks[0]).toEqual(mask);
      continue;
    }
    movedOnes += 1;
    expect(warped(mask, motion)).toEqual(masks[0]);
  }
  expect(movedOnes).toBeGreaterThan(20);
});
