// Drawings: in the right place, in the right size, legible where it matters.

import { describe, expect, it } from 'vitest';
import { COLOURS, drawOverlay, type Layer, panel, toRgb } from '../../src/imaging/overlay.ts';
import type { Image } from '../../src/imaging/types.ts';
import { draw } from './arbitraries.ts';

const grey = (width: number, height: number, value = 100): Image => ({
  width,
  height,
  channels: 1,
  data: new Uint8Array(width * height).fill(value),
});
const at = (image: Image, x: number, y: number): number[] => [
  ...image.data.subarray((y * image.width + x) * 3, (y * image.width + x) * 3 + 3),
];

describe('drawOverlay', () => {
  it('gives RGB of the asked size and leaves the image alone', () => {
    const image = grey(20, 10);
    const out = drawOverlay(image, [], { longestSidePx: 60 });
    expect([out.width, out.height, out.channels, out.data.length]).toEqual([60, 30, 3, 5400]);
    expect(at(out, 5, 5)).toEqual([100, 100, 100]);
    drawOverlay(image, [{ kind: 'box', box: { x0: 2, y0: 2, x1: 8, y1: 8 }, colour: COLOURS.sky }]);
    expect(image).toEqual(grey(20, 10));
  });

  it('draws a mask: contour in full colour, inside translucent, a dark rim, the rest untouched', () => {
    const mask = draw(
      '..........',
      '..........',
      '..######..',
      '..######..',
      '..######..',
      '..######..',
      '..######..',
      '..######..',
      '..........',
      '..........',
    );
    const out = drawOverlay(grey(10, 10), [
      { kind: 'mask', mask, colour: [255, 0, 0], opacity: 0.2, contourPx: 1 },
    ]);
    expect(at(out, 2, 4)).toEqual([255, 0, 0]);
    expect(at(out, 5, 5)).toEqual([131, 80, 80]);
    expect(at(out, 1, 4)).toEqual([45, 45, 45]);
    expect(at(out, 0, 0)).toEqual([100, 100, 100]);
  });

  it('draws boxes and points at the scaled place', () => {
    const layers: Layer[] = [
      { kind: 'box', box: { x0: 5, y0: 10, x1: 15, y1: 20 }, colour: COLOURS.yellow },
      { kind: 'point', point: { x: 24, y: 4, label: 1 }, colour: COLOURS.green },
      { kind: 'point', point: { x: 24, y: 24, label: 0 }, colour: COLOURS.vermilion },
    ];
    const out = drawOverlay(grey(30, 30), layers, { longestSidePx: 120 });
    expect(at(out, 20, 60)).toEqual([...COLOURS.yellow]);
    expect(at(out, 40, 60)).toEqual([100, 100, 100]);
    expect(at(out, 98, 18)).toEqual([...COLOURS.green]);
    expect(at(out, 98, 98)).toEqual([...COLOURS.vermilion]);
    // A cross leaves its sides open.
    expect(at(out, 98, 93)).not.toEqual([...COLOURS.vermilion]);
  });

  it('draws what leaves the image, full and empty masks', () => {
    const image = grey(8, 8);
    const full = { width: 8, height: 8, data: new Uint8Array(64).fill(1) };
    const empty = { width: 8, height: 8, data: new Uint8Array(64) };
    expect(drawOverlay(image, [{ kind: 'mask', mask: empty, colour: COLOURS.sky }])).toEqual(toRgb(image));
    expect(
      at(drawOverlay(image, [{ kind: 'mask', mask: full, colour: [255, 0, 0], opacity: 0.2 }]), 0, 0),
    ).toEqual([131, 80, 80]);
    drawOverlay(image, [{ kind: 'box', box: { x0: -5, y0: -5, x1: 20, y1: 20 }, colour: COLOURS.sky }]);
    expect(() => drawOverlay(image, [{ kind: 'mask', mask: draw('#'), colour: COLOURS.sky }])).toThrow(
      /1 x 1 on an image of 8 x 8/,
    );
  });
});

describe('panel', () => {
  it('lays tiles out in reading order, centred in equal cells', () => {
    const out = panel([grey(4, 4, 10), grey(2, 2, 20), grey(4, 4, 30)], {
      columns: 2,
      gapPx: 1,
      background: [0, 0, 0],
    });
    expect([out.width, out.height]).toEqual([9, 9]);
    expect(at(out, 0, 0)[0]).toBe(10);
    expect(at(out, 4, 0)[0]).toBe(0);
    expect(at(out, 5, 0)[0]).toBe(0);
    expect(at(out, 6, 1)[0]).toBe(20);
    expect(at(out, 0, 5)[0]).toBe(30);
    expect(() => panel([], { columns: 2 })).toThrow(/0 tiles/);
  });
});
