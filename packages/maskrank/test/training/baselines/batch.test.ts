// Batches with the masks of all classes: which mask goes where, padding, repeatability; and whether classes exclude each other.

import { describe, expect, it } from 'vitest';
import { augment, DEFAULT_AUGMENTATION } from '../../../src/imaging/augment.ts';
import { NORMALISATIONS } from '../../../src/imaging/normalise.ts';
import type { Mask } from '../../../src/imaging/types.ts';
import {
  areExclusive,
  type DenseBatchOptions,
  type DenseSample,
  denseBatch,
  denseSamples,
} from '../../../src/training/baselines/batch.ts';
import { CanvasCache } from '../../../src/training/canvas.ts';
import { Random } from '../../../src/util/random.ts';
import { CANVAS, SIDE, toyDataset, toyMask } from '../toy.ts';

const PIXELS = SIDE * SIDE;
const options = (change: Partial<DenseBatchOptions> = {}): DenseBatchOptions => ({
  classIds: [1, 2],
  normalisation: NORMALISATIONS.sam,
  augment: (image, masks) => ({ image, masks, motion: null }),
  ...change,
});
const moving = options({
  augment: (image, masks, random) => augment({ image, masks: [...masks] }, random, DEFAULT_AUGMENTATION),
});

async function toySamples(ids: readonly string[]): Promise<DenseSample[]> {
  const dataset = toyDataset();
  const cache = new CanvasCache(dataset, CANVAS);
  for (const item of dataset.labelled(ids)) for (const id of [1, 2]) await cache.loadMask(item, id);
  return denseSamples(cache, ids, [1, 2]);
}

const maskOf = (pixels: readonly number[], side = 4): Mask => {
  const data = new Uint8Array(side * side);
  for (const i of pixels) data[i] = 1;
  return { width: side, height: side, data };
};
const sampleOf = (masks: readonly (readonly number[])[]): DenseSample => ({
  pixels: { width: 4, height: 4, channels: 1, data: new Uint8Array(16).fill(200) },
  area: null,
  masks: new Map(masks.map((pixels, i) => [i + 1, maskOf(pixels)])),
});

describe('a batch', () => {
  it('holds every class of every image in its place, unchanged without augmentation', async () => {
    const { masks, shape } = denseBatch(await toySamples(['a', 'b']), options(), new Random(1));
    expect(shape).toEqual({ images: 2, classes: 2, side: SIDE });
    for (const [b, caseId] of ['a', 'b'].entries())
      for (const c of [0, 1])
        expect(masks.subarray((2 * b + c) * PIXELS, (2 * b + c + 1) * PIXELS)).toEqual(
          toyMask(caseId, c + 1).data,
        );
  });

  it('leaves the place of an absent class empty, in the order of the class ids', () => {
    const sample = { ...sampleOf([]), masks: new Map([[2, maskOf([5])]]) };
    const { masks } = denseBatch([sample], options({ classIds: [7, 2] }), new Random(1));
    expect([...masks.keys()].filter((i) => masks[i] === 1)).toEqual([16 + 5]);
  });

  it('is the same from the same stream, another from another, and moves masks with their image', async () => {
    const samples = await toySamples(['a', 'b', 'c']);
    const make = (seed: number) => denseBatch(samples, moving, new Random(seed));
    expect(make(1)).toEqual(make(1));
    expect(make(1).images).not.toEqual(make(2).images);
    const { images, masks } = make(3);
    // The bright square of class 1 stays bright under its mask: the mean inside is above the mean of the image.
    for (let b = 0; b < 3; b++) {
      const plane = images.subarray(b * 3 * PIXELS, (b * 3 + 1) * PIXELS);
      const mask = masks.subarray(2 * b * PIXELS, (2 * b + 1) * PIXELS);
      const inside = plane.filter((_, i) => mask[i] === 1);
      const mean = (values: Float32Array) => values.reduce((sum, v) => sum + v, 0) / values.length;
      expect(inside.length).toBeGreaterThan(0);
      expect(mean(inside)).toBeGreaterThan(mean(plane));
    }
  });

  it('makes padding exactly 0, whatever was changed', () => {
    const sample = { ...sampleOf([[5]]), area: maskOf([4, 5, 6, 7, 8, 9, 10, 11]) };
    const { images } = denseBatch([sample], options(), new Random(1));
    const zero = [...images.subarray(0, 16).keys()].filter((i) => images[i] === 0);
    expect(zero).toEqual([0, 1, 2, 3, 12, 13, 14, 15]);
  });
});

describe('classes exclude each other', () => {
  it('where no pixel has two', () => {
    expect(areExclusive([sampleOf([[0, 1], [2]]), sampleOf([[3], [4]])], [1, 2])).toBe(true);
  });
  it('not where one lies in the other', () => {
    expect(areExclusive([sampleOf([[0, 1], [2]]), sampleOf([[3, 4], [4]])], [1, 2])).toBe(false);
  });
  it('not where a class was never seen: it might lie in another', () => {
    expect(areExclusive([sampleOf([[0, 1], [2]])], [1, 2, 3])).toBe(false);
  });
  it('for a border that was resampled, up to a thousandth of the foreground', () => {
    const side = 64;
    const all = Array.from({ length: side * side }, (_, i) => i);
    const sample = (second: readonly number[]): DenseSample => ({
      pixels: { width: side, height: side, channels: 1, data: new Uint8Array(side * side) },
      area: null,
      masks: new Map([
        [1, maskOf(all, side)],
        [2, maskOf(second, side)],
      ]),
    });
    expect(areExclusive([sample(all.slice(0, 4))], [1, 2])).toBe(true);
    expect(areExclusive([sample(all.slice(0, 5))], [1, 2])).toBe(false);
  });
});
