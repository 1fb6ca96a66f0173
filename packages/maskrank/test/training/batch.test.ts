import { memory, tidy } from '@maskrank/torch';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { networkInput } from '../../src/alignment/embeddings.ts';
import { augment, DEFAULT_AUGMENTATION } from '../../src/imaging/augment.ts';
import { boxOfMask } from '../../src/imaging/boxes.ts';
import { normaliseToPlanes } from '../../src/imaging/normalise.ts';
import type { Box } from '../../src/imaging/types.ts';
import { type Augmentation, type BatchOptions, makeBatch, toTensors } from '../../src/training/batch.ts';
import { CanvasCache } from '../../src/training/canvas.ts';
import { Random } from '../../src/util/random.ts';
import { CANVAS, SIDE, toyBatchOptions, toyCases, toyDataset, toyImage, toyMask } from './toy.ts';

const PIXELS = SIDE * SIDE;
const cases = toyCases(4);
const unchanged: Augmentation = (image, masks) => ({ image, masks, motion: null });
const plain = (options: Partial<BatchOptions> = {}) =>
  toyBatchOptions(cases, { augment: unchanged, ...options });
const always = { boxProbability: 1, pointProbability: 1, noPromptProbability: 0 };

describe('makeBatch', () => {
  it('without changes is the normalised images and, mask by mask, the masks', async () => {
    const options = await plain({ masksPerImage: 3, ...always });
    const batch = makeBatch(cases, options, new Random(1));
    expect([batch.size, batch.masksPerImage, batch.side]).toEqual([4, 3, SIDE]);
    expect([batch.images.length, batch.targets.length, batch.prompts.length]).toEqual([
      4 * 3 * PIXELS,
      12 * PIXELS,
      12,
    ]);
    const classes = new Set<number>();
    for (const [b, { caseId }] of cases.entries()) {
      const planes = normaliseToPlanes(toyImage(caseId), CANVAS.normalisation);
      expect(batch.images.slice(b * 3 * PIXELS, (b + 1) * 3 * PIXELS)).toEqual(planes);
      for (let j = 0; j < 3; j++) {
        const target = batch.targets.slice((b * 3 + j) * PIXELS, (b * 3 + j + 1) * PIXELS);
        const classId = [1, 2].find((c) => Buffer.compare(target, toyMask(caseId, c).data) === 0);
        expect(classId).toBeDefined();
        classes.add(classId as number);
        // its own prompt: the point lies in it, the box around its middle
        const { boxes, points } = batch.prompts[b * 3 + j] as (typeof batch.prompts)[number];
        expect(points.every((p) => target[p.y * SIDE + p.x] === 1)).toBe(true);
        expect(boxes).toHaveLength(1);
      }
    }
    expect(classes).toEqual(new Set([1, 2]));
  });

  it('image and mask are changed together, all masks of an image alike', async () => {
    const mirror: Augmentation = (image, masks) => {
      const flip = (data: Uint8Array) =>
        data.map((_, i) => data[i - (i % SIDE) + SIDE - 1 - (i % SIDE)] as number);
      return {
        image: { ...image, data: flip(image.data) },
        masks: masks.map((m) => ({ ...m, data: flip(m.data) })),
        motion: null,
      };
    };
    const straight = makeBatch(cases, await plain({ masksPerImage: 2, ...always }), new Random(1));
    const mirrored = makeBatch(
      cases,
      await plain({ masksPerImage: 2, ...always, augment: mirror }),
      new Random(1),
    );
    for (let row = 0; row < 8 * SIDE; row++) {
      const at = (batch: typeof straight) => batch.targets.slice(row * SIDE, (row + 1) * SIDE);
      expect([...at(mirrored)].reverse()).toEqual([...at(straight)]);
    }
    for (const [i, { points }] of mirrored.prompts.entries())
      for (const p of points) expect(mirrored.targets[i * PIXELS + p.y * SIDE + p.x]).toBe(1);
  });

  it('hands the augmentation every chosen class once', async () => {
    const seen: number[] = [];
    const count: Augmentation = (image, masks) => {
      seen.push(masks.length);
      return { image, masks, motion: null };
    };
    makeBatch(cases, await plain({ masksPerImage: 6, augment: count }), new Random(1));
    expect(seen).toHaveLength(4);
    for (const n of seen) expect([1, 2]).toContain(n);
  });

  it('is the same from the same stream; a sample does not depend on those before it', async () => {
    const options = await toyBatchOptions(cases);
    const batch = (seed: number, list = cases) => makeBatch(list, options, new Random(seed));
    expect(batch(1)).toEqual(batch(1));
    expect(batch(1).images).not.toEqual(batch(2).images);
    const [a, b, c, d] = cases as [
      (typeof cases)[0],
      (typeof cases)[0],
      (typeof cases)[0],
      (typeof cases)[0],
    ];
    const swapped = batch(1, [b, a, c, d]);
    expect(swapped.images.slice(2 * 3 * PIXELS)).toEqual(batch(1).images.slice(2 * 3 * PIXELS));
    expect(swapped.prompts.slice(2)).toEqual(batch(1).prompts.slice(2));
  });

  it('gives prompts in the shares asked for, and never nothing to a sample that was not to be stripped', async () => {
    const shares = { boxProbability: 0.7, pointProbability: 0.4, noPromptProbability: 0.3 };
    const options = await plain({ masksPerImage: 200, ...shares });
    const { prompts } = makeBatch(cases, options, new Random(3));
    const share = (holds: (p: (typeof prompts)[number]) => boolean) =>
      prompts.filter(holds).length / prompts.length;
    const close = (got: number, wanted: number) => expect(Math.abs(got - wanted)).toBeLessThan(0.06);
    close(
      share((p) => p.boxes.length === 0 && p.points.length === 0),
      0.3,
    );
    close(
      share((p) => p.points.length > 0),
      0.7 * 0.4,
    );
    close(
      share((p) => p.boxes.length > 0),
      0.7 * (0.7 + 0.3 * 0.6),
    );
  });
});

