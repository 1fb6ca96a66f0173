// Resampling by hand and by its invariants; the exact numbers of Pillow and torch are in the golden fixtures.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nearestIndices, resize, resizeBilinear, resizeNearest } from '../../src/imaging/resample.ts';
import { sizes } from './arbitraries.ts';

const line = (...values: number[]) => ({ width: values.length, height: 1, data: Float32Array.from(values) });

describe('nearest', () => {
  it('is floor(i * source / target) for whole ratios and never leaves the source', () => {
    expect([...nearestIndices(4, 8)]).toEqual([0, 0, 1, 1, 2, 2, 3, 3]);
    expect([...nearestIndices(6, 3)]).toEqual([0, 2, 4]);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 3000 }), fc.integer({ min: 1, max: 300 }), (source, target) => {
        const indices = nearestIndices(source, target);
        expect(indices[0]).toBe(0);
        expect(indices[target - 1]!).toBeLessThan(source);
        expect(indices.every((v, i) => i === 0 || v >= indices[i - 1]!)).toBe(true);
      }),
    );
  });

  it('moves whole pixels of any type', () => {
    const rgb = { width: 2, height: 1, channels: 3 as const, data: Uint16Array.of(1, 2, 3, 4, 5, 60000) };
    expect([...resizeNearest(rgb, { width: 4, height: 2 }).data.subarray(6, 18)]).toEqual([
      4, 5, 60000, 4, 5, 60000, 1, 2, 3, 1, 2, 3,
    ]);
  });
});

describe('filters', () => {
  it('bilinear can be computed by hand', () => {
    expect([...resizeBilinear(line(0, 4), { width: 4, height: 1 }).data]).toEqual([0, 1, 3, 4]);
    // Without antialiasing only the two nearest of four count.
    expect([...resizeBilinear(line(0, 8, 16, 100), { width: 2, height: 1 }).data]).toEqual([4, 58]);
    // Triangle of half width 2 around 1: weights 1, 3, 3, 1 cut at the edge to 3, 3, 1.
    const [first] = resize(line(0, 7, 14, 100), { width: 2, height: 1 }).data;
    expect(first).toBeCloseTo((0 * 3 + 7 * 3 + 14) / 7, 5);
  });

  it('area is the mean of the covered pixels, parts of pixels included', () => {
    expect([...resize(line(1, 3, 10, 20), { width: 2, height: 1 }, { filter: 'area' }).data]).toEqual([
      2, 15,
    ]);
    expect([...resize(line(3, 6, 12), { width: 2, height: 1 }, { filter: 'area' }).data]).toEqual([4, 10]);
  });

  it('keep a constant constant and stay inside the values (but for cubic)', () => {
    const filters = fc.constantFrom('area' as const, 'triangle' as const, 'cubic' as const);
    fc.assert(
      fc.property(
        sizes(30),
        sizes(30),
        filters,
        fc.boolean(),
        fc.nat(255),
        (from, to, filter, antialias, value) => {
          const flat = { ...from, data: new Uint8Array(from.width * from.height).fill(value) };
          expect(new Set(resize(flat, to, { filter, antialias }).data)).toEqual(new Set([value]));
          const noise = { ...from, data: Float32Array.from(flat.data, (_, i) => (i * 7919) % 13) };
          const out = resize(noise, to, { filter: filter === 'cubic' ? 'area' : filter, antialias }).data;
          expect(Math.max(...out)).toBeLessThanOrEqual(Math.max(...noise.data) + 1e-5);
          expect(Math.min(...out)).toBeGreaterThanOrEqual(Math.min(...noise.data) - 1e-5);
        },
      ),
    );
  });

  it('bytes are the rounded floats, at most one grey level apart', () => {
    fc.assert(
      fc.property(sizes(20), sizes(20), (from, to) => {
        const bytes = Uint8Array.from({ length: from.width * from.height }, (_, i) => (i * i * 31) % 256);
        const exact = resize({ ...from, data: Float32Array.from(bytes) }, to).data;
        resize({ ...from, data: bytes }, to).data.forEach((v, i) => {
          expect(Math.abs(v - exact[i]!)).toBeLessThanOrEqual(1);
        });
      }),
    );
  });

  it('does not mix channels or axes', () => {
    const image = {
      width: 3,
      height: 2,
      data: Float32Array.from({ length: 18 }, (_, i) => [10, 20, 30][i % 3]!),
    };
    const out = resize(image, { width: 5, height: 7 });
    expect([out.width, out.height, out.data.length]).toEqual([5, 7, 105]);
    expect([...out.data.subarray(0, 3)].map(Math.round)).toEqual([10, 20, 30]);
  });
});

it('refuses rasters and sizes that make no sense', () => {
  expect(() =>
    resizeNearest({ width: 2, height: 2, data: new Uint8Array(5) }, { width: 1, height: 1 }),
  ).toThrow(/5 values/);
  expect(() => resize(line(1, 2), { width: 0, height: 1 })).toThrow(/target size 0 x 1/);
});
