// Morphology by hand and by its laws; OpenCV's and scipy's own results are in the golden fixtures.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { close, dilate, ELEMENTS, erode, fillHoles, invert, open } from '../../src/imaging/morphology.ts';
import { otsuThreshold } from '../../src/imaging/otsu.ts';
import type { Mask } from '../../src/imaging/types.ts';
import { draw, masks, show } from './arbitraries.ts';

const elements = fc.constantFrom(
  ELEMENTS.square(3),
  ELEMENTS.cross(3),
  ELEMENTS.ellipse(5),
  ELEMENTS.square(1),
  ELEMENTS.cross(7),
);
const inside = (a: Mask, b: Mask): boolean => a.data.every((v, i) => v <= b.data[i]!);

describe('erode, dilate, open, close', () => {
  it('can be drawn by hand', () => {
    const dot = draw('.....', '.....', '..#..', '.....', '.....');
    expect(show(dilate(dot, ELEMENTS.cross(3)))).toEqual(['.....', '..#..', '.###.', '..#..', '.....']);
    expect(show(dilate(dot, ELEMENTS.ellipse(5)))).toEqual(['..#..', '#####', '#####', '#####', '..#..']);
    expect(show(erode(draw('####', '####'), ELEMENTS.square(3)))).toEqual(['####', '####']);
    expect(show(erode(draw('####', '####', '####'), ELEMENTS.square(3), 'background'))).toEqual([
      '....',
      '.##.',
      '....',
    ]);
    expect(show(close(draw('##.##', '##.##', '##.##'), ELEMENTS.square(3)))).toEqual([
      '#####',
      '#####',
      '#####',
    ]);
    expect(show(open(draw('###.#', '###..', '###..', '.....'), ELEMENTS.square(3)))).toEqual([
      '###..',
      '###..',
      '###..',
      '.....',
    ]);
  });

  it('obey their laws', () => {
    fc.assert(
      fc.property(masks(20), elements, (mask, element) => {
        const opened = open(mask, element);
        const closed = close(mask, element);
        expect(inside(erode(mask, element), mask) && inside(mask, dilate(mask, element))).toBe(true);
        expect(inside(opened, mask) && inside(mask, closed)).toBe(true);
        expect(open(opened, element)).toEqual(opened);
        expect(close(closed, element)).toEqual(closed);
        expect(erode(mask, element)).toEqual(invert(dilate(invert(mask), element)));
      }),
    );
  });

  it('refuses even sizes', () => {
    expect(() => ELEMENTS.square(4)).toThrow(/4 px; allowed: odd/);
  });
});

describe('fillHoles', () => {
  it('fills what cannot reach the edge by sides, and nothing else', () => {
    expect(show(fillHoles(draw('.###.', '#...#', '#.#.#', '.###.', '.....')))).toEqual([
      '.###.',
      '#####',
      '#####',
      '.###.',
      '.....',
    ]);
    expect(show(fillHoles(draw('###', '#.#', '#.#')))).toEqual(['###', '#.#', '#.#']);
    fc.assert(
      fc.property(masks(20), (mask) => {
        const filled = fillHoles(mask);
        expect(inside(mask, filled)).toBe(true);
        expect(fillHoles(filled)).toEqual(filled);
      }),
    );
  });
});

describe('otsuThreshold', () => {
  it('separates two clusters and survives constants', () => {
    expect(otsuThreshold(Uint8Array.of(10, 12, 11, 200, 202, 201))).toBe(12);
    expect(otsuThreshold(new Uint8Array(9).fill(77))).toBe(0);
  });
});
