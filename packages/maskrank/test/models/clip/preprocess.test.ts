import { describe, expect, it } from 'vitest';
import type { Image } from '../../../src/imaging/types.ts';
import { CLIP_NORMALISATION, clipInput } from '../../../src/models/clip/index.ts';

/** Grey value by place. */
function image(width: number, height: number, at: (x: number, y: number) => number): Image {
  const data = Uint8Array.from({ length: width * height }, (_, i) => at(i % width, Math.floor(i / width)));
  return { width, height, channels: 1, data };
}
const { mean, std } = CLIP_NORMALISATION;

describe('an image for a CLIP', () => {
  it('is normalised by plane', () => {
    const { planes, shown } = clipInput(
      image(8, 8, () => 100),
      4,
    );
    expect(planes.length).toBe(48);
    for (const c of [0, 1, 2] as const) expect(planes[c * 16]).toBeCloseTo((100 - mean[c]) / std[c], 5);
    expect(shown).toEqual({ x0: 0, y0: 0, x1: 8, y1: 8 });
  });

  it('as large as the input is not resampled', () => {
    const { planes } = clipInput(
      image(5, 5, (x, y) => 10 * x + y),
      5,
    );
    for (let i = 0; i < 25; i++) {
      expect(planes[i]).toBeCloseTo((10 * (i % 5) + Math.floor(i / 5) - mean[0]) / std[0], 5);
    }
  });

  it('stretched shows everything, cropped the middle of the longer side', () => {
    const wide = image(40, 20, (x) => (x < 10 || x >= 30 ? 255 : 0));
    const stretched = clipInput(wide, 20, 'stretch');
    expect(stretched.shown).toEqual({ x0: 0, y0: 0, x1: 40, y1: 20 });
    expect(stretched.planes[0]).toBeGreaterThan(1);
    const cropped = clipInput(wide, 20, 'centre-crop');
    expect(cropped.shown).toEqual({ x0: 10, y0: 0, x1: 30, y1: 20 });
    expect(Math.max(...cropped.planes.subarray(0, 400))).toBeLessThan(0);
    const tall = clipInput(
      image(20, 50, () => 0),
      10,
      'centre-crop',
    );
    // 50 px become 25, and 7.5 rounds to the even 8.
    expect(tall.shown).toEqual({ x0: 0, y0: 16, x1: 20, y1: 36 });
  });
});
