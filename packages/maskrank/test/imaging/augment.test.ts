// Movements by hand, image and masks together, amounts inside their ranges, repeatable.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type AugmentOptions, augment, DEFAULT_AUGMENTATION } from '../../src/imaging/augment.ts';
import { addNoise, applyTone, blur, lowerResolution } from '../../src/imaging/photometric.ts';
import type { Image, Mask } from '../../src/imaging/types.ts';
import { makeAffine, makeDisplacement, type Sample, warp } from '../../src/imaging/warp.ts';
import { Random } from '../../src/util/random.ts';
import { draw, masks, show } from './arbitraries.ts';

const still = {
  rotationDegrees: 0,
  scale: 1,
  translationPx: [0, 0],
  flipHorizontal: false,
  flipVertical: false,
} as const;
const greyOf = (mask: Mask): Image => ({ ...mask, channels: 1, data: mask.data.map((v) => v * 200) });
const sampleOf = (mask: Mask): Sample => ({ image: greyOf(mask), masks: [mask] });
const disc = (side: number, radius: number): Mask => ({
  width: side,
  height: side,
  data: Uint8Array.from({ length: side * side }, (_, i) =>
    ((i % side) - side / 2) ** 2 + (Math.floor(i / side) - side / 2) ** 2 < radius * radius ? 1 : 0,
  ),
});

describe('warp', () => {
  const letter = draw('#...', '##..', '#...', '###.');
  const moved = (parts: Partial<Parameters<typeof makeAffine>[0]>): string[] => {
    const { image, masks } = warp(sampleOf(letter), makeAffine({ ...still, ...parts }), undefined);
    expect(image).toEqual(greyOf(masks[0]!));
    return show(masks[0]!);
  };

  it('stands still, mirrors, turns counter-clockwise and shifts to the right and down', () => {
    expect(moved({})).toEqual(['#...', '##..', '#...', '###.']);
    expect(moved({ flipHorizontal: true })).toEqual(['...#', '..##', '...#', '.###']);
    expect(moved({ flipVertical: true })).toEqual(['###.', '#...', '##..', '#...']);
    expect(moved({ rotationDegrees: 90 })).toEqual(['....', '...#', '.#.#', '####']);
    expect(moved({ translationPx: [1, -1] })).toEqual(['.##.', '.#..', '.###', '....']);
    expect(moved({ flipHorizontal: true, translationPx: [-1, 0] })).toEqual(['..#.', '.##.', '..#.', '###.']);
    expect(moved({ rotationDegrees: 90, translationPx: [0, -1] })).toEqual(['...#', '.#.#', '####', '....']);
  });

  it('enlarges about the centre', () => {
    const { masks } = warp(sampleOf(disc(64, 10)), makeAffine({ ...still, scale: 2 }), undefined);
    const area = masks[0]!.data.reduce((a, b) => a + b, 0);
    expect(area / (Math.PI * 400)).toBeCloseTo(1, 1);
  });

  it('moves colours as it moves grey, and fills what comes in', () => {
    const grey = greyOf(disc(20, 6));
    const colour: Image = {
      ...grey,
      channels: 3,
      data: Uint8Array.from({ length: 1200 }, (_, i) => grey.data[Math.floor(i / 3)]! >> (i % 3)),
    };
    const map = makeAffine({ ...still, rotationDegrees: 33, scale: 1.3, translationPx: [4.5, -7.25] });
    const a = warp({ image: grey, masks: [] }, map, undefined, 9).image;
    const b = warp({ image: colour, masks: [] }, map, undefined, 9).image;
    for (let i = 0; i < 400; i++) {
      expect(b.data[3 * i]).toBe(a.data[i]);
      if (a.data[i] === 0 || a.data[i] === 200) expect(b.data[3 * i + 2]).toBe(a.data[i]! >> 2);
    }
    expect(a.data.filter((v) => v === 9).length).toBeGreaterThan(20);
  });

  it('keeps image and mask together under any movement', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: -180, max: 180 }),
        fc.double({ min: 0.6, max: 1.6, noNaN: true }),
        fc.boolean(),
        fc.string(),
        (rotationDegrees, scale, flipHorizontal, seed) => {
          const map = makeAffine({
            ...still,
            rotationDegrees,
            scale,
            flipHorizontal,
            translationPx: [3.3, -2.7],
          });
          const bend = makeDisplacement(4, 1.5, new Random(seed));
          const { image, masks } = warp(sampleOf(disc(48, 15)), map, bend);
          const differ = image.data.filter((v, i) => v > 100 !== (masks[0]!.data[i] === 1)).length;
          // Bilinear at one half against nearest: they may differ along the contour only.
          expect(differ).toBeLessThan(0.35 * 2 * Math.PI * 15 * scale);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('bends by the stated amount', () => {
    const ramp: Image = {
      width: 200,
      height: 200,
      channels: 1,
      data: Uint8Array.from({ length: 40000 }, (_, i) => i % 200),
    };
    let [sum, count] = [0, 0];
    for (let k = 0; k < 20; k++) {
      const { image } = warp(
        { image: ramp, masks: [] },
        makeAffine(still),
        makeDisplacement(6, 5, new Random(k)),
      );
      for (let i = 0; i < 40000; i += 7) {
        if (i % 200 < 30 || i % 200 > 170 || i < 6000 || i > 34000) continue;
        sum += (image.data[i]! - (i % 200)) ** 2;
        count++;
      }
    }
    expect(Math.sqrt(sum / count)).toBeGreaterThan(4);
    expect(Math.sqrt(sum / count)).toBeLessThan(6);
  });
});

