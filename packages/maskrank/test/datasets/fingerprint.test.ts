import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { clusters, fingerprint, nearDuplicates } from '../../src/datasets/fingerprint.ts';
import type { Image } from '../../src/imaging/types.ts';
import { texture } from './tree.ts';

const image = (size: number, paint: (x: number, y: number) => number): Image => ({
  width: size,
  height: size,
  channels: 1,
  data: Uint8Array.from({ length: size * size }, (_, i) => paint(i % size, Math.floor(i / size))),
});
/** Blobs that differ by seed. */
const blobs = (seed: number) => (x: number, y: number) =>
  Math.round(
    128 +
      60 * Math.sin(x / (5 + (seed % 7)) + seed) +
      60 * Math.cos(y / (4 + (seed % 5)) + 2 * seed + x / 20),
  );

describe('fingerprint', () => {
  it('is equal for equal pixels, also grey in three channels, and differs by a single pixel or the shape', () => {
    const grey = image(20, texture(1));
    const rgb: Image = {
      ...grey,
      channels: 3,
      data: Uint8Array.from({ length: 1200 }, (_, i) => grey.data[Math.floor(i / 3)]!),
    };
    expect(fingerprint(rgb).pixels).toBe(fingerprint(grey).pixels);
    const other = { ...grey, data: grey.data.map((v, i) => (i === 7 ? v ^ 1 : v)) };
    expect(fingerprint(other).pixels).not.toBe(fingerprint(grey).pixels);
    expect(fingerprint({ ...grey, width: 40, height: 10 }).pixels).not.toBe(fingerprint(grey).pixels);
    expect(fingerprint(image(20, () => 3)).constant).toBe(true);
    expect(fingerprint(grey).constant).toBe(false);
  });

  it('has the bits that a person can count: brighter to the right is all ones, to the left none', () => {
    expect(fingerprint(image(34, (x) => x)).dHash).toEqual(new Uint32Array(8).fill(0xffffffff));
    expect(fingerprint(image(34, (x) => 255 - x)).dHash).toEqual(new Uint32Array(8));
  });

  it('works on images smaller than its grids', () => {
    expect(() => fingerprint(image(3, texture(1)))).not.toThrow();
  });
});

describe('nearDuplicates', () => {
  it('finds brightened, noisy and resized copies, and nothing else', () => {
    const prints = [
      fingerprint(image(96, blobs(1))),
      fingerprint(image(96, blobs(2))),
      fingerprint(image(96, (x, y) => Math.min(255, blobs(1)(x, y) * 0.8 + 20 + (texture(3)(x, y) & 7)))),
      fingerprint(image(192, (x, y) => blobs(1)(x / 2, y / 2))),
      fingerprint(image(96, blobs(11))),
    ];
    expect(nearDuplicates(prints).map((p) => [p.first, p.second])).toEqual([
      [0, 2],
      [0, 3],
      [2, 3],
    ]);
  });
});

describe('clusters', () => {
  it('equals a search along the pairs', () => {
    const pairs = fc.array(fc.record({ first: fc.nat(19), second: fc.nat(19) }), { maxLength: 30 });
    fc.assert(
      fc.property(pairs, (edges) => {
        const found = clusters(20, edges);
        for (let i = 0; i < 20; i++) {
          const reach = new Set([i]);
          for (let round = 0; round < 20; round++)
            for (const { first, second } of edges) {
              if (reach.has(first)) reach.add(second);
              if (reach.has(second)) reach.add(first);
            }
          expect(found[i]).toBe(Math.min(...reach));
        }
      }),
    );
  });
});
