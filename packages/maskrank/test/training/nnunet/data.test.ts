// From images to patches: windows and resampling, cropping and normalising and back, random patches, random changes.

import { fromTypedArray, memory, type Tensor, tidy } from '@maskrank/torch';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  augmentPatch,
  NNUNET_AUGMENTATION,
  type NnunetAugmentation,
  turningOf,
  windowSize,
} from '../../../src/training/nnunet/augment.ts';
import { countOf, type Grid, permute, resample, window } from '../../../src/training/nnunet/grid.ts';
import {
  ForegroundCollector,
  nonzeroBox,
  normalisedWindow,
  objectMask,
  prepareImage,
  prepareTruth,
  toOriginal,
} from '../../../src/training/nnunet/prepare.ts';
import { makeSample, randomPatch, randomPatches } from '../../../src/training/nnunet/sample.ts';
import { Random } from '../../../src/util/random.ts';

const bytes = (shape: number[], channels = 1, seed = 1, least = 0): Grid<Uint8Array> => {
  const random = new Random(seed);
  const values = Uint8Array.from({ length: channels * countOf(shape) }, () => random.int(least, 256));
  return { shape, channels, values };
};
const shapes = fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 2, maxLength: 3 });
const plain = { scheme: 'none', insideMask: false } as const;
const sameSpacing = (axes: number) => ({
  spacing: new Array<number>(axes).fill(1),
  targetSpacing: new Array<number>(axes).fill(1),
  foreground: [],
});

describe('grids', () => {
  it('a window holds what is there, and the fill where nothing is', () => {
    fc.assert(
      fc.property(
        shapes,
        fc.array(fc.integer({ min: -4, max: 5 }), { minLength: 3, maxLength: 3 }),
        (shape, from) => {
          const grid = bytes(shape, 2, 1, 1);
          const start = from.slice(0, shape.length);
          const size = shape.map((_, axis) => 2 + axis);
          const got = window(grid, start, size, 255);
          const read = ({ shape: s, values }: Grid, c: number, at: number[]) =>
            values[at.reduce((i, n, axis) => i * (s[axis] as number) + n, c)] as number;
          for (let c = 0; c < 2; c++)
            for (let i = 0; i < countOf(size); i++) {
              const at = size.map((side, axis) => Math.floor(i / countOf(size.slice(axis + 1))) % side);
              const source = at.map((n, axis) => n + (start[axis] as number));
              const inside = source.every((n, axis) => n >= 0 && n < (shape[axis] as number));
              expect(read(got, c, at)).toBe(inside ? read(grid, c, source) : 255);
            }
        },
      ),
    );
  });

  it('resampled keeps constants, labels and the size asked for', () => {
    fc.assert(
      fc.property(shapes, shapes, (shape, other) => {
        const target = shape.map((side, axis) => other[axis] ?? side);
        const constant = { shape, channels: 2, values: new Float32Array(2 * countOf(shape)).fill(3) };
        for (const how of ['smooth', 'linear', 'nearest'] as const) {
          const out = resample(constant, target, how);
          expect(out.shape).toEqual(target);
          expect(out.values.every((value) => Math.abs(value - 3) < 1e-5)).toBe(true);
        }
        const labels = bytes(shape);
        const known = new Set(labels.values);
        expect(resample(labels, target, 'nearest').values.every((value) => known.has(value))).toBe(true);
        expect(resample(labels, shape, 'smooth')).toBe(labels);
      }),
    );
  });
});

describe('axes', () => {
  it('in another order and back give the same grid', () => {
    const grid = bytes([2, 3, 4], 2);
    const turned = permute(grid, [2, 0, 1]);
    expect(turned.shape).toEqual([4, 2, 3]);
    // Place (1, 2, 3) of channel 1 is now at (3, 1, 2).
    expect(turned.values[24 + (3 * 2 + 1) * 3 + 2]).toBe(grid.values[24 + (1 * 3 + 2) * 4 + 3]);
    expect(permute(turned, [1, 2, 0])).toEqual(grid);
    expect(permute(grid, [0, 1, 2])).toBe(grid);
  });
});

