// Filters: the exact one is the definition, the lattice is near it, both are linear; vertices are numbered right.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  bilateralFeatures,
  ExactFilter,
  type Features,
  gaussianFeatures,
  Kernel,
  LatticeFilter,
} from '../../../src/prompting/crf/index.ts';
import { makeAxes } from '../../../src/prompting/crf/lattice-axes.ts';
import { placeAnyBlock, placePoints } from '../../../src/prompting/crf/lattice-placement.ts';
import { UNROLLED_PLACING } from '../../../src/prompting/crf/lattice-simplices.ts';
import { VertexTable } from '../../../src/prompting/crf/vertex-table.ts';
import { Random } from '../../../src/util/random.ts';
import { discImage, kernelMatrix } from './toy.ts';

const featuresOf = (data: Float32Array, dimensions: number): Features => {
  const spans = Array.from({ length: dimensions }, (_, i) => {
    const values = Array.from(data).filter((_v, at) => at % dimensions === i);
    return Math.max(...values) - Math.min(...values);
  });
  return { points: data.length / dimensions, dimensions, data, spans };
};

const randomFeatures = (points: number, dimensions: number, spread: number, seed: string): Features => {
  const random = new Random(seed);
  const data = Float32Array.from({ length: points * dimensions }, () => spread * random.normal());
  return featuresOf(data, dimensions);
};

const randomValues = (length: number, seed: string): Float32Array => {
  const random = new Random(seed);
  return Float32Array.from({ length }, () => random.next());
};

const applied = (
  filter: { apply: LatticeFilter['apply'] },
  values: Float32Array,
  channels = 1,
): Float32Array => {
  const out = new Float32Array(values.length);
  filter.apply(out, values, channels);
  return out;
};

const largestDifference = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let largest = 0;
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs(a[i]! - b[i]!));
  return largest;
};

describe('vertex table', () => {
  it('numbers codes in order of first sight, whatever they are, and grows', () => {
    const code = fc.oneof(
      fc.integer({ min: -50, max: 50 }),
      fc.integer({ min: -(2 ** 49), max: 2 ** 49 }),
      // Equal in their low 32 bits.
      fc.integer({ min: -9, max: 9 }).map((k) => k * 2 ** 32),
    );
    fc.assert(
      fc.property(fc.array(code, { maxLength: 300 }), (codes) => {
        const table = new VertexTable(1);
        const into = new Int32Array(codes.length + 2);
        table.addAll(Float64Array.from(codes), codes.length, into, 1);
        const numbers = new Map<number, number>();
        for (const [i, c] of codes.entries()) {
          if (!numbers.has(c)) numbers.set(c, numbers.size + 1);
          expect(into[i + 1]).toBe(numbers.get(c));
        }
        expect(table.count).toBe(numbers.size);
        for (const [c, number] of numbers) {
          expect(table.find(c)).toBe(number);
          expect(table.codes[number]).toBe(c);
        }
        expect(table.find(0.5)).toBe(0);
      }),
      { numRuns: 50 },
    );
  });
});

