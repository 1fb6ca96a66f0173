// What phantoms are painted with: outlines filled exactly, blurs that keep the mean, noise that repeats by seed.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { blur, blurWide } from '../../../src/datasets/phantoms/draw/blur.ts';
import { diamondAngle, quickLog, upsample } from '../../../src/datasets/phantoms/draw/field.ts';
import { fillPolygon, stroke, type Vertex } from '../../../src/datasets/phantoms/draw/lines.ts';
import { Noise, specklePower, whiteField } from '../../../src/datasets/phantoms/draw/noise.ts';
import { lend, startPicture, withScratch } from '../../../src/datasets/phantoms/draw/scratch.ts';
import { Random } from '../../../src/util/random.ts';

const filled = (polygon: readonly Vertex[], side: number): Uint8Array => {
  const out = new Uint8Array(side * side);
  fillPolygon(out, side, side, polygon);
  return out;
};
const mean = (xs: ArrayLike<number>): number => Array.from(xs).reduce((sum, v) => sum + v, 0) / xs.length;
const box = (x0: number, y0: number, x1: number, y1: number): Vertex[] => [
  { x: x0, y: y0 },
  { x: x1, y: y0 },
  { x: x1, y: y1 },
  { x: x0, y: y1 },
];

describe('fillPolygon', () => {
  it('fills the pixels whose centre lies inside', () => {
    const mask = filled(box(1, 1, 4, 3), 6);
    const rows = Array.from({ length: 6 }, (_, y) => [...mask.slice(y * 6, y * 6 + 6)].join(''));
    expect(rows).toEqual(['000000', '011100', '011100', '000000', '000000', '000000']);
  });

  it('leaves the hole of a self-crossing outline and cuts at the edge', () => {
    expect(mean(filled(box(-5, -5, 20, 20), 8))).toBe(1);
    const bow = filled(
      [
        { x: 0, y: 0 },
        { x: 8, y: 8 },
        { x: 8, y: 0 },
        { x: 0, y: 8 },
      ],
      8,
    );
    expect([bow[4 * 8], bow[4]]).toEqual([1, 0]);
  });

  it('follows the even-odd rule for any outline', () => {
    const coordinate = fc.integer({ min: -20, max: 100 }).map((v) => v / 7);
    const outline = fc.array(fc.record({ x: coordinate, y: coordinate }), { minLength: 3, maxLength: 9 });
    fc.assert(
      fc.property(outline, (polygon) => {
        const mask = filled(polygon, 12);
        for (let i = 0; i < mask.length; i++) {
          const [px, py] = [(i % 12) + 0.5, Math.floor(i / 12) + 0.5];
          let [inside, close] = [false, false];
          polygon.forEach((a, k) => {
            const b = polygon[(k + 1) % polygon.length]!;
            if (a.y <= py === b.y <= py) return;
            const x = a.x + ((py - a.y) / (b.y - a.y)) * (b.x - a.x);
            close ||= Math.abs(x - px) < 1e-9;
            if (x <= px) inside = !inside;
          });
          if (!close) expect(mask[i], `${px}, ${py}`).toBe(inside ? 1 : 0);
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe('stroke', () => {
  it('counts the nearest part of a path, and leaves nothing behind for the next stroke', () => {
    const path = [
      { x: 2, y: 8 },
      { x: 8, y: 8 },
      { x: 14, y: 8 },
    ];
    const field = () => new Float32Array(256);
    const [once, again] = [field(), field()];
    stroke(once, 16, 16, path, 3, 1);
    stroke(again, 16, 16, path, 3, 1);
    expect(again).toEqual(once);
    expect(Math.max(...once)).toBeLessThanOrEqual(1);
    expect(once[0]).toBe(0);
  });
});

describe('blur', () => {
  const flat = new Float32Array(30 * 20).fill(0.25);
  it.each([0.02, 0.3, 0.79, 1, 2.4, 9])(
    'of deviation %d keeps a flat field and the sum of a point',
    (sigma) => {
      for (const v of blur(flat, 30, 20, sigma)) expect(v).toBeCloseTo(0.25, 5);
      const point = new Float32Array(81 * 81);
      point[40 * 81 + 40] = 1;
      const soft = blur(point, 81, 81, sigma);
      expect(mean(soft) * point.length).toBeCloseTo(1, 4);
      let variance = 0;
      soft.forEach((v, i) => {
        variance += v * ((i % 81) - 40) ** 2;
      });
      // Boxes are wider than asked for where they are narrower than a few pixels.
      expect(Math.sqrt(variance)).toBeGreaterThan(0.9 * sigma - 0.02);
      expect(Math.sqrt(variance)).toBeLessThan(sigma + 0.3);
      // Left and right, up and down alike.
      for (let k = 1; k < 40; k++) expect(soft[40 * 81 + 40 - k]).toBeCloseTo(soft[(40 + k) * 81 + 40]!, 5);
    },
  );

  it('leaves what it blurs as it was', () => {
    const field = Float32Array.from({ length: 64 }, (_, i) => i % 5);
    const before = field.slice();
    blur(field, 8, 8, 1.5);
    blurWide(field, 8, 8, 8);
    expect(field).toEqual(before);
  });
});

describe('noise', () => {
  const state = (xs: Float32Array) => {
    const m = mean(xs);
    return { mean: m, deviation: Math.sqrt(mean(xs.map((v) => (v - m) ** 2))) };
  };

  it('has mean 0 and deviation 1, and is equal for equal streams', () => {
    const white = whiteField(new Random(1), 128, 127).slice();
    expect(state(white).mean).toBeCloseTo(0, 1);
    expect(state(white).deviation).toBeCloseTo(1, 1);
    expect(whiteField(new Random(1), 128, 127)).toEqual(white);
    const smooth = new Noise(new Random(2), 2).paint(256, 256);
    expect(state(smooth).mean).toBeCloseTo(0, 0);
    expect(state(smooth).deviation).toBeGreaterThan(0.8);
    expect(state(smooth).deviation).toBeLessThan(1.2);
  });

  it('painted on a lattice it is close to what it is at each place', () => {
    const noise = new Noise(new Random(3), 12, 20, 0.4);
    const painted = noise.paint(50, 40);
    for (let i = 0; i < painted.length; i++)
      expect(Math.abs(painted[i]! - noise.at(i % 50, Math.floor(i / 50)))).toBeLessThan(0.35);
  });

  it('speckle has mean power 1 and the spread of an exponential distribution', () => {
    const power = specklePower(new Random(4), 256, 256, 0.9, 0.6, 1.4).slice();
    expect(state(power).mean).toBeCloseTo(1, 1);
    expect(state(power).deviation).toBeGreaterThan(0.85);
    expect(state(power).deviation).toBeLessThan(1.15);
  });
});

describe('small tools', () => {
  it('quickLog is within 0.0006 of the logarithm', () => {
    fc.assert(
      fc.property(fc.double({ min: 1e-3, max: 1e4, noNaN: true }), (x) => {
        expect(Math.abs(quickLog(x) - Math.log(x))).toBeLessThan(6e-4);
      }),
    );
  });

  it('diamondAngle grows with the angle, from 0 to 4', () => {
    const angles = Array.from({ length: 360 }, (_, k) => {
      const turn = ((k + 0.5) * Math.PI) / 180;
      return diamondAngle(Math.cos(turn), Math.sin(turn));
    });
    expect(angles.every((v, k) => k === 0 || v > angles[k - 1]!)).toBe(true);
    expect([diamondAngle(1, 0), diamondAngle(0, 2), diamondAngle(-3, 0), diamondAngle(0, -1)]).toEqual([
      0, 1, 2, 3,
    ]);
  });

  it('upsample passes through the points of its grid', () => {
    const grid = Float32Array.from({ length: 12 }, (_, i) => i * i);
    const out = upsample(grid, 4, 3, new Float32Array(9 * 6), 9, 6);
    for (const [x, y, at] of [
      [0, 0, 0],
      [3, 0, 1],
      [6, 3, 6],
    ] as const)
      expect(out[y * 9 + x]).toBeCloseTo(grid[at]!, 5);
    expect(out[1]).toBeCloseTo(1 / 3, 5);
  });

  it('lent fields never overlap; scratch work gives back all but its result', () => {
    startPicture(16);
    const a = lend(16).fill(1);
    const b = withScratch(() => {
      lend(16).fill(7);
      return lend(16).fill(2);
    });
    const c = lend(16).fill(3);
    expect([a[0], b[0], c[0]]).toEqual([1, 2, 3]);
    expect(new Set([a, b, c].map(({ buffer }) => buffer)).size).toBe(3);
    expect(lend(17).length).toBe(17);
  });
});