describe('preparing', () => {
  const framed = (): Grid<Uint8Array> => {
    const values = new Uint8Array(6 * 8);
    for (let y = 1; y < 5; y++) for (let x = 2; x < 7; x++) values[y * 8 + x] = 10 * y + x;
    return { shape: [6, 8], channels: 1, values };
  };

  it('crops to what is not zero and puts back', () => {
    const grid = framed();
    expect(nonzeroBox(grid)).toEqual({ start: [1, 2], size: [4, 5] });
    expect(nonzeroBox({ ...grid, values: new Uint8Array(48) })).toEqual({ start: [0, 0], size: [6, 8] });
    const prepared = prepareImage(grid, { ...sameSpacing(2), normalisation: [plain] });
    expect(prepared.shape).toEqual([4, 5]);
    const back = toOriginal(
      { ...prepared, values: Float32Array.from(prepared.values) },
      prepared.placement,
      -1,
    );
    expect([...back.values]).toEqual([...grid.values].map((value) => (value === 0 ? -1 : value)));
    expect(prepareTruth(grid, prepared).values).toEqual(prepared.values);
  });

  it('resamples to the target spacing', () => {
    const options = { ...sameSpacing(2), targetSpacing: [2, 2.5], normalisation: [plain] };
    expect(prepareImage(framed(), options).shape).toEqual([2, 2]);
  });

  it('fills holes of an object, not bays', () => {
    const rows = ['000000', '011110', '010010', '011110', '000000', '110110', '101101'];
    const values = Uint8Array.from(rows.join(''), Number);
    const mask = objectMask({ shape: [7, 6], channels: 1, values });
    const expected = ['000000', '011110', '011110', '011110', '000000', '110110', '101101'];
    expect([...mask].join('')).toBe(expected.join(''));
  });

  it('normalises each channel by its scheme, zero outside the image', () => {
    const grid: Grid<Uint8Array> = { shape: [1, 4], channels: 1, values: Uint8Array.from([1, 2, 3, 6]) };
    const of = (scheme: 'z-score' | 'ct' | 'rescale' | 'rgb') => {
      const foreground = [{ low: 2, high: 4, mean: 3, sd: 0.5 }];
      const prepared = prepareImage(grid, {
        ...sameSpacing(2),
        foreground,
        normalisation: [{ scheme, insideMask: false }],
      });
      return [...normalisedWindow(prepared, [0, -1], [1, 6])];
    };
    const sd = Math.sqrt(3.5);
    const near = (values: number[]) => values.map((value) => expect.closeTo(value, 5));
    expect(of('z-score')).toEqual(near([0, -2 / sd, -1 / sd, 0, 3 / sd, 0]));
    expect(of('ct')).toEqual(near([0, -2, -2, 0, 2, 0]));
    expect(of('rescale')).toEqual(near([0, 0, 0.2, 0.4, 1, 0]));
    expect(of('rgb')).toEqual(near([0, 1 / 255, 2 / 255, 3 / 255, 6 / 255, 0]));
  });

  it('takes the statistics of the object alone where cropping took much', () => {
    const values = Uint8Array.from([9, 0, 0, 5, 0, 7]);
    const normalisation = [{ scheme: 'z-score', insideMask: true }] as const;
    const prepared = prepareImage(
      { shape: [1, 6], channels: 1, values },
      { ...sameSpacing(2), normalisation },
    );
    expect(prepared.scales[0]?.mean).toBeCloseTo(7);
    const sd = Math.sqrt(8 / 3);
    expect([...normalisedWindow(prepared, [0, 0], [1, 6])]).toEqual(
      [2 / sd, 0, 0, -2 / sd, 0, 0].map((value) => expect.closeTo(value, 5)),
    );
  });

  it('collects what lies under masks', () => {
    const collector = new ForegroundCollector(1, 2);
    collector.add(
      { shape: [1, 5], channels: 1, values: Uint8Array.from([0, 10, 20, 30, 99]) },
      [1, 2, 3],
      new Random(1),
    );
    expect(collector.statistics()[0]).toMatchObject({
      mean: 20,
      low: expect.closeTo(10.1),
      high: expect.closeTo(29.9),
    });
    expect(new ForegroundCollector(1, 0).statistics()[0]).toMatchObject({ mean: 0, sd: 1 });
  });
});