describe('simplices', () => {
  it.each([2, 3, 5])('in %i dimensions written out are those of the general form', (d) => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 40 }),
        fc.double({ min: 0.01, max: 20, noNaN: true }),
        fc.string(),
        (n, spread, seed) => {
          const features = randomFeatures(n, d, spread, seed);
          // Whole numbers and equal features have ties.
          if (n % 3 === 0)
            for (let i = 0; i < features.data.length; i++) features.data[i] = Math.round(features.data[i]!);
          const axes = makeAxes(featuresOf(features.data, d));
          const [general, unrolled] = [placeAnyBlock, UNROLLED_PLACING[d]!].map((place) => {
            const weights = new Float32Array(n * (d + 1));
            const codes = new Float64Array(n * (d + 1));
            place(features.data, axes, 0, n, weights, codes);
            return { weights, codes };
          });
          expect(unrolled!.codes).toEqual(general!.codes);
          expect(largestDifference(unrolled!.weights, general!.weights)).toBeLessThan(1e-6);
          for (let k = 0; k < n; k++) {
            const own = general!.weights.subarray(k * (d + 1), (k + 1) * (d + 1));
            expect(own.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 5);
            for (const w of own) expect(w).toBeGreaterThan(-1e-5);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it('of equal places are equal, of different ones differ in code', () => {
    const features = randomFeatures(300, 3, 5, 'codes');
    const axes = makeAxes(features);
    const table = new VertexTable(4);
    const { vertexOf, weights, corners } = placePoints(features, axes, table);
    // A point is the mean of its corners: vertices numbered alike must lie at one place.
    const places = new Map<number, string>();
    for (let at = 0; at < vertexOf.length; at++) {
      const code = table.codes[vertexOf[at]!]!;
      const [remainder, multiple] = [((code % corners) + corners) % corners, Math.floor(code / corners)];
      expect(remainder).toBe(at % corners);
      places.set(vertexOf[at]!, `${remainder} ${multiple}`);
      expect(weights[at]).toBeGreaterThan(-1e-5);
    }
    expect(new Set(places.values()).size).toBe(places.size);
  });
});

describe('exact filter', () => {
  it('is the sum over all pairs', () => {
    const features = randomFeatures(12, 3, 1, 'pairs');
    const values = randomValues(24, 'values');
    const expected = Array.from({ length: 24 }, (_, at) =>
      kernelMatrix(features.data, 3)[at >> 1]!.reduce((a, k, j) => a + k * values[2 * j + (at & 1)]!, 0),
    );
    expect(largestDifference(applied(new ExactFilter(features), values, 2), expected)).toBeLessThan(1e-5);
  });

  it('refuses images whose pairs are too many', () => {
    expect(() => new ExactFilter(gaussianFeatures({ width: 100, height: 100 }, 3))).toThrow(
      /10000 points.*lattice/,
    );
  });
});

describe('lattice filter', () => {
  it('is near the exact sum where points are dense', () => {
    const image = discImage(40);
    const values = randomValues(1600, 'dense').map((v, i) => v * 0.1 + (i % 40) / 40);
    for (const features of [gaussianFeatures(image, 3), bilateralFeatures(image, 20, 20)]) {
      const exact = applied(new Kernel(new ExactFilter(features), 'after'), values);
      const lattice = applied(new Kernel(new LatticeFilter(features), 'after'), values);
      expect(largestDifference(exact, lattice)).toBeLessThan(0.08);
    }
  });

  it.each([1, 2, 3, 4, 5, 6])('is linear in %i dimensions, and the same for one channel as for many', (d) => {
    const filter = new LatticeFilter(randomFeatures(80, d, 2, `d${d}`));
    const channels = 3;
    const values = randomValues(80 * channels, 'many');
    const together = applied(filter, values, channels);
    const weighted = new Float32Array(80);
    for (let c = 0; c < channels; c++) {
      const one = values.filter((_, i) => i % channels === c);
      const out = applied(filter, one);
      expect(
        largestDifference(
          out,
          together.filter((_, i) => i % channels === c),
        ),
      ).toBeLessThan(1e-5);
      for (let i = 0; i < 80; i++) weighted[i]! += (c + 1) * one[i]!;
    }
    const expected = Float32Array.from({ length: 80 }, (_, i) =>
      [0, 1, 2].reduce((a, c) => a + (c + 1) * together[3 * i + c]!, 0),
    );
    expect(largestDifference(applied(filter, weighted), expected)).toBeLessThan(1e-4);
  });

  it('keeps positive what is positive, and lets nothing travel far', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.string(), (d, seed) => {
        const near = randomFeatures(20, d, 1, seed);
        const data = new Float32Array(2 * near.data.length);
        data.set(near.data);
        data.set(
          near.data.map((v) => v + 40),
          near.data.length,
        );
        const filter = new LatticeFilter(featuresOf(data, d));
        const values = randomValues(40, seed).fill(0, 20);
        const out = applied(filter, values);
        for (let i = 0; i < 20; i++) expect(out[i]).toBeGreaterThan(0);
        for (let i = 20; i < 40; i++) expect(out[i]).toBe(0);
      }),
      { numRuns: 40 },
    );
  });

  it('gives a point alone nearly its own value: what the blur takes to vertices that do not exist is lost', () => {
    for (const d of [1, 2, 5]) {
      const filter = new LatticeFilter(featuresOf(new Float32Array(d), d));
      const [own] = applied(filter, Float32Array.of(1));
      expect(own).toBeGreaterThanOrEqual(1 / (1 + 2 ** -d));
      expect(own).toBeLessThan(1.5);
    }
    // By hand: two vertices, each half of the other's; 1 + 1/4, times 2/3.
    const line = new LatticeFilter(featuresOf(new Float32Array(1), 1));
    expect(applied(line, Float32Array.of(1))[0]).toBeCloseTo(5 / 6, 6);
  });

  it('may write where it reads', () => {
    const filter = new LatticeFilter(gaussianFeatures({ width: 9, height: 7 }, 2));
    const values = randomValues(63, 'place');
    const expected = applied(filter, values);
    filter.apply(values, values, 1);
    expect(values).toEqual(expected);
  });

  it('refuses features that span too many standard deviations, and ones that are no numbers', () => {
    const image = discImage(8);
    expect(() => new LatticeFilter(bilateralFeatures(image, 1e-4, 1e-4))).toThrow(/larger sigmas/);
    const nan = { width: 2, height: 1, channels: 1, data: Float32Array.of(1, Number.NaN) } as const;
    expect(() => new LatticeFilter(bilateralFeatures(nan, 1, 1))).toThrow(/NaN.*finite/);
    const data = Float32Array.of(0, Number.NaN, 1, 2);
    expect(() => new LatticeFilter(featuresOf(data, 2))).toThrow(/finite/);
  });
});

