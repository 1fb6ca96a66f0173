import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  averageSurfaceDistance,
  type Grid,
  gridOf,
  robustHausdorff,
  surfaceAgreement,
  surfaceDice,
  surfaceDistances,
  surfaceOverlap,
} from '../../src/evaluation/surface-distance.ts';
import { latticeOf, surfaceElements } from '../../src/evaluation/surface-elements.ts';

const DIAGONAL = Math.SQRT1_2;

function grid(shape: readonly number[], isInside: (...place: number[]) => boolean): Grid {
  const data = new Uint8Array(shape.reduce((n, size) => n * size, 1));
  for (let i = 0; i < data.length; i++) {
    const place: number[] = [];
    let rest = i;
    for (const size of [...shape].reverse()) {
      place.unshift(rest % size);
      rest = Math.floor(rest / size);
    }
    data[i] = isInside(...place) ? 1 : 0;
  }
  return { shape, data };
}

const empty = (...shape: number[]) => grid(shape, () => false);
const full = (...shape: number[]) => grid(shape, () => true);
const pixel = (shape: readonly number[], ...at: number[]) =>
  grid(shape, (...place) => place.every((p, axis) => p === at[axis]));
const total = (sizes: Float64Array) => sizes.reduce((sum, size) => sum + size, 0);

describe('two pixels', () => {
  // 0.5 mm pixels, four apart: 2 mm.
  const a = pixel([12, 12], 5, 3);
  const b = pixel([12, 12], 5, 7);
  const d = surfaceDistances(a, b, [0.5, 0.5]);

  it('have four corners of half a diagonal each', () => {
    expect([...d.truthSizes]).toEqual(new Array(4).fill(0.5 * DIAGONAL));
  });

  it('2 mm apart agree nowhere at 1 mm and everywhere at 2 mm', () => {
    expect(surfaceDice(d, 1)).toBe(0);
    expect(surfaceDice(d, 1.999)).toBe(0.5); // the corners that face each other are 1.5 mm apart
    expect(surfaceDice(d, 2)).toBe(1);
  });

  it('are 1.5 and 2 mm apart at their corners', () => {
    expect([...d.truthToPrediction]).toEqual([2, 1.5, 2, 1.5]);
    expect([...d.predictionToTruth]).toEqual([1.5, 2, 1.5, 2]);
    expect(robustHausdorff(d, 50)).toBe(1.5);
    expect(robustHausdorff(d, 51)).toBe(2);
    expect(robustHausdorff(d, 100)).toBe(2);
    expect(averageSurfaceDistance(d).truthToPrediction).toBeCloseTo(1.75, 12);
    expect(averageSurfaceDistance(d).predictionToTruth).toBeCloseTo(1.75, 12);
  });

  it('measure by row height in one direction and column width in the other', () => {
    const down = surfaceDistances(pixel([12, 12], 2, 5), pixel([12, 12], 5, 5), [3, 0.1]);
    expect(robustHausdorff(down, 100)).toBe(9);
    const across = surfaceDistances(pixel([12, 12], 5, 2), pixel([12, 12], 5, 5), [3, 0.1]);
    expect(robustHausdorff(across, 100)).toBeCloseTo(0.3, 12);
  });
});