describe('patches', () => {
  const sampleOf = (shape: number[], place: number) => {
    const image = prepareImage(bytes(shape, 1, 3, 1), {
      ...sameSpacing(shape.length),
      normalisation: [plain],
    });
    const values = new Uint8Array(countOf(shape));
    values[place] = 2;
    return makeSample(image, { shape, channels: 1, values }, new Random(1));
  };

  it('bound to hold foreground do so in their middle, wherever it is', () => {
    fc.assert(
      fc.property(
        shapes,
        fc.nat(),
        fc.integer({ min: 1, max: 9 }),
        fc.nat(3),
        fc.nat(),
        (shape, at, side, more, seed) => {
          const sample = sampleOf(shape, at % countOf(shape));
          expect(sample.places).toHaveLength(1);
          const patch = shape.map(() => side);
          const size = shape.map(() => side + 2 * more);
          const cut = randomPatch(sample, { size, patch, foreground: true }, new Random(seed));
          const middle = window(
            { shape: size, channels: 1, values: cut.truth },
            shape.map(() => more),
            patch,
          );
          expect(middle.values).toContain(2);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('at random reach every border, and say the truth of their image', () => {
    const sample = sampleOf([7, 9], 0);
    const corners = new Set<string>();
    for (let k = 0; k < 300; k++) {
      const cut = randomPatch(sample, { size: [6, 6], patch: [4, 4], foreground: false }, new Random(k));
      const middle = window({ shape: [6, 6], channels: 1, values: cut.image }, [1, 1], [4, 4]).values;
      expect(middle.every((value) => value > 0)).toBe(true); // wholly inside the image
      if (cut.truth[7] === 2) corners.add('first');
      if (middle[15] === sample.image.values[62]) corners.add('last');
    }
    expect([...corners].sort()).toEqual(['first', 'last']);
  });

  it('a third of a batch is bound', () => {
    expect([2, 3, 12].map((size) => size - randomPatches(size, 0.33))).toEqual([1, 1, 4]);
    expect(randomPatches(4, 0)).toBe(4);
  });

  it('keep regions apart', () => {
    const image = prepareImage(bytes([2, 2], 1, 3, 1), { ...sameSpacing(2), normalisation: [plain] });
    const truth = { shape: [2, 2], channels: 2, values: Uint8Array.from([1, 0, 0, 0, 0, 0, 1, 1]) };
    expect(makeSample(image, truth, new Random(1)).places.map((list) => [...list])).toEqual([[0], [2, 3]]);
  });
});

describe('random changes', () => {
  const NEVER = Object.fromEntries(
    Object.entries(NNUNET_AUGMENTATION).map(([key, value]) => [key, typeof value === 'number' ? 0 : value]),
  ) as unknown as NnunetAugmentation;
  const disc = (size: number[]): Tensor => {
    const values = Float32Array.from({ length: countOf(size) }, (_, i) => {
      const at = size.map(
        (side, axis) => (Math.floor(i / countOf(size.slice(axis + 1))) % side) - side / 2 + 3,
      );
      return Number(Math.hypot(...at) < 5);
    });
    return fromTypedArray(values, [1, ...size]);
  };
  const run = (patch: number[], o: Partial<NnunetAugmentation>, seed: number) =>
    tidy(() => {
      const size = windowSize(patch);
      const image = disc(size);
      const out = augmentPatch({ image, truth: disc(size) }, patch, new Random(seed), { ...NEVER, ...o });
      expect(out.image.shape).toEqual([1, ...patch]);
      expect(out.truth.shape).toEqual([1, ...patch]);
      return { image: out.image.toFloat32Array(), truth: out.truth.toFloat32Array() };
    });

  it('windows are larger than patches, and turned as their shape allows', () => {
    expect(windowSize([64, 64])).toEqual([75, 75]);
    expect(turningOf([64, 100])).toEqual({ maxDegrees: 15, inPlane: false });
    expect(turningOf([64, 64, 64])).toEqual({ maxDegrees: 30, inPlane: false });
    expect(turningOf([8, 64, 64])).toEqual({ maxDegrees: 180, inPlane: true });
    expect(windowSize([8, 64, 64])[0]).toBe(8);
  });

  it('none leave the middle of the window', () => {
    const { image, truth } = run([16, 16], {}, 1);
    expect(image).toEqual(truth);
    const size = windowSize([16, 16]);
    const cut = (size[0] as number) - 16;
    const values = disc(size).toFloat32Array();
    expect(image[0]).toBe(values[Math.floor(cut / 2) * ((size[1] as number) + 1)]);
  });

  it.each([[[24, 24]], [[20, 24, 24]], [[6, 24, 24]]])('image and truth move together, %j', (patch) => {
    for (let seed = 0; seed < 4; seed++) {
      const moved = run(patch, { rotation: 1, scaling: 1, mirroring: 0.5 }, seed);
      let differ = 0;
      for (const [i, value] of moved.image.entries())
        differ += Number(Number(value > 0.5) !== moved.truth[i]);
      expect(differ / moved.image.length).toBeLessThan(0.03);
      expect(moved.truth).not.toEqual(run(patch, {}, seed).truth);
      expect(run(patch, { rotation: 1, scaling: 1, mirroring: 0.5 }, seed)).toEqual(moved);
    }
  });

  it('of grey values leave the truth alone and stay finite', () => {
    const always = {
      noise: 1,
      blur: 1,
      brightness: 1,
      contrast: 1,
      lowResolution: 1,
      gamma: 1,
      invertedGamma: 1,
      perChannel: 1,
    };
    const still = run([16, 16], {}, 1);
    for (const [name, value] of Object.entries(always)) {
      const changed = run([16, 16], { [name]: value, perChannel: 1, resolutions: [0.5, 0.5] }, 2);
      expect(changed.truth).toEqual(still.truth);
      expect(changed.image.every(Number.isFinite)).toBe(true);
      if (['noise', 'blur', 'brightness', 'lowResolution'].includes(name))
        expect(changed.image).not.toEqual(still.image);
    }
    const all = run([8, 16, 16], always, 3);
    expect(all.image.every(Number.isFinite)).toBe(true);
  });

  it('gamma keeps mean and standard deviation', () => {
    const ramp = fromTypedArray(
      Float32Array.from({ length: 400 }, (_, i) => i / 100 - 2),
      [1, 20, 20],
    );
    const moments = (x: Tensor) => [x.mean().item(), x.var([0, 1, 2]).item()];
    const out = augmentPatch({ image: ramp, truth: ramp }, [20, 20], new Random(1), { ...NEVER, gamma: 1 });
    expect(out.image.toFloat32Array()).not.toEqual(ramp.toFloat32Array());
    for (const [i, value] of moments(out.image).entries())
      expect(value).toBeCloseTo(moments(ramp)[i] as number, 4);
  });

  it('leave no tensors behind', () => {
    const before = memory().tensors;
    run([16, 16], NNUNET_AUGMENTATION, 1);
    expect(memory().tensors).toBe(before);
  });
});