describe('features', () => {
  it('are places and colours over their deviations', () => {
    const image = { width: 2, height: 1, channels: 3, data: Uint8Array.of(10, 20, 30, 40, 50, 60) } as const;
    expect([...bilateralFeatures(image, [4, 2], [10, 5, 2]).data]).toEqual([
      0, 0, 1, 4, 15, 0.25, 0, 4, 10, 30,
    ]);
    expect([...gaussianFeatures({ width: 2, height: 2 }, 2).data]).toEqual([0, 0, 0.5, 0, 0, 0.5, 0.5, 0.5]);
    const grey = { width: 1, height: 2, channels: 1, data: Float32Array.of(0.5, 1) } as const;
    expect([...bilateralFeatures(grey, 1, 0.5).data]).toEqual([0, 0, 1, 0, 1, 2]);
  });

  it('say which sigma is wrong', () => {
    const size = { width: 2, height: 2 };
    expect(() => gaussianFeatures(size, 0)).toThrow(/sigmaPx = 0/);
    const grey = { ...size, channels: 1, data: new Uint8Array(4) } as const;
    expect(() => bilateralFeatures(grey, 1, [1, 2, 3])).toThrow(
      /sigmaColour = \[1,2,3\]; allowed: one positive number/,
    );
    expect(() => bilateralFeatures({ ...grey, data: new Uint8Array(5) }, 1, 1)).toThrow(/5 values/);
  });
});

describe('normalisation', () => {
  const features = bilateralFeatures(discImage(12), 6, 15);
  const filters = { exact: new ExactFilter(features), lattice: new LatticeFilter(features) };

  it.each(['exact', 'lattice'] as const)('of the %s filter: means, shares and their square roots', (name) => {
    const filter = filters[name];
    const values = randomValues(144, 'normalise');
    const ones = new Float32Array(144).fill(1);
    const mass = applied(filter, ones);
    expect(largestDifference(applied(new Kernel(filter, 'after'), ones), ones)).toBeLessThan(1e-5);
    const cases = {
      none: applied(filter, values),
      after: applied(filter, values).map((v, i) => v / mass[i]!),
      before: applied(
        filter,
        values.map((v, i) => v / mass[i]!),
      ),
      symmetric: applied(
        filter,
        values.map((v, i) => v / Math.sqrt(mass[i]!)),
      ).map((v, i) => v / Math.sqrt(mass[i]!)),
    } as const;
    for (const [normalisation, expected] of Object.entries(cases)) {
      const kernel = new Kernel(filter, normalisation as keyof typeof cases);
      expect(largestDifference(applied(kernel, values), expected)).toBeLessThan(1e-4);
    }
  });
});
