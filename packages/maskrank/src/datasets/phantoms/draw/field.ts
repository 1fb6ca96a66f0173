// Fields of floats and what phantoms need of them everywhere: limits and ramps, fields computed on a coarse grid.
// Not here: noise (noise.ts), blurs (blur.ts), lines and outlines (lines.ts).
// W, H width and height in pixels; a field is a Float32Array of W * H, row-major.

import { lend } from './scratch.ts';

export type Field = Float32Array<ArrayBuffer>; // [W * H]

export const clamp = (x: number, lo: number, hi: number): number => (x < lo ? lo : x > hi ? hi : x);

/** 0 below `lo`, 1 above `hi`, smooth between. */
export function ramp(x: number, lo: number, hi: number): number {
  if (x <= lo) return 0;
  if (x >= hi) return 1;
  const t = (x - lo) / (hi - lo);
  return t * t * (3 - 2 * t);
}

/** A field painted on every `step`-th pixel and blended between; for what varies slowly. */
export function paintCoarse(
  width: number,
  height: number,
  value: (x: number, y: number) => number,
  step = 2,
): Field {
  const columns = Math.ceil(width / step) + 1;
  const rows = Math.ceil(height / step) + 1;
  const grid = new Float32Array(columns * rows);
  for (let r = 0, i = 0; r < rows; r++)
    for (let c = 0; c < columns; c++, i++) grid[i] = value(c * step, r * step);
  return upsample(grid, columns, step, lend(width * height), width, height);
}

/** Values at every `step`-th pixel of a row and column (one more than fit), blended between. */
export function upsample(
  grid: Field,
  columns: number,
  step: number,
  out: Field,
  width: number,
  height: number,
): Field {
  const line = new Float32Array(columns);
  const share = 1 / step;
  for (let y = 0, i = 0; y < height; y++) {
    const r = (y / step) | 0;
    const f = y * share - r;
    const at = r * columns;
    for (let c = 0; c < columns; c++) {
      const above = grid[at + c]!;
      line[c] = above + f * (grid[at + columns + c]! - above);
    }
    let next = line[0]!;
    for (let c = 1, x = 0; x < width; c++) {
      let value = next;
      next = line[c]!;
      const slope = (next - value) * share;
      const end = x + step < width ? x + step : width;
      for (; x < end; x++, i++) {
        out[i] = value;
        value += slope;
      }
    }
  }
  return out;
}

const AS_FLOAT = new Float32Array(1);
const AS_BITS = new Int32Array(AS_FLOAT.buffer);
/** ln(1 + (k + 0.5) / 1024). */
const MANTISSA = Float32Array.from({ length: 1024 }, (_, k) => Math.log(1 + (k + 0.5) / 1024));

/** Natural logarithm of a positive number to about 0.0005, several times quicker than Math.log. */
export function quickLog(x: number): number {
  AS_FLOAT[0] = x;
  const bits = AS_BITS[0]!;
  return ((bits >> 23) - 127) * Math.LN2 + MANTISSA[(bits >> 13) & 1023]!;
}

/** Angle of (x, y) as a number from 0 to 4 that grows with the angle, without trigonometry. */
export function diamondAngle(x: number, y: number): number {
  const sum = Math.abs(x) + Math.abs(y);
  if (sum === 0) return 0;
  const t = y / sum;
  return x < 0 ? 2 - t : t < 0 ? 4 + t : t;
}
