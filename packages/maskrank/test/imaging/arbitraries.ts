// Random masks and sizes for property tests.

import fc from 'fast-check';
import type { Mask, Size } from '../../src/imaging/types.ts';

export const sizes = (max: number): fc.Arbitrary<Size> =>
  fc.record({ width: fc.integer({ min: 1, max }), height: fc.integer({ min: 1, max }) });

/** Masks of any density, from empty to full. */
export const masks = (max: number): fc.Arbitrary<Mask> =>
  fc.tuple(sizes(max), fc.integer({ min: 0, max: 256 })).chain(([size, density]) => {
    const length = size.width * size.height;
    return fc
      .uint8Array({ minLength: length, maxLength: length })
      .map((data) => ({ ...size, data: data.map((v) => (v < density ? 1 : 0)) }));
  });

/** A mask from a drawing: `#` is foreground. */
export function draw(...rows: string[]): Mask {
  const data = Uint8Array.from(rows.join(''), (c) => (c === '#' ? 1 : 0));
  return { width: rows[0]!.length, height: rows.length, data };
}

export function show({ width, height, data }: Mask): string[] {
  return Array.from({ length: height }, (_, y) =>
    Array.from(data.subarray(y * width, (y + 1) * width), (v) => (v ? '#' : '.')).join(''),
  );
}
