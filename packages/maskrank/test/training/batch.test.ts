import { memory, tidy } from '@maskrank/torch';
import { describe, expect, it } from 'vitest';
import { normaliseToPlanes } from '../../src/imaging/normalise.ts';
import { type Augmentation, type BatchOptions, makeBatch, toTensors } from '../../src/training/batch.ts';
import { Random } from '../../src/util/random.ts';
import { CANVAS, SIDE, toyBatchOptions, toyCases, toyImage, toyMask } from './toy.ts';

const PIXELS = SIDE * SIDE;
const cases = toyCases(4);
const unchanged: Augmentation = (image, masks) => ({ image, masks });
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
      return { image, masks };
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