describe('empty and full masks', () => {
  it('empty against empty has no surface and no value', () => {
    const d = surfaceDistances(empty(8, 9), empty(8, 9), [1, 1]);
    expect(d.truthSizes.length + d.predictionSizes.length).toBe(0);
    expect(surfaceDice(d, 1)).toBeNaN();
    expect(surfaceOverlap(d, 1)).toEqual({ truth: Number.NaN, prediction: Number.NaN });
    expect(robustHausdorff(d, 95)).toBe(Number.POSITIVE_INFINITY);
    expect(averageSurfaceDistance(d)).toEqual({
      truthToPrediction: Number.NaN,
      predictionToTruth: Number.NaN,
    });
  });

  it.each([
    ['2-D', [6, 7], [1, 1]],
    ['3-D', [4, 6, 7], [1, 1, 1]],
  ])('empty against full agrees nowhere at infinite distance (%s)', (_, shape, spacing) => {
    const d = surfaceDistances(empty(...shape), full(...shape), spacing);
    expect(surfaceDice(d, 1000)).toBe(0);
    expect(robustHausdorff(d, 95)).toBe(Number.POSITIVE_INFINITY);
    expect(averageSurfaceDistance(d).predictionToTruth).toBe(Number.POSITIVE_INFINITY);
    expect(averageSurfaceDistance(d).truthToPrediction).toBeNaN();
    expect(surfaceOverlap(d, 1)).toEqual({ truth: Number.NaN, prediction: 0 });
  });

  it('a full image has its own border as surface', () => {
    const d = surfaceDistances(full(6, 7), full(6, 7), [1, 1]);
    expect(total(d.truthSizes)).toBeCloseTo(2 * 5 + 2 * 6 + 4 * DIAGONAL, 12);
    expect(surfaceDice(d, 0)).toBe(1);
  });
});

describe('sizes', () => {
  it('of an a x b rectangle: 2 (a - 1) + 2 (b - 1) + 4 half diagonals', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 12 }), (a, b) => {
        const box = grid([16, 19], (y, x) => y >= 2 && y < 2 + a && x >= 3 && x < 3 + b);
        const length = total(surfaceElements(box, [1, 1]).sizes);
        expect(length).toBeCloseTo(2 * (a - 1) + 2 * (b - 1) + 4 * DIAGONAL, 10);
      }),
    );
  });

  it('of a box of voxels: faces less their rims, twelve slanted edges, eight cut corners', () => {
    const [a, b, c] = [3, 4, 5];
    const box = grid(
      [7, 8, 9],
      (z, y, x) => z > 1 && z <= 1 + a && y > 1 && y <= 1 + b && x > 1 && x <= 1 + c,
    );
    const faces = 2 * ((a - 1) * (b - 1) + (a - 1) * (c - 1) + (b - 1) * (c - 1));
    const edges = 4 * (a - 1 + b - 1 + c - 1) * DIAGONAL;
    expect(total(surfaceElements(box, [1, 1, 1]).sizes)).toBeCloseTo(
      faces + edges + 8 * (Math.sqrt(3) / 8),
      12,
    );
  });

  it('of parallel planes of voxels: one square a voxel, as far apart as the slices', () => {
    const slab = (thickness: number) => grid([9, 12, 12], (z) => z < thickness);
    const d = surfaceDistances(slab(3), slab(5), [2.5, 1, 1]);
    expect(robustHausdorff(d, 100)).toBe(5);
    // Elements far from the sides are whole squares.
    expect([...d.truthSizes].filter((size) => size === 1).length).toBeGreaterThan(200);
  });

  it('do not depend on the value that marks the inside, nor on the alignment of the bytes', () => {
    const disc = grid([21, 23], (y, x) => (y - 10) ** 2 + (x - 11) ** 2 <= 70);
    const reference = surfaceElements(disc, [1, 1]);
    for (const value of [1, 2, 128, 255]) {
      for (const offset of [0, 1, 2, 3]) {
        const data = new Uint8Array(disc.data.length + offset).subarray(offset);
        disc.data.forEach((v, i) => {
          data[i] = v * value;
        });
        expect(surfaceElements({ shape: disc.shape, data }, [1, 1])).toEqual(reference);
      }
    }
  });
});

const spacings = fc.double({ min: 0.25, max: 4, noNaN: true });

/** Two random masks of one shape, inside margins of two pixels; some are empty, some noise, some blocks. */
const pairs2d = fc.record({
  shape: fc.tuple(fc.integer({ min: 6, max: 24 }), fc.integer({ min: 6, max: 24 })),
  spacing: fc.tuple(spacings, spacings),
  seeds: fc.tuple(fc.nat(), fc.nat()),
  coarse: fc.integer({ min: 1, max: 6 }),
});
const pairs3d = fc.record({
  shape: fc.tuple(
    fc.integer({ min: 5, max: 9 }),
    fc.integer({ min: 5, max: 11 }),
    fc.integer({ min: 5, max: 11 }),
  ),
  spacing: fc.tuple(spacings, spacings, spacings),
  seeds: fc.tuple(fc.nat(), fc.nat()),
  coarse: fc.integer({ min: 1, max: 4 }),
});

