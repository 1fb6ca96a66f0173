// A CRF on a smaller copy of a large image: sizes, that nothing else changes, that borders are smooth, and what it costs.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { resize } from '../../../src/imaging/resample.ts';
import type { FloatMap, Image, Mask } from '../../../src/imaging/types.ts';
import {
  CRF_PRESETS,
  type DenseCrfOptions,
  denseCrf,
  unaryFromSaliency,
  workingSize,
} from '../../../src/prompting/crf/index.ts';
import { growProbabilities, shrinkImage, shrinkUnary } from '../../../src/prompting/crf/working-size.ts';
import { foregroundOf } from '../../../src/prompting/regions/foreground.ts';
import { discImage, randomUnary } from './toy.ts';

const OPTIONS: DenseCrfOptions = { ...CRF_PRESETS['medclip-sam'], iterations: 2 };

/** A blurred disc where `discImage` has its own, with values in 0.05..0.95. */
function discMap(side: number): FloatMap {
  const data = Float32Array.from({ length: side * side }, (_, i) => {
    const distance = Math.hypot((i % side) - side * 0.45, Math.floor(i / side) - side * 0.55);
    return 0.5 + 0.45 * Math.tanh((side * 0.3 - distance) / (side * 0.12));
  });
  return { width: side, height: side, data };
}

const dice = (a: Mask, b: Mask): number => {
  const [both, all] = a.data.reduce(
    ([t, n], v, i) => [t + (v & b.data[i]!), n + v + b.data[i]!] as [number, number],
    [0, 0] as [number, number],
  );
  return (2 * both) / all;
};

describe('the size at which the CRF works', () => {
  it.each([
    [{ width: 2000, height: 1000 }, 512, { width: 512, height: 256 }],
    [{ width: 1000, height: 2001 }, 512, { width: 256, height: 512 }],
    [{ width: 300, height: 200 }, 512, { width: 300, height: 200 }],
    [{ width: 4000, height: 3 }, 512, { width: 512, height: 1 }],
    [{ width: 4000, height: 3000 }, null, { width: 4000, height: 3000 }],
  ])('of %j at most %j px is %j', (size, side, wanted) => {
    expect(workingSize(size, side)).toEqual(wanted);
  });

  it('is a whole number from 1', () => {
    for (const side of [0, 1.5, -3])
      expect(() => workingSize({ width: 9, height: 9 }, side)).toThrow(/workingSidePx/);
  });
});

describe('on the way to the small copy and back', () => {
  it('energies and colours of a block are its mean, exactly, where blocks are whole', () => {
    const unary = {
      width: 4,
      height: 2,
      labels: 2,
      energies: Float32Array.of(0, 2, 4, 6, 2, 4, 6, 8, 1, 1, 1, 1, 3, 3, 5, 5),
    };
    expect([...shrinkUnary(unary, { width: 2, height: 1 }).energies]).toEqual([2, 6, 2, 3]);
    const image: Image = {
      width: 2,
      height: 2,
      channels: 3,
      data: Uint8Array.of(0, 10, 20, 4, 10, 20, 0, 10, 20, 4, 10, 20),
    };
    expect([...shrinkImage(image, { width: 1, height: 1 }).data]).toEqual([2, 10, 20]);
    const deep: Image<Uint16Array> = { width: 2, height: 1, channels: 1, data: Uint16Array.of(1000, 3001) };
    expect([...shrinkImage(deep, { width: 1, height: 1 }).data]).toEqual([2000.5]);
  });

  it('probabilities stay probabilities, and grow without steps', () => {
    const small = { width: 2, height: 1 };
    const grown = growProbabilities(Float32Array.of(0, 1, 1, 0), small, { width: 8, height: 1 });
    // Pixel centres at 1/8, 3/8 … of the small ones: linear in between, flat beyond the outermost centres.
    expect([...grown.slice(0, 8)]).toEqual([0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1]);
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 4 }),
        fc.integer({ min: 1, max: 22 }),
        (labels, workingSidePx) => {
          const unary = randomUnary(23, 23, labels, `grow ${labels}`);
          const { probabilities } = denseCrf(discImage(23, 1), unary, { ...OPTIONS, workingSidePx });
          expect(probabilities).toHaveLength(labels * 529);
          for (let i = 0; i < 529; i++) {
            const own = Array.from({ length: labels }, (_, l) => probabilities[l * 529 + i]!);
            expect(Math.abs(own.reduce((a, b) => a + b, 0) - 1)).toBeLessThan(1e-5);
          }
        },
      ),
      { numRuns: 12 },
    );
  });
});

