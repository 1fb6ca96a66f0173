// Pictures for the report's tests: a speckled grey square with a dark ellipse and contours, as PNG bytes. Written by hand so that
// the tests need no image library and the bytes are the same everywhere.

import { crc32, deflateSync } from 'node:zlib';
import { CONTOUR_COLOURS, type Rgb } from '../../../src/evaluation/report/contours.ts';
import type { Picture } from '../../../src/evaluation/report/input.ts';
import { Random } from '../../../src/util/random.ts';

/** Ellipse in units of a picture 192 wide. */
export type Ellipse = { readonly x: number; readonly y: number; readonly rx: number; readonly ry: number };

export type Outline = { readonly shape: Ellipse; readonly colour: keyof typeof CONTOUR_COLOURS };

/** A square picture of `size` pixels: speckle, a lesion, outlines. */
export function picture(seed: string, lesion: Ellipse, outlines: readonly Outline[], size: number): Picture {
  const random = new Random(seed);
  const rgb = new Uint8Array(size * size * 3);
  for (let row = 0; row < size; row++) {
    const y = (row * 192) / size;
    const layer = 92 + 34 * Math.sin(y / 13 + Math.sin(y / 37) * 2) - y * 0.16;
    for (let column = 0; column < size; column++) {
      const x = (column * 192) / size;
      const inside = radius(lesion, x + 3 * Math.sin(y / 9), y) < 1;
      const shadow = !inside && y > lesion.y && Math.abs(x - lesion.x) < lesion.rx * 0.7 ? 0.72 : 1;
      const grey = Math.max(0, Math.min(255, (inside ? 26 : layer * shadow) * (0.55 + 0.9 * random.next())));
      rgb.fill(grey, (row * size + column) * 3, (row * size + column) * 3 + 3);
    }
  }
  for (const { shape, colour } of outlines) drawOutline(rgb, size, shape, CONTOUR_COLOURS[colour]);
  return { png: encodePng(rgb, size, size), width: size, height: size };
}

function radius({ x: cx, y: cy, rx, ry }: Ellipse, x: number, y: number): number {
  return Math.hypot((x - cx) / rx, (y - cy) / ry);
}

function drawOutline(rgb: Uint8Array, size: number, shape: Ellipse, [r, g, b]: Rgb): void {
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      const [x, y] = [(column * 192) / size, (row * 192) / size];
      const wobble = radius(shape, x + 3 * Math.sin(y / 9), y);
      if (Math.abs(wobble - 1) * Math.min(shape.rx, shape.ry) < 1)
        rgb.set([r, g, b], (row * size + column) * 3);
    }
  }
}

/** 8-bit RGB PNG without filters (PNG specification, third edition). */
function encodePng(rgb: Uint8Array, width: number, height: number): Uint8Array {
  const rows = Buffer.alloc(height * (width * 3 + 1));
  for (let y = 0; y < height; y++) {
    rows.set(rgb.subarray(y * width * 3, (y + 1) * width * 3), y * (width * 3 + 1) + 1);
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return new Uint8Array(
    Buffer.concat([
      signature,
      chunk('IHDR', header),
      chunk('IDAT', deflateSync(rows)),
      chunk('IEND', Buffer.alloc(0)),
    ]),
  );
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const frame = Buffer.alloc(body.length + 8);
  frame.writeUInt32BE(data.length, 0);
  frame.set(body, 4);
  frame.writeUInt32BE(crc32(body), body.length + 4);
  return frame;
}