function randomGrid(shape: readonly number[], seed: number, coarse: number): Grid {
  const hash = (...xs: number[]) => {
    let h = seed | 0;
    for (const x of xs) h = Math.imul(h ^ (x + 0x9e3779b9), 0x85ebca6b) ^ (h >>> 13);
    return ((h ^ (h >>> 16)) >>> 0) / 4294967296;
  };
  const density = hash(-1);
  return grid(
    shape,
    (...place) =>
      place.every((p, axis) => p >= 2 && p < shape[axis]! - 2) &&
      hash(...place.map((p) => Math.floor(p / coarse))) < density,
  );
}

/** All pairs of elements, the definition. */
function bruteForce(from: Grid, to: Grid, spacing: readonly number[]): number[] {
  const places = (g: Grid) => {
    const [, rows, columns] = latticeOf(g);
    return [...surfaceElements(g, spacing).corners].map((corner) => {
      const y = Math.floor(corner / columns);
      return [Math.floor(y / rows), y % rows, corner % columns];
    });
  };
  const steps = spacing.length === 2 ? [1, ...spacing] : spacing;
  const targets = places(to);
  return places(from).map((p) =>
    Math.min(
      Number.POSITIVE_INFINITY,
      ...targets.map((q) => Math.hypot(...p.map((v, axis) => (v - q[axis]!) * steps[axis]!))),
    ),
  );
}

describe.each([
  ['2-D', pairs2d, 100],
  ['3-D', pairs3d, 40],
])('properties, %s', (_, pairs, numRuns) => {
  const check = (property: (a: Grid, b: Grid, spacing: readonly number[], seed: number) => void): void => {
    fc.assert(
      fc.property(pairs as typeof pairs2d, ({ shape, spacing, seeds, coarse }) => {
        property(randomGrid(shape, seeds[0], coarse), randomGrid(shape, seeds[1], coarse), spacing, seeds[0]);
      }),
      { numRuns },
    );
  };

  it('distances are those to the nearest of all elements', () => {
    check((a, b, spacing) => {
      const d = surfaceDistances(a, b, spacing);
      const expected = bruteForce(a, b, spacing);
      expect(d.truthToPrediction.length).toBe(expected.length);
      d.truthToPrediction.forEach((distance, i) => {
        if (distance !== expected[i]) expect(distance).toBeCloseTo(expected[i]!, 9);
      });
    });
  });

  it('truth and prediction change places without changing the surface Dice or the Hausdorff distance', () => {
    check((a, b, spacing) => {
      const [ab, ba] = [surfaceDistances(a, b, spacing), surfaceDistances(b, a, spacing)];
      expect(ba.truthToPrediction).toEqual(ab.predictionToTruth);
      expect(surfaceAgreement(ba, 1).within).toBeCloseTo(surfaceAgreement(ab, 1).within, 9);
      expect(robustHausdorff(ba, 95)).toBe(robustHausdorff(ab, 95));
    });
  });

  it('surface Dice grows with the tolerance, from the shared elements to 1', () => {
    check((a, b, spacing) => {
      const d = surfaceDistances(a, b, spacing);
      const values = [0, 0.5, 1, 2, 4, 1000].map((tolerance) => surfaceAgreement(d, tolerance).within);
      for (let i = 1; i < values.length; i++) expect(values[i]).toBeGreaterThanOrEqual(values[i - 1]!);
      const both = d.truthSizes.length > 0 && d.predictionSizes.length > 0;
      if (both) expect(surfaceDice(d, 1000)).toBe(1);
    });
  });

  it('identical masks agree fully at tolerance 0', () => {
    check((a, _b, spacing) => {
      const d = surfaceDistances(a, a, spacing);
      if (d.truthSizes.length > 0) expect(surfaceDice(d, 0)).toBe(1);
      expect(d.truthToPrediction.every((distance) => distance === 0)).toBe(true);
    });
  });

  it('mirroring or moving both masks changes nothing', () => {
    const sortedPairs = (distances: Float64Array, sizes: Float64Array) =>
      [...distances].map((d, i) => [d, sizes[i]!] as const).sort((p, q) => p[0] - q[0] || p[1] - q[1]);
    check((a, b, spacing, seed) => {
      const before = surfaceDistances(a, b, spacing);
      const axis = seed % a.shape.length;
      const mirrored = (g: Grid) => mapPlaces(g, (p, at) => (at === axis ? g.shape[at]! - 1 - p : p));
      const moved = (g: Grid) => mapPlaces(g, (p, at) => (p + at + (seed % 2) - 1) % g.shape[at]!); // margins hold it
      for (const change of [mirrored, moved]) {
        const after = surfaceDistances(change(a), change(b), spacing);
        const expected = sortedPairs(before.truthToPrediction, before.truthSizes);
        const got = sortedPairs(after.truthToPrediction, after.truthSizes);
        expect(got.length).toBe(expected.length);
        got.forEach(([distance, size], i) => {
          if (distance !== expected[i]![0]) expect(distance).toBeCloseTo(expected[i]![0], 9);
          expect(size).toBeCloseTo(expected[i]![1], 9);
        });
      }
    });
  });

  it('spacing scaled by k scales distances by k', () => {
    check((a, b, spacing) => {
      const one = surfaceDistances(a, b, spacing);
      const three = surfaceDistances(
        a,
        b,
        spacing.map((s) => 3 * s),
      );
      one.truthToPrediction.forEach((distance, i) => {
        if (distance !== three.truthToPrediction[i]) {
          expect(three.truthToPrediction[i]).toBeCloseTo(3 * distance, 9);
        }
      });
    });
  });
});