describe('denseCrf with a working side', () => {
  it('is the plain one for images that are small enough, bit for bit', () => {
    const image = discImage(40);
    const unary = unaryFromSaliency(discMap(40));
    const plain = denseCrf(image, unary, OPTIONS);
    for (const workingSidePx of [null, 40, 512])
      expect(denseCrf(image, unary, { ...OPTIONS, workingSidePx })).toEqual(plain);
  });

  it('gives a large image the labels of its small copy: sigmas are pixels of the copy', () => {
    const [large, map] = [discImage(160), discMap(160)];
    const small = { width: 40, height: 40 };
    const copy = shrinkImage(large, small);
    const unary = shrinkUnary(unaryFromSaliency(map), small);
    const own = denseCrf(copy, unary, OPTIONS);
    const grown = denseCrf(large, unaryFromSaliency(map), { ...OPTIONS, workingSidePx: 40 });
    expect(grown.labels).toMatchObject({ width: 160, height: 160 });
    expect(grown.probabilities).toEqual(growProbabilities(own.probabilities, small, large));
    // Energies of the working size are taken as they are.
    expect(denseCrf(large, unary, { ...OPTIONS, workingSidePx: 40 })).toEqual(grown);
  });

  it('finds the disc as the full size does, with a border that follows the circle and no blocks', () => {
    const side = 192;
    const [image, map] = [discImage(side), discMap(side)];
    const truth: Mask = {
      width: side,
      height: side,
      data: Uint8Array.from({ length: side * side }, (_, i) =>
        Number(
          ((i % side) - side * 0.45) ** 2 + (Math.floor(i / side) - side * 0.55) ** 2 < (side * 0.3) ** 2,
        ),
      ),
    };
    const found = (workingSidePx: number | null) =>
      denseCrf(image, unaryFromSaliency(map), { ...OPTIONS, workingSidePx }).labels;
    expect(dice(found(null), truth)).toBeGreaterThan(0.97);
    expect(dice(found(48), truth)).toBeGreaterThan(0.96);
    // Rows of a block of 4 x 4 px would all begin at the same column.
    const starts = Array.from(
      { length: side },
      (_, y) => found(48).data.indexOf(1, y * side) - y * side,
    ).slice(70, 98);
    expect(new Set(starts).size).toBeGreaterThan(28 / 4);
  });

  it('refuses energies of any other size, and says which would do', () => {
    const image = discImage(40);
    const unary = randomUnary(30, 30, 2, 'other');
    expect(() => denseCrf(image, unary, OPTIONS)).toThrow(
      /image 40 x 40, unary energies 30 x 30; allowed: equal sizes\./,
    );
    expect(() => denseCrf(image, unary, { ...OPTIONS, workingSidePx: 20 })).toThrow(
      /equal sizes, or 20 x 20/,
    );
  });
});

describe('foreground of a large image', () => {
  const rule = (workingSidePx: number | null) =>
    ({
      kind: 'crf',
      unary: { form: 'medclip-sam' },
      crf: { ...CRF_PRESETS['medclip-sam'], workingSidePx },
    }) as const;

  it('has the image’s size, and is nearly that of the full size', () => {
    const [image, map] = [discImage(128), discMap(128)];
    const [full, small] = [foregroundOf(map, rule(null), image), foregroundOf(map, rule(64), image)];
    expect([small.width, small.height, small.data.length]).toEqual([128, 128, 128 ** 2]);
    expect(dice(full, small)).toBeGreaterThan(0.95);
    expect(() => foregroundOf(discMap(64), rule(64), image)).toThrow(/map 64 x 64, image 128 x 128/);
  });

  it('costs the full size of the copy and little more', () => {
    const large = (side: number) => resize(discImage(100, 1), { width: side, height: side });
    const seconds = (side: number) => {
      const [image, map] = [large(side), resize(discMap(100), { width: side, height: side })];
      const times = [0, 1, 2].map(() => {
        const start = process.cpuUsage();
        foregroundOf(map, rule(128), image);
        return process.cpuUsage(start).user;
      });
      return Math.min(...times);
    };
    seconds(128); // warms up
    // Four times the side is sixteen times the pixels: without the copy it is about sixteen times the time.
    expect(seconds(512)).toBeLessThan(6 * seconds(128));
  });
});
