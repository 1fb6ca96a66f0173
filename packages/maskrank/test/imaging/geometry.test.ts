// Geometry: where images land, and that everything comes back.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  boxToCanvas,
  boxToOriginal,
  createGeometry,
  type GeometryRule,
  imageToCanvas,
  logitsToOriginal,
  maskToCanvas,
  maskToOriginal,
  pointToCanvas,
  pointToOriginal,
  resampleImage,
  vanishesOnCanvas,
} from '../../src/imaging/geometry.ts';
import { NORMALISATIONS } from '../../src/imaging/normalise.ts';
import type { Mask } from '../../src/imaging/types.ts';
import { masks, sizes } from './arbitraries.ts';

const RULES: readonly GeometryRule[] = ['sammed2d', 'stretch', 'longest-side'];
const rules = fc.constantFrom(...RULES);
const canvases = fc.integer({ min: 4, max: 40 });
const unitImage = { mean: [0, 0, 0], std: [1, 1, 1], order: 'rgb' } as const;

describe('createGeometry', () => {
  it.each([
    ['sammed2d', 100, 255, { x0: 78, y0: 0, x1: 178, y1: 255 }],
    ['sammed2d', 101, 33, { x0: 77, y0: 111, x1: 178, y1: 144 }],
    ['sammed2d', 256, 10, { x0: 0, y0: 0, x1: 256, y1: 256 }],
    ['stretch', 100, 255, { x0: 0, y0: 0, x1: 256, y1: 256 }],
    ['longest-side', 512, 300, { x0: 0, y0: 0, x1: 256, y1: 150 }],
    ['longest-side', 75, 100, { x0: 0, y0: 0, x1: 192, y1: 256 }],
  ] as const)('%s places %i x %i', (rule, width, height, placed) => {
    expect(createGeometry(rule, { width, height }, 256).placed).toEqual(placed);
  });

  it('is plain JSON', () => {
    const geometry = createGeometry('sammed2d', { width: 30, height: 20 }, 64);
    expect(JSON.parse(JSON.stringify(geometry))).toEqual(geometry);
  });

  it('refuses sizes without pixels', () => {
    expect(() => createGeometry('stretch', { width: 0, height: 5 }, 64)).toThrow(/positive whole numbers/);
    expect(() => createGeometry('longest-side', { width: 2000, height: 1 }, 64)).toThrow(
      /no pixel left.*stretch/,
    );
  });
});

describe('images and masks', () => {
  it('writes the same pixel into the same place of image and mask', () => {
    fc.assert(
      fc.property(
        masks(50),
        fc.constantFrom<GeometryRule>('sammed2d', 'stretch'),
        canvases,
        (mask, rule, side) => {
          const geometry = createGeometry(rule, mask, side);
          const image = { ...mask, channels: 1 as const };
          const plane = imageToCanvas(geometry, image, unitImage).subarray(0, side * side);
          expect([...plane]).toEqual([...maskToCanvas(geometry, mask).data]);
        },
      ),
    );
  });

  it('gives enlarged and padded masks back bit for bit', () => {
    fc.assert(
      fc.property(masks(24), rules, (mask, rule) => {
        const geometry = createGeometry(rule, mask, 60 + (mask.width % 7));
        fc.pre(
          rule !== 'longest-side' ||
            20 * Math.min(mask.width, mask.height) > Math.max(mask.width, mask.height),
        );
        expect(maskToOriginal(geometry, maskToCanvas(geometry, mask))).toEqual(mask);
      }),
    );
  });

  it('gives canvas masks of shrunk images back bit for bit', () => {
    fc.assert(
      fc.property(masks(16), sizes(60), ({ width: side, data }, extra) => {
        const original = { width: side + extra.width, height: side + extra.height };
        const geometry = createGeometry('stretch', original, side);
        const canvas: Mask = {
          width: side,
          height: side,
          data: Uint8Array.from({ length: side * side }, (_, i) => data[i % data.length]!),
        };
        expect(maskToCanvas(geometry, maskToOriginal(geometry, canvas))).toEqual(canvas);
      }),
    );
  });

  it('keeps a mask that nearest resampling would lose', () => {
    const data = new Uint8Array(500 * 400);
    data[123 * 500 + 77] = 1;
    const mask: Mask = { width: 500, height: 400, data };
    const geometry = createGeometry('sammed2d', mask, 256);
    const byArea = maskToCanvas(geometry, mask, 'area');
    expect(byArea.data.reduce((a, b) => a + b, 0)).toBe(1);
    expect(byArea.data.indexOf(1)).toBe(
      Math.floor((123.5 * 256) / 400) * 256 + Math.floor((77.5 * 256) / 500),
    );
    expect(vanishesOnCanvas(geometry, mask)).toBe(true);
    expect(vanishesOnCanvas(geometry, { ...mask, data: new Uint8Array(data.length) })).toBe(false);
    fc.assert(
      fc.property(masks(40), canvases, (any, side) => {
        const kept = maskToCanvas(createGeometry('stretch', any, side), any, 'area');
        expect(kept.data.includes(1)).toBe(any.data.includes(1));
      }),
    );
  });

  it('decides by half of the covered area, class by class', () => {
    const labels = { width: 4, height: 2, data: Uint8Array.of(1, 1, 2, 0, 1, 0, 2, 2) };
    const geometry = createGeometry('stretch', labels, 2);
    expect([
      ...maskToCanvas(geometry, { width: 4, height: 2, data: labels.data }, 'area').data.subarray(0, 2),
    ]).toEqual([1, 2]);
  });

  it('pads with the mean colour', () => {
    const image = { width: 2, height: 1, channels: 3 as const, data: Uint8Array.of(255, 0, 0, 0, 255, 0) };
    const side = 4;
    const planes = imageToCanvas(createGeometry('sammed2d', image, side), image, NORMALISATIONS.sammed2d);
    const at = (c: number, x: number, y: number): number => planes[c * 16 + y * side + x]!;
    expect(at(0, 0, 0)).toBe(0);
    // First plane: blue with the mean of red.
    expect(at(0, 1, 1)).toBeCloseTo((0 - 123.675) / 58.395, 6);
    expect(at(2, 1, 1)).toBeCloseTo((255 - 103.53) / 57.375, 6);
    expect(at(1, 2, 1)).toBeCloseTo((255 - 116.28) / 57.12, 6);
  });

  it('leaves an image of the right size untouched', () => {
    const image = { width: 8, height: 8, channels: 1 as const, data: new Uint8Array(64) };
    expect(resampleImage(createGeometry('stretch', image, 8), image)).toBe(image);
  });

  it('refuses the raster of another image', () => {
    const geometry = createGeometry('stretch', { width: 30, height: 20 }, 8);
    const other = { width: 20, height: 30, data: new Uint8Array(600) };
    expect(() => maskToCanvas(geometry, other)).toThrow(/got 20 x 30; this geometry belongs to 30 x 20/);
    expect(() => maskToOriginal(geometry, other)).toThrow(/canvas is 8 x 8/);
  });
});

