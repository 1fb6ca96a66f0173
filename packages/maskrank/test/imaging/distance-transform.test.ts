// Distance transform against brute force, by hand, and with regions.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { squaredDistanceTransform } from '../../src/imaging/distance-transform.ts';

function bruteForce(
  mask: Uint8Array,
  width: number,
  height: number,
  [sx, sy]: readonly [number, number],
): number[] {
  const sites = [...mask.keys()].filter((j) => mask[j] !== 0);
  return Array.from({ length: width * height }, (_, i) => {
    let best = Infinity;
    for (const j of sites) {
      const dx = sx * ((i % width) - (j % width));
      const dy = sy * (Math.floor(i / width) - Math.floor(j / width));
      best = Math.min(best, dx * dx + dy * dy);
    }
    return best;
  });
}

const masks = fc
  .tuple(
    fc.integer({ min: 1, max: 24 }),
    fc.integer({ min: 1, max: 24 }),
    fc.double({ min: 0, max: 1, noNaN: true }),
  )
  .chain(([width, height, density]) =>
    fc.record({
      width: fc.constant(width),
      height: fc.constant(height),
      data: fc
        .array(fc.double({ min: 0, max: 1, noNaN: true }), {
          minLength: width * height,
          maxLength: width * height,
        })
        .map((xs) => Uint8Array.from(xs, (x) => (x < density * density ? 1 : 0))),
    }),
  );
const spacings = fc.constantFrom<readonly [number, number]>(
  [1, 1],
  [0.5, 0.5],
  [1, 2],
  [0.7, 3.1],
  [2.5, 0.3],
);

describe('squaredDistanceTransform', () => {
  it('can be counted by hand', () => {
    const mask = Uint8Array.from([0, 0, 1, 0, 0, 0]);
    expect([...squaredDistanceTransform(mask, 3, 2)]).toEqual([4, 1, 0, 5, 2, 1]);
    expect([...squaredDistanceTransform(mask, 3, 2, [10, 1])]).toEqual([400, 100, 0, 401, 101, 1]);
    expect([...squaredDistanceTransform(new Uint8Array(4), 2, 2)]).toEqual([
      Infinity,
      Infinity,
      Infinity,
      Infinity,
    ]);
  });

  it('equals brute force for any mask and spacing', () => {
    fc.assert(
      fc.property(masks, spacings, ({ width, height, data }, spacing) => {
        const got = squaredDistanceTransform(data, width, height, spacing);
        const expected = bruteForce(data, width, height, spacing);
        got.forEach((d, i) => {
          if (d !== expected[i]) expect(d).toBeCloseTo(expected[i]!, 9);
        });
      }),
      { numRuns: 300 },
    );
  });

  it('is exact on every pixel of a large mask with integer spacing', () => {
    const [width, height] = [200, 170];
    const mask = new Uint8Array(width * height);
    for (let i = 0; i < 40; i++) mask[(i * 7919 + 13) % mask.length] = 1;
    expect([...squaredDistanceTransform(mask, width, height)]).toEqual(
      bruteForce(mask, width, height, [1, 1]),
    );
  });

  it('computes a region as it stands in the whole, with sites outside it', () => {
    fc.assert(
      fc.property(
        masks,
        spacings,
        fc.array(fc.nat(), { minLength: 4, maxLength: 4 }),
        (mask, spacing, corners) => {
          const { width, height, data } = mask;
          const x0 = corners[0]! % width;
          const y0 = corners[1]! % height;
          const region = {
            x0,
            y0,
            x1: x0 + 1 + (corners[2]! % (width - x0)),
            y1: y0 + 1 + (corners[3]! % (height - y0)),
          };
          const whole = squaredDistanceTransform(data, width, height, spacing);
          const part = squaredDistanceTransform(data, width, height, spacing, { region });
          const columns = region.x1 - region.x0;
          part.forEach((d, i) => {
            expect(d).toBe(whole[(y0 + Math.floor(i / columns)) * width + x0 + (i % columns)]);
          });
        },
      ),
      { numRuns: 200 },
    );
  });

  it('reads masks that do not begin on a word', () => {
    const shifted = new Uint8Array(new ArrayBuffer(27), 1, 25);
    shifted[12] = 1;
    expect(squaredDistanceTransform(shifted, 5, 5)[0]).toBe(8);
  });

  it('refuses sizes, spacings and regions that cannot be', () => {
    expect(() => squaredDistanceTransform(new Uint8Array(5), 2, 3)).toThrow(/5 values; expected .* 2 \* 3/);
    expect(() => squaredDistanceTransform(new Uint8Array(6), 2, 3, [0, 1])).toThrow(/spacing/);
    const region = { x0: 0, y0: 0, x1: 3, y1: 1 };
    expect(() => squaredDistanceTransform(new Uint8Array(6), 2, 3, [1, 1], { region })).toThrow(/region/);
  });
});
