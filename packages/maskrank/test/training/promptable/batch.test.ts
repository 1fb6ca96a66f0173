// Cases kept as run lengths, batches drawn from them, and looks: what is asked belongs to what is wanted.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEFAULT_AUGMENTATION, NO_MOVEMENT } from '../../../src/imaging/augment.ts';
import { boxOfMask } from '../../../src/imaging/boxes.ts';
import { NORMALISATIONS } from '../../../src/imaging/normalise.ts';
import type { Image, Mask } from '../../../src/imaging/types.ts';
import { toCanvas } from '../../../src/training/canvas.ts';
import { changeLook } from '../../../src/training/promptable/appearance.ts';
import {
  makePromptableBatch,
  type PromptableBatchOptions,
  type PromptableKind,
} from '../../../src/training/promptable/batch.ts';
import { maskOf, type PromptableCase, promptableClass } from '../../../src/training/promptable/cases.ts';
import { Random } from '../../../src/util/random.ts';

const SIDE = 64;

function rectangles(...boxes: readonly (readonly [number, number, number, number])[]): Mask {
  const data = new Uint8Array(SIDE * SIDE);
  for (const [x0, y0, x1, y1] of boxes)
    for (let y = y0; y < y1; y++) data.fill(1, y * SIDE + x0, y * SIDE + x1);
  return { width: SIDE, height: SIDE, data };
}

const grey: Image = {
  width: SIDE,
  height: SIDE,
  channels: 1,
  data: Uint8Array.from({ length: SIDE * SIDE }, (_, i) => (i * 7) % 251),
};
const pair = rectangles([4, 8, 20, 40], [40, 10, 60, 44]);
const item: PromptableCase = {
  caseId: 'a',
  source: 0,
  canvas: toCanvas(grey, { imageSize: SIDE, rule: 'sammed2d', normalisation: NORMALISATIONS.sam }),
  classes: [promptableClass(1, rectangles([20, 20, 44, 50])), promptableClass(2, pair)].flatMap(
    (c) => c ?? [],
  ),
};

const options = (change: Partial<PromptableBatchOptions> = {}): PromptableBatchOptions => ({
  normalisation: NORMALISATIONS.sam,
  masksPerImage: 3,
  movement: DEFAULT_AUGMENTATION,
  looks: 1,
  jitter: 0.1,
  shares: { box: 1, point: 1, both: 1, text: 0 },
  ...change,
});
const only = (kind: PromptableKind) => ({ box: 0, point: 0, both: 0, text: 0, [kind]: 1 });

describe('promptableClass', () => {
  it('keeps regions, the largest first, without crumbs, and gives them back', () => {
    const mask = rectangles([4, 8, 20, 40], [40, 10, 60, 44], [30, 60, 32, 62]);
    const cls = promptableClass(2, mask);
    expect(cls?.regions).toHaveLength(2);
    expect(cls?.areaPx).toBe(16 * 32 + 20 * 34);
    expect(boxOfMask(maskOf([cls?.regions[0]].flatMap((r) => r ?? [])))?.x0).toBe(40);
    expect(maskOf(cls?.regions ?? [])).toEqual(pair);
    expect(promptableClass(1, rectangles([0, 0, 2, 3]))).toBe(undefined);
  });
});

