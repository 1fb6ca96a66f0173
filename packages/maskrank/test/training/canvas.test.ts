import { DataError } from '@maskrank/torch/errors';
import { describe, expect, it } from 'vitest';
import { NORMALISATIONS, normaliseToPlanes } from '../../src/imaging/normalise.ts';
import type { Image } from '../../src/imaging/types.ts';
import { CanvasCache, toCanvas } from '../../src/training/canvas.ts';
import { CANVAS, SIDE, toyDataset } from './toy.ts';

describe('toCanvas', () => {
  const small = (channels: 1 | 3): Image => ({
    width: 2,
    height: 3,
    channels,
    data: Uint8Array.from({ length: 6 * channels }, (_, i) => 10 + i),
  });

  it('centres a small image, every channel in its place', () => {
    const { geometry, pixels } = toCanvas(small(3), { ...CANVAS, imageSize: 8, rule: 'sammed2d' });
    expect(geometry.placed).toEqual({ x0: 3, y0: 2, x1: 5, y1: 5 });
    for (let y = 0; y < 3; y++)
      for (let x = 0; x < 2; x++)
        for (let c = 0; c < 3; c++)
          expect(pixels.data[((2 + y) * 8 + 3 + x) * 3 + c]).toBe(10 + (y * 2 + x) * 3 + c);
  });

  it.each(['sam', 'sammed2d'] as const)(
    'fills the rest with what normalises to nearly nothing: %s',
    (name) => {
      const normalisation = NORMALISATIONS[name];
      const { pixels } = toCanvas(small(3), { imageSize: 8, rule: 'sammed2d', normalisation });
      const planes = normaliseToPlanes(pixels, normalisation);
      for (const plane of [0, 1, 2]) expect(Math.abs(planes[plane * 64] as number)).toBeLessThan(0.01);
    },
  );

  it('a grey image has one value for three means: the middle one', () => {
    const { pixels } = toCanvas(small(1), { ...CANVAS, imageSize: 8, rule: 'sammed2d' });
    expect(pixels.channels).toBe(1);
    expect(pixels.data[0]).toBe(116);
    const planes = normaliseToPlanes(pixels, CANVAS.normalisation);
    for (const plane of [0, 1, 2]) expect(Math.abs(planes[plane * 64] as number)).toBeLessThan(0.25);
  });
});

describe('CanvasCache', () => {
  it('decodes an image and a mask once, and carries the mask where the image went', async () => {
    const dataset = toyDataset(SIDE * 2);
    const cache = new CanvasCache(dataset, CANVAS);
    const [item] = dataset.labelled(['a']) as [ReturnType<typeof dataset.labelled>[number]];
    const mask = await cache.loadMask(item, 1);
    expect([mask.width, mask.height]).toEqual([SIDE, SIDE]);
    expect(await cache.loadMask(item, 1)).toBe(mask);
    expect(cache.mask('a', 1)).toBe(mask);
    const canvas = await cache.loadImage(item);
    expect(cache.image('a')).toBe(canvas);
    expect(dataset.loads).toEqual(['a', 'a/1']);
    // halved: a quarter of the pixels, and the bright square of the image is under the mask
    const area = mask.data.reduce((n, bit) => n + bit, 0);
    const full = (await dataset.loadMask(item, 1)).data.reduce((n, bit) => n + bit, 0);
    expect(Math.abs(area - full / 4)).toBeLessThan(0.15 * area);
    const bright = canvas.pixels.data.filter((_, i) => mask.data[i] === 1);
    expect(bright.reduce((a, b) => a + b, 0) / bright.length).toBeGreaterThan(170);
  });

  it('says which case was not loaded', () => {
    const cache = new CanvasCache(toyDataset(), CANVAS);
    expect(() => cache.image('x')).toThrow(DataError);
    expect(() => cache.image('x')).toThrow(/case x: its image was not loaded/);
    expect(() => cache.mask('x', 2)).toThrow(/case x: its mask of class 2 was not loaded/);
  });
});