describe('grey values', () => {
  const ramp: Image = {
    width: 16,
    height: 16,
    channels: 1,
    data: Uint8Array.from({ length: 256 }, (_, i) => i),
  };

  it('tone: gamma, contrast about the mean, brightness', () => {
    expect(applyTone(ramp, { brightness: 1, contrast: 1, gamma: 1 })).toEqual(ramp);
    expect([...applyTone(ramp, { brightness: 0.5, contrast: 1, gamma: 1 }).data.subarray(100, 102)]).toEqual([
      50, 51,
    ]);
    const flat = applyTone(ramp, { brightness: 1, contrast: 0, gamma: 1 });
    expect(new Set(flat.data)).toEqual(new Set([128]));
    expect(applyTone(ramp, { brightness: 1, contrast: 1, gamma: 2 }).data[128]).toBe(64);
  });

  it('noise has the stated deviation and no bias', () => {
    const grey: Image = { width: 200, height: 200, channels: 1, data: new Uint8Array(40000).fill(128) };
    const noisy = addNoise(grey, 10, new Random(1)).data;
    const mean = noisy.reduce((a, b) => a + b, 0) / noisy.length;
    const sd = Math.sqrt(noisy.reduce((a, v) => a + (v - mean) ** 2, 0) / noisy.length);
    expect(Math.abs(mean - 128)).toBeLessThan(0.3);
    expect(Math.abs(sd - 10)).toBeLessThan(0.3);
  });

  it('blur keeps constants, the mean and the symmetry of a dot, and has the stated width', () => {
    const flat: Image = {
      width: 9,
      height: 5,
      channels: 3,
      data: Uint8Array.from({ length: 135 }, (_, i) => [10, 20, 30][i % 3]!),
    };
    expect(blur(flat, 1.7)).toEqual(flat);
    const dot: Image = { width: 41, height: 41, channels: 1, data: new Uint8Array(1681) };
    for (let y = 15; y < 26; y++) dot.data.fill(250, y * 41 + 15, y * 41 + 26);
    const soft = blur(dot, 2);
    const spread = (image: Image): number => {
      const total = image.data.reduce((a, b) => a + b, 0);
      return image.data.reduce((a, v, i) => a + v * ((i % 41) - 20) ** 2, 0) / total;
    };
    expect(spread(soft) - spread(dot)).toBeCloseTo(4, 0);
    for (let i = 0; i < 1681; i++) expect(soft.data[i]).toBe(soft.data[1680 - i]);
  });

  it('lower resolution keeps size and mean', () => {
    const out = lowerResolution(ramp, 0.5);
    expect([out.width, out.height]).toEqual([16, 16]);
    expect(Math.abs(out.data.reduce((a, b) => a + b, 0) / 256 - 127.5)).toBeLessThan(1);
    expect(out).not.toEqual(ramp);
  });
});

describe('augment', () => {
  const always: AugmentOptions = {
    ...DEFAULT_AUGMENTATION,
    rotation: { probability: 1, maxDegrees: 30 },
    elastic: { probability: 1, sdFraction: 0.02, nodes: 5 },
    noise: { probability: 1, range: [5, 5] },
    blur: { probability: 1, sigmaPx: [0.5, 1] },
    lowResolution: { probability: 1, range: [0.5, 0.9] },
    gamma: { probability: 1, range: [0.5, 2] },
  };
  const never = Object.fromEntries(
    Object.entries(DEFAULT_AUGMENTATION).map(([k, v]) => [
      k,
      typeof v === 'number' ? 0 : { ...v, probability: 0 },
    ]),
  ) as AugmentOptions;

  it('repeats with the seed, differs without, and leaves its argument alone', () => {
    const sample = sampleOf(disc(40, 9));
    const before = structuredClone(sample);
    const once = augment(sample, new Random('a'), always);
    expect(augment(sample, new Random('a'), always)).toEqual(once);
    expect(augment(sample, new Random('b'), always)).not.toEqual(once);
    expect(sample).toEqual(before);
    expect(augment(sample, new Random('a'), never)).toEqual({ ...sample, motion: null });
  });

  it('gives masks of zeros and ones, of the same size, and never loses one entirely', () => {
    const strong: AugmentOptions = { ...always, translation: { probability: 1, maxFraction: 0.9 } };
    fc.assert(
      fc.property(masks(24), fc.string(), (mask, seed) => {
        const out = augment(sampleOf(mask), new Random(seed), strong);
        const [moved] = out.masks;
        expect([moved!.width, moved!.height, out.image.data.length]).toEqual([
          mask.width,
          mask.height,
          mask.data.length,
        ]);
        expect(moved!.data.every((v) => v <= 1)).toBe(true);
        expect(moved!.data.includes(1)).toBe(mask.data.includes(1));
      }),
      { numRuns: 60 },
    );
  });

  it('mirrors about half of the samples', () => {
    const half = { ...never, flipHorizontal: 0.5 };
    const left = draw('#..', '#..', '#..');
    const random = new Random('flip');
    const mirrored = Array.from({ length: 400 }, () => augment(sampleOf(left), random, half)).filter(
      ({ masks }) => masks[0]!.data[2] === 1,
    );
    expect(mirrored.length).toBeGreaterThan(150);
    expect(mirrored.length).toBeLessThan(250);
  });
});