it('toTensors gives images, targets and prompt slots, freed with their scope', async () => {
  const options = await plain({ masksPerImage: 2, ...always });
  const batch = makeBatch(cases, options, new Random(1));
  const before = memory().tensors;
  tidy(() => {
    const { images, targets, prompts } = toTensors(batch, options.layout, 'cpu');
    expect(images.shape).toEqual([4, 3, SIDE, SIDE]);
    expect(targets.shape).toEqual([8, SIDE, SIDE]);
    expect(targets.dtype).toBe('float32');
    expect(targets.sum().item()).toBe(batch.targets.reduce((a, b) => a + b, 0));
    expect(prompts.points?.coords.shape).toEqual([8, 1, 2]);
    expect(prompts.points?.labels.shape).toEqual([8, 1]);
    expect(prompts.boxes?.shape).toEqual([8, 1, 4]);
    expect(prompts.boxPresent?.shape).toEqual([8, 1]);
  });
  expect(memory().tensors).toBe(before);
});

describe('given prompts', () => {
  const given = (caseId: string, classId: number) => {
    const box = boxOfMask(toyMask(caseId, classId)) as Box;
    const middle = { x: (box.x0 + box.x1 - 1) / 2, y: (box.y0 + box.y1 - 1) / 2, label: 1 as const };
    return { boxes: [box], points: [middle] };
  };
  const strong: Augmentation = (image, masks, random) =>
    augment({ image, masks }, random, {
      ...DEFAULT_AUGMENTATION,
      flipVertical: 0.5,
      rotation: { probability: 1, maxDegrees: 90 },
      translation: { probability: 1, maxFraction: 0.3 },
    });

  it('are as given while nothing moves', async () => {
    const { prompts } = makeBatch(cases, await plain({ ...always, given }), new Random(1));
    for (const [i, { caseId }] of cases.entries())
      expect([given(caseId, 1), given(caseId, 2)]).toContainEqual(prompts[i]);
  });

  it('move with the image: the box covers its target, the point lies in it', async () => {
    const options = await toyBatchOptions(cases, { ...always, given, augment: strong, masksPerImage: 2 });
    fc.assert(
      fc.property(fc.string(), (seed) => {
        const { prompts, targets } = makeBatch(cases, options, new Random(seed));
        for (const [i, { boxes, points }] of prompts.entries()) {
          const target = targets.subarray(i * PIXELS, (i + 1) * PIXELS);
          const { x0, y0, x1, y1 } = boxes[0] as Box;
          for (let k = 0; k < PIXELS; k++) {
            const [x, y] = [(k % SIDE) + 0.5, Math.floor(k / SIDE) + 0.5];
            if (target[k] === 1 && !(x > x0 - 1e-3 && x < x1 + 1e-3 && y > y0 - 1e-3 && y < y1 + 1e-3))
              throw new Error(`pixel ${x}, ${y} of target ${i} lies outside ${JSON.stringify(boxes[0])}`);
          }
          for (const p of points) {
            const isEdge = p.x === 0 || p.y === 0 || p.x === SIDE - 1 || p.y === SIDE - 1;
            if (!isEdge) expect(target[Math.round(p.y) * SIDE + Math.round(p.x)]).toBe(1);
          }
        }
      }),
      { numRuns: 15 },
    );
  });
});

