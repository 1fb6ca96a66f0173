import { memory, noGrad, tidy } from '@maskrank/torch';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { boxToOriginal, createGeometry, pointToOriginal } from '../../src/imaging/geometry.ts';
import { type CanvasPrompt, collatePrompts, promptToCanvas } from '../../src/prompting/collate.ts';
import { promptsTo } from '../../src/training/batch.ts';
import { ToyEmbeddings, toySam } from '../alignment/toy.ts';

const coordinate = fc.integer({ min: 0, max: 63 });
const prompts = fc.array(
  fc.record<CanvasPrompt>({
    boxes: fc.array(fc.record({ x0: coordinate, y0: coordinate, x1: coordinate, y1: coordinate }), {
      maxLength: 3,
    }),
    points: fc.array(
      fc.record({ x: coordinate, y: coordinate, label: fc.constantFrom(0 as const, 1 as const) }),
      {
        maxLength: 3,
      },
    ),
  }),
  { minLength: 1, maxLength: 4 },
);

describe('collatePrompts', () => {
  it('fills the slots in order, the first ones kept; an empty slot is padding', () => {
    fc.assert(
      fc.property(prompts, (list) => {
        tidy(() => {
          const { points, boxes, boxPresent } = collatePrompts(list, { points: 2, boxes: 2 });
          expect(points?.coords.shape).toEqual([list.length, 2, 2]);
          expect(boxes?.shape).toEqual([list.length, 2, 4]);
          const coords = [...(points?.coords.toFloat32Array() ?? [])];
          const labels = [...(points?.labels.toFloat32Array() ?? [])];
          const corners = [...(boxes?.toFloat32Array() ?? [])];
          const present = [...(boxPresent?.toFloat32Array() ?? [])];
          for (const [row, prompt] of list.entries()) {
            for (const slot of [0, 1]) {
              const i = row * 2 + slot;
              const [p, b] = [prompt.points[slot], prompt.boxes[slot]];
              expect(labels[i]).toBe(p?.label ?? -1);
              expect(coords.slice(2 * i, 2 * i + 2)).toEqual(p === undefined ? [0, 0] : [p.x, p.y]);
              expect(present[i]).toBe(b === undefined ? 0 : 1);
              expect(corners.slice(4 * i, 4 * i + 4)).toEqual(
                b === undefined ? [0, 0, 0, 0] : [b.x0, b.y0, b.x1, b.y1],
              );
            }
          }
        });
      }),
      { numRuns: 40 },
    );
  });

  it('without slots has no tensors of that kind', () => {
    tidy(() => {
      expect(collatePrompts([{ boxes: [], points: [] }], { points: 0, boxes: 0 })).toEqual({});
      expect(Object.keys(collatePrompts([{ boxes: [], points: [] }], { points: 1, boxes: 0 }))).toEqual([
        'points',
      ]);
    });
  });

  it('gives each text token its feature, or nothing where there is none', () => {
    const feature = (v: number) => Float32Array.of(v, v + 0.25, -v);
    tidy(() => {
      const list: CanvasPrompt[] = [
        { boxes: [], points: [], text: [feature(1), feature(2)] },
        { boxes: [], points: [] },
        { boxes: [], points: [], text: [null, feature(3)] },
      ];
      const given = collatePrompts(list, { points: 0, boxes: 0, text: { tokens: 2, dim: 3 } });
      expect(Object.keys(given)).toEqual(['text', 'textPresent']);
      expect(given.text?.shape).toEqual([3, 2, 3]);
      expect([...(given.textPresent?.toFloat32Array() ?? [])]).toEqual([1, 1, 0, 0, 0, 1]);
      const values = [...(given.text?.toFloat32Array() ?? [])];
      expect(values).toEqual([1, 1.25, -1, 2, 2.25, -2, ...Array(9).fill(0), 3, 3.25, -3]);
      expect(() => collatePrompts(list, { points: 0, boxes: 0, text: { tokens: 1, dim: 4 } })).toThrow(
        /3 values, this model takes 4/,
      );
    });
  });

  it("a prompt's mask does not depend on the prompts beside it", () => {
    const sam = toySam();
    const full: CanvasPrompt = {
      boxes: [{ x0: 5, y0: 6, x1: 30, y1: 40 }],
      points: [{ x: 10, y: 20, label: 1 }],
    };
    const none: CanvasPrompt = { boxes: [], points: [] };
    const before = memory().tensors;
    const masksOf = (list: readonly CanvasPrompt[], ids: readonly string[]) =>
      tidy(() =>
        noGrad(() => {
          const given = promptsTo(collatePrompts(list, { points: 1, boxes: 1 }), 'cpu');
          const { masks } = sam.decode(new ToyEmbeddings().tensor(ids, 'cpu'), given, { multimask: true });
          return masks.unbind(0).map((m) => m.toFloat32Array());
        }),
      );
    const together = masksOf([none, full, none], ['a', 'b', 'c']);
    const alone = [masksOf([none], ['a']), masksOf([full], ['b']), masksOf([none], ['c'])].map(([m]) => m);
    for (const [i, masks] of together.entries())
      for (const [j, z] of masks.entries())
        expect(Math.abs(z - (alone[i]?.[j] as number))).toBeLessThan(1e-5);
    expect(memory().tensors).toBe(before);
    sam.dispose();
  });
});

it('promptToCanvas carries boxes and points to where the image lies, and back', () => {
  const geometry = createGeometry('longest-side', { width: 100, height: 50 }, 64);
  const box = { x0: 10, y0: 20, x1: 60, y1: 45 };
  const point = { x: 33, y: 21, label: 0 as const };
  const moved = promptToCanvas({ boxes: [box], points: [point] }, geometry);
  expect(moved.boxes[0]?.x1).toBeCloseTo(60 * 0.64, 9);
  const [b, p] = [
    boxToOriginal(geometry, moved.boxes[0] as typeof box),
    pointToOriginal(geometry, moved.points[0] as typeof point),
  ];
  for (const key of ['x0', 'y0', 'x1', 'y1'] as const) expect(b[key]).toBeCloseTo(box[key], 9);
  expect([p.x, p.y]).toEqual([expect.closeTo(33, 9), expect.closeTo(21, 9)]);
  expect(moved.points[0]?.label).toBe(0);
});
