import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  candidateMask,
  candidatesHash,
  packCandidates,
  regionSize,
  writeRegion,
} from '../../src/alignment/proposals/candidates.ts';

// Sizes that are no multiples of 8 leave unused bits in the last byte.
const masks = fc
  .record({
    count: fc.integer({ min: 1, max: 5 }),
    width: fc.integer({ min: 1, max: 13 }),
    height: fc.integer({ min: 1, max: 7 }),
  })
  .chain(({ count, width, height }) =>
    fc.record({
      count: fc.constant(count),
      width: fc.constant(width),
      height: fc.constant(height),
      data: fc.uint8Array({
        min: 0,
        max: 1,
        minLength: count * width * height,
        maxLength: count * width * height,
      }),
    }),
  );

type Case = { count: number; width: number; height: number; data: Uint8Array };
const pack = ({ data, count, width, height }: Case) => packCandidates(data, count, width, height);
const maskOf = ({ data, width, height }: Case, k: number) =>
  data.slice(k * width * height, (k + 1) * width * height);

/** Pixels where the masks are not all equal, one after the other. */
function differing(c: Case): number[] {
  const pixels = c.width * c.height;
  return Array.from({ length: pixels }, (_, i) => i).filter(
    (i) => new Set(Array.from({ length: c.count }, (_, k) => c.data[k * pixels + i])).size > 1,
  );
}

describe('candidates', () => {
  it('come out as they were packed, an eighth of the size', () => {
    fc.assert(
      fc.property(masks, (c) => {
        const packed = pack(c);
        expect(packed.bits).toHaveLength(c.count);
        for (const [k, bits] of packed.bits.entries()) {
          expect(bits).toHaveLength(Math.ceil((c.width * c.height) / 8));
          const { width, height, data } = candidateMask(packed, k);
          expect([width, height]).toEqual([c.width, c.height]);
          expect(data).toEqual(maskOf(c, k));
        }
      }),
    );
  });

  it('pixel i is bit i, lowest first', () => {
    const data = Uint8Array.from({ length: 16 }, (_, i) => Number(i === 3 || i === 8));
    expect(pack({ data, count: 1, width: 8, height: 2 }).bits[0]).toEqual(Uint8Array.of(8, 1));
  });

  it('the region is where they are not all equal', () => {
    fc.assert(
      fc.property(masks, (c) => {
        const packed = pack(c);
        const region = differing(c);
        expect(regionSize(packed)).toBe(region.length);
        const pixels = c.width * c.height;
        const target = new Float32Array(c.count * pixels);
        writeRegion(packed, target);
        const expected = new Float32Array(c.count * pixels);
        for (let k = 0; k < c.count; k++)
          for (const i of region) expected[k * pixels + i] = c.data[k * pixels + i] as number;
        expect(target).toEqual(expected);
      }),
    );
  });

  it('the hash changes with any pixel, with the order and with the shape, and with nothing else', () => {
    fc.assert(
      fc.property(masks, fc.nat(), (c, at) => {
        const hash = candidatesHash(pack(c));
        expect(hash).toMatch(/^[0-9a-f]{32}$/);
        expect(candidatesHash(pack({ ...c, data: c.data.slice() }))).toBe(hash);
        const flipped = c.data.slice();
        const i = at % flipped.length;
        flipped[i] = 1 - (flipped[i] as number);
        expect(candidatesHash(pack({ ...c, data: flipped }))).not.toBe(hash);
        if (c.width !== c.height)
          expect(candidatesHash(pack({ ...c, width: c.height, height: c.width }))).not.toBe(hash);
        const { bits, ...size } = pack(c);
        const isPalindrome = bits.every(
          (b, k) => Buffer.compare(b, bits[bits.length - 1 - k] as Uint8Array) === 0,
        );
        if (!isPalindrome) expect(candidatesHash({ ...size, bits: [...bits].reverse() })).not.toBe(hash);
      }),
    );
  });
});