describe('points and boxes', () => {
  const coordinates = fc.double({ min: -50, max: 600, noNaN: true });
  it('come back', () => {
    fc.assert(
      fc.property(rules, sizes(500), canvases, coordinates, coordinates, (rule, size, side, x, y) => {
        fc.pre(
          rule !== 'longest-side' ||
            side * Math.min(size.width, size.height) >= Math.max(size.width, size.height),
        );
        const geometry = createGeometry(rule, size, side);
        const point = pointToOriginal(geometry, pointToCanvas(geometry, { x, y, label: 1 }));
        expect(point.x).toBeCloseTo(x, 8);
        expect(point.y).toBeCloseTo(y, 8);
        expect(point.label).toBe(1);
        const box = boxToOriginal(geometry, boxToCanvas(geometry, { x0: x, y0: y, x1: x + 7, y1: y + 3 }));
        expect(box.x1).toBeCloseTo(x + 7, 8);
        expect(box.y0).toBeCloseTo(y, 8);
      }),
    );
  });

  it('put the whole image onto the whole placed rectangle, x with width and y with height', () => {
    for (const rule of RULES) {
      const geometry = createGeometry(rule, { width: 90, height: 40 }, 100);
      expect(boxToCanvas(geometry, { x0: 0, y0: 0, x1: 90, y1: 40 })).toEqual(geometry.placed);
    }
  });
});

describe('logitsToOriginal', () => {
  it('keeps a linear ramp linear and in place', () => {
    // A ramp in canvas coordinates: after low resolution, padding and scaling its value must still be the place.
    const side = 64;
    for (const rule of RULES) {
      const geometry = createGeometry(rule, { width: 40, height: 20 }, side);
      const low = {
        width: 32,
        height: 32,
        data: Float32Array.from({ length: 1024 }, (_, i) => ((i % 32) + 0.5) * 2),
      };
      const back = logitsToOriginal(geometry, low);
      const scaleX = (geometry.placed.x1 - geometry.placed.x0) / 40;
      for (let x = 4; x < 36; x++) {
        expect(back.data[10 * 40 + x]).toBeCloseTo(geometry.placed.x0 + (x + 0.5) * scaleX, 3);
      }
    }
  });

  it('is the identity where nothing is scaled', () => {
    const data = Float32Array.from({ length: 64 }, (_, i) => Math.sin(i));
    const geometry = createGeometry('sammed2d', { width: 4, height: 6 }, 8);
    const back = logitsToOriginal(geometry, { width: 8, height: 8, data });
    expect(back.data[0]).toBe(data[1 * 8 + 2]);
    expect(back.data[5 * 4 + 3]).toBe(data[6 * 8 + 5]);
  });
});