describe('makePromptableBatch', () => {
  it('asks by boxes that hold their masks, up to their jitter', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1e6 }), (seed) => {
        const wanted = options({ shares: only('box'), jitter: 0 });
        const batch = makePromptableBatch([item, item], wanted, new Random(seed));
        expect(batch.layout.points).toBe(0);
        for (const [i, { boxes, points }] of batch.prompts.entries()) {
          expect(points).toEqual([]);
          expect(boxes.length).toBeLessThanOrEqual(batch.layout.boxes);
          const data = batch.targets.subarray(i * SIDE * SIDE, (i + 1) * SIDE * SIDE);
          for (let at = 0; at < data.length; at++) {
            if (data[at] === 0) continue;
            const [x, y] = [at % SIDE, Math.floor(at / SIDE)];
            const isHeld = boxes.some((b) => x >= b.x0 && x < b.x1 && y >= b.y0 && y < b.y1);
            // More regions than boxes appear only where a movement cut one in two.
            if (!isHeld) expect(boxes.length).toBe(batch.layout.boxes);
          }
        }
      }),
      { numRuns: 20 },
    );
  });

  it('asks by clicks whose labels tell what is there, the first inside', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1e6 }), (seed) => {
        const batch = makePromptableBatch([item], options({ shares: only('point') }), new Random(seed));
        for (const [i, { boxes, points }] of batch.prompts.entries()) {
          expect(boxes).toEqual([]);
          expect(points).toHaveLength(batch.layout.points);
          expect(points[0]?.label).toBe(1);
          const data = batch.targets.subarray(i * SIDE * SIDE, (i + 1) * SIDE * SIDE);
          for (const { x, y, label } of points) expect(data[y * SIDE + x]).toBe(label);
        }
      }),
      { numRuns: 20 },
    );
  });

  it('means one region by one click, and puts a click into each region that it means', () => {
    const twoRegions = { ...item, classes: item.classes.slice(1) };
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1e6 }), (seed) => {
        const wanted = options({
          shares: only('point'),
          movement: { ...DEFAULT_AUGMENTATION, ...NO_MOVEMENT },
          looks: 0,
        });
        const batch = makePromptableBatch([twoRegions], wanted, new Random(seed));
        for (const [i, { points }] of batch.prompts.entries()) {
          const data = batch.targets.subarray(i * SIDE * SIDE, (i + 1) * SIDE * SIDE);
          const meant = [22, 30].filter((y, at) => data[y * SIDE + [10, 50][at]!] === 1).length;
          expect(meant).toBeGreaterThan(0);
          if (points.length === 1) expect(meant).toBe(1);
          const halves = new Set(points.filter(({ label }) => label === 1).map(({ x }) => x < 30));
          expect(halves.size).toBe(meant);
        }
      }),
      { numRuns: 40 },
    );
  });

  it('gives a text to every sample where it is asked by names, and never without a text network', () => {
    const texts = { dim: 4, of: (_: number, classId: number) => new Float32Array(4).fill(classId) };
    const named = makePromptableBatch([item], options({ shares: only('text'), texts }), new Random(1));
    expect(named.layout).toEqual({ boxes: 0, points: 0, text: { tokens: 1, dim: 4 } });
    expect(named.prompts.every(({ text }) => text?.[0]?.length === 4)).toBe(true);
    const plain = makePromptableBatch([item], options(), new Random(1));
    expect(plain.layout.text).toBe(undefined);
  });

  it('repeats with the same stream and differs with another', () => {
    const draw = (seed: number) => makePromptableBatch([item], options(), new Random(seed));
    expect(draw(3)).toEqual(draw(3));
    expect(draw(3).images).not.toEqual(draw(4).images);
  });
});

describe('changeLook', () => {
  it('moves nothing, stays within bytes and repeats; most images change', () => {
    const flat: Image = { ...grey, data: new Uint8Array(SIDE * SIDE).fill(120) };
    const seen = Array.from({ length: 40 }, (_, seed) => changeLook(grey, new Random(seed)));
    expect(
      seen.every(({ width, height, data }) => width === SIDE && height === SIDE && data.length === SIDE ** 2),
    ).toBe(true);
    expect(seen.filter(({ data }) => data.some((v, i) => v !== grey.data[i])).length).toBeGreaterThan(30);
    expect(changeLook(grey, new Random(7))).toEqual(seen[7]);
    expect(changeLook(flat, new Random(1)).data.every((v) => v >= 0 && v <= 255)).toBe(true);
  });
});