describe('text', () => {
  const row = (caseId: string, classId: number) => [Float32Array.of(Number(caseId.slice(4)), classId)];
  const shares = { boxProbability: 0.7, pointProbability: 0.4, noPromptProbability: 0.3 };

  it('goes along in the share asked for, never with a sample that was stripped, always with one that has nothing else', async () => {
    const options = await plain({ masksPerImage: 200, ...shares, text: row, textProbability: 0.6 });
    const { prompts } = makeBatch(cases, options, new Random(3));
    const withText = prompts.filter((p) => p.text !== undefined);
    expect(Math.abs(withText.length / prompts.length - 0.7 * 0.6)).toBeLessThan(0.06);
    for (const { boxes, points } of withText) expect(boxes.length + points.length).toBeGreaterThan(0);
    const bare = await plain({
      ...{ masksPerImage: 50, ...shares, text: row, textProbability: 0.1 },
      fromMask: { ...options.fromMask, boxes: false, points: 0 },
    });
    const alone = makeBatch(cases, bare, new Random(3)).prompts;
    const share = alone.filter((p) => p.text !== undefined).length / alone.length;
    expect(Math.abs(share - 0.7)).toBeLessThan(0.1);
  });

  it('changes nothing of images, targets, boxes and points', async () => {
    const bare = await toyBatchOptions(cases, { masksPerImage: 3 });
    const told = { ...bare, text: row, textProbability: 0.5 };
    const [a, b] = [bare, told].map((options) => makeBatch(cases, options, new Random(5)));
    expect(b?.images).toEqual(a?.images);
    expect(b?.targets).toEqual(a?.targets);
    expect(b?.prompts.map(({ boxes, points }) => ({ boxes, points }))).toEqual(a?.prompts);
  });
});

describe('padding', () => {
  const small = 40; // centred on the canvas of 64
  const item = toyDataset(small).labelled(['case0'])[0] as ReturnType<
    ReturnType<typeof toyDataset>['labelled']
  >[number];
  const cache = new CanvasCache(toyDataset(small), { ...CANVAS, rule: 'sammed2d' });

  it('is exactly 0 in training, as at inference, unchanged or moved and toned', async () => {
    await cache.loadMask(item, 1);
    const one = [{ caseId: 'case0', classIds: [1] }];
    const still = makeBatch(one, { ...(await plain()), cache }, new Random(1));
    const { data } = networkInput(toyImage('case0', small), { ...CANVAS, rule: 'sammed2d' });
    expect(still.images).toEqual(data);
    const options = { ...(await toyBatchOptions(cases)), cache };
    for (let seed = 0; seed < 12; seed++) {
      const { images } = makeBatch(one, options, new Random(seed));
      const zeros = Array.from({ length: PIXELS }, (_, i) =>
        [0, 1, 2].every((c) => images[c * PIXELS + i] === 0),
      ).filter(Boolean).length;
      // At most the image at 1.25 of its size covers the canvas; at least as much stays padding.
      expect(zeros).toBeGreaterThanOrEqual(PIXELS - (1.3 * small) ** 2);
      expect(zeros).toBeLessThan(PIXELS - (0.4 * small) ** 2);
    }
  });
});
