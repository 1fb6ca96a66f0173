// Letters, crosses and dotted lines that scanners burn into pictures, on a 3x5 grid. W, H width and height in pixels.
// Not here: what is written where.

import { clamp, type Field } from './field.ts';
import type { Vertex } from './lines.ts';

/** Rows of a glyph from the top, three bits each. */
const GLYPHS: Readonly<Record<string, readonly number[]>> = {
  A: [2, 5, 7, 5, 5],
  B: [6, 5, 6, 5, 6],
  C: [3, 4, 4, 4, 3],
  D: [6, 5, 5, 5, 6],
  E: [7, 4, 6, 4, 7],
  F: [7, 4, 6, 4, 4],
  G: [3, 4, 5, 5, 3],
  H: [5, 5, 7, 5, 5],
  I: [7, 2, 2, 2, 7],
  L: [4, 4, 4, 4, 7],
  M: [5, 7, 7, 5, 5],
  N: [6, 5, 5, 5, 5],
  O: [2, 5, 5, 5, 2],
  P: [6, 5, 6, 4, 4],
  Q: [2, 5, 5, 7, 3],
  R: [6, 5, 6, 5, 5],
  S: [3, 4, 2, 1, 6],
  T: [7, 2, 2, 2, 2],
  U: [5, 5, 5, 5, 7],
  X: [5, 5, 2, 5, 5],
  Z: [7, 1, 2, 4, 7],
  '0': [7, 5, 5, 5, 7],
  '1': [2, 6, 2, 2, 7],
  '2': [6, 1, 2, 4, 7],
  '3': [6, 1, 2, 1, 6],
  '4': [5, 5, 7, 1, 1],
  '5': [7, 4, 6, 1, 6],
  '6': [3, 4, 7, 5, 7],
  '7': [7, 1, 2, 2, 2],
  '8': [7, 5, 7, 5, 7],
  '9': [7, 5, 7, 1, 6],
  '.': [0, 0, 0, 0, 2],
  '+': [0, 2, 7, 2, 0],
};

/** Writes `words` with the upper left corner at (x, y); a glyph is 3 x 5 cells of `cell` px; unknown letters are blank. */
export function writeText(
  field: Field,
  width: number,
  height: number,
  words: string,
  x: number,
  y: number,
  cell: number,
  value: number,
): void {
  for (let k = 0; k < words.length; k++) {
    const rows = GLYPHS[words[k]!];
    if (rows === undefined) continue;
    for (let r = 0; r < 5; r++) {
      for (let c = 0; c < 3; c++) {
        if (!((rows[r]! >> (2 - c)) & 1)) continue;
        fillRect(field, width, height, x + (k * 4 + c) * cell, y + r * cell, cell, cell, value);
      }
    }
  }
}

/** Sets a rectangle, edges rounded to pixels, at least one pixel in each direction. */
export function fillRect(
  field: Field,
  width: number,
  height: number,
  x: number,
  y: number,
  w: number,
  h: number,
  value: number,
): void {
  const x0 = clamp(Math.round(x), 0, width);
  const x1 = clamp(Math.max(x0 + 1, Math.round(x + w)), 0, width);
  const y0 = clamp(Math.round(y), 0, height);
  const y1 = clamp(Math.max(y0 + 1, Math.round(y + h)), 0, height);
  for (let row = y0; row < y1; row++) field.fill(value, row * width + x0, row * width + x1);
}

/** Two crosses and, if `dotted`, a dotted line between them. */
export function calliper(
  field: Field,
  width: number,
  height: number,
  a: Vertex,
  b: Vertex,
  arm: number,
  dotted: boolean,
  value: number,
): void {
  for (const p of [a, b]) {
    fillRect(field, width, height, p.x - arm, p.y, 2 * arm + 1, 1, value);
    fillRect(field, width, height, p.x, p.y - arm, 1, 2 * arm + 1, value);
  }
  if (!dotted) return;
  const dots = Math.floor(Math.hypot(b.x - a.x, b.y - a.y) / 3);
  for (let k = 1; k < dots; k++) {
    const t = k / dots;
    fillRect(field, width, height, a.x + t * (b.x - a.x), a.y + t * (b.y - a.y), 1, 1, value * 0.8);
  }
}