function mapPlaces(g: Grid, to: (place: number, axis: number) => number): Grid {
  const [depth, rows, columns] = g.shape.length === 2 ? [1, ...g.shape] : g.shape;
  const data = new Uint8Array(g.data.length);
  const axes = g.shape.length === 2 ? [-1, 0, 1] : [0, 1, 2];
  let i = 0;
  for (let z = 0; z < depth!; z++) {
    for (let y = 0; y < rows!; y++) {
      for (let x = 0; x < columns!; x++, i++) {
        const [tz, ty, tx] = [z, y, x].map((p, k) => (axes[k]! < 0 ? p : to(p, axes[k]!)));
        data[(tz! * rows! + ty!) * columns! + tx!] = g.data[i]!;
      }
    }
  }
  return { shape: g.shape, data };
}

describe('arguments', () => {
  it('a mask becomes a grid without a copy', () => {
    const data = new Uint8Array(6);
    expect(gridOf({ width: 3, height: 2, data })).toEqual({ shape: [2, 3], data });
    expect(gridOf({ width: 3, height: 2, data }).data).toBe(data);
  });

  it('are refused with both values named', () => {
    expect(() => surfaceDistances(empty(4, 5), empty(4, 6), [1, 1])).toThrow(/\[4,5\].*\[4,6\]/);
    expect(() => surfaceDistances(empty(4, 5), empty(4, 5), [1])).toThrow(
      /spacing = \[1\]; allowed: 2 positive/,
    );
    expect(() => surfaceDistances(empty(4, 5), empty(4, 5), [1, 0])).toThrow(/spacing/);
    expect(() => surfaceDistances(empty(4), empty(4), [1])).toThrow(/\[rows, columns\]/);
    expect(() => surfaceDistances({ shape: [2, 2], data: new Uint8Array(3) }, empty(2, 2), [1, 1])).toThrow(
      /truth has 3 values; its shape \[2,2\] needs 4/,
    );
    const d = surfaceDistances(full(3, 3), full(3, 3), [1, 1]);
    expect(() => robustHausdorff(d, 101)).toThrow(/percent = 101/);
  });
});
