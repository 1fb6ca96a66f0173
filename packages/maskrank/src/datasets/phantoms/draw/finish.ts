// From a painted field to 8 bits: lost resolution, sharpening, block artefacts as of JPEG.
// W, H width and height in pixels; values are brightness, 0 black to 1 white. Not here: exposure and gain (the families).

import type { Random } from '../../../util/random.ts';
import { blur } from './blur.ts';
import { clamp, type Field } from './field.ts';
import { lend, withScratch } from './scratch.ts';

/** How likely and how strong a picture is degraded. */
export type FinishOptions = {
  /** Chance of a picture stored at lower resolution, of sharpening, of block artefacts. */
  readonly coarseChance: number;
  readonly sharpenChance: number;
  readonly blocksChance: number;
};

/** May change `field`, which is the caller's no longer. */
export function degrade(
  random: Random,
  field: Field,
  width: number,
  height: number,
  { coarseChance, sharpenChance, blocksChance }: FinishOptions,
): Field {
  let out = field;
  if (random.chance(coarseChance)) out = coarsen(out, width, height, random.uniform(1.2, 2.4));
  if (random.chance(sharpenChance)) {
    const amount = random.uniform(0.2, 1.1);
    const soft = blur(
      out,
      width,
      height,
      random.uniform(0.8, 2.5) * (Math.max(width, height) / 256),
      undefined,
      1,
    );
    for (let i = 0; i < out.length; i++) out[i]! += amount * (out[i]! - soft[i]!);
  }
  if (random.chance(blocksChance)) blockArtefacts(out, width, height, random.uniform(0.008, 0.05));
  return out;
}

/** Shrinks by `factor` (area about that of a pixel) and interpolates back. */
function coarsen(field: Field, width: number, height: number, factor: number): Field {
  return withScratch(() => {
    const soft = blur(field, width, height, 0.35 * factor);
    const columns = Math.max(2, Math.floor(width / factor));
    const rows = Math.max(2, Math.floor(height / factor));
    const small = lend(columns * rows);
    const picks = Int32Array.from({ length: columns }, (_, c) =>
      Math.min(width - 1, Math.floor((c + 0.5) * factor)),
    );
    for (let r = 0, i = 0; r < rows; r++) {
      const row = Math.min(height - 1, Math.floor((r + 0.5) * factor)) * width;
      for (let c = 0; c < columns; c++, i++) small[i] = soft[row + picks[c]!]!;
    }
    return enlarge(small, columns, rows, width, height, factor);
  });
}

/** Blends an image of columns x rows cells of `cell` pixels to width x height. */
export function enlarge(
  small: Field,
  columns: number,
  rows: number,
  width: number,
  height: number,
  cell: number,
): Field {
  const out = lend(width * height);
  const cells = new Int32Array(width);
  const shares = new Float32Array(width);
  for (let x = 0; x < width; x++) {
    const u = clamp((x + 0.5) / cell - 0.5, 0, columns - 1);
    cells[x] = Math.min(columns - 2, Math.floor(u));
    shares[x] = u - cells[x]!;
  }
  const line = new Float32Array(columns);
  for (let y = 0, i = 0; y < height; y++) {
    const v = clamp((y + 0.5) / cell - 0.5, 0, rows - 1);
    const r = Math.min(rows - 2, Math.floor(v));
    const at = r * columns;
    for (let c = 0; c < columns; c++) {
      const above = small[at + c]!;
      line[c] = above + (v - r) * (small[at + columns + c]! - above);
    }
    for (let x = 0; x < width; x++, i++) {
      const c = cells[x]!;
      const left = line[c]!;
      out[i] = left + shares[x]! * (line[c + 1]! - left);
    }
  }
  return out;
}

/** Orthonormal DCT-II of eight values as two 4x4 tables: of sums (even frequencies), of differences (odd ones). */
const half = (odd: 0 | 1) =>
  Float64Array.from({ length: 16 }, (_, i) => {
    const k = 2 * (i >> 2) + odd;
    return (k === 0 ? Math.SQRT1_2 : 1) * 0.5 * Math.cos(((2 * (i & 3) + 1) * k * Math.PI) / 16);
  });
const EVEN = half(0);
const ODD = half(1);

/** Rounds the frequencies of every whole 8x8 block to multiples that grow with frequency. */
function blockArtefacts(field: Field, width: number, height: number, step: number): void {
  const block = new Float64Array(64);
  const steps = Float64Array.from({ length: 64 }, (_, i) => step * (1 + 0.5 * ((i >> 3) + (i & 7))));
  const shares = steps.map((s) => 1 / s);
  for (let y = 0; y + 8 <= height; y += 8) {
    for (let x = 0; x + 8 <= width; x += 8) {
      for (let r = 0, i = 0; r < 8; r++)
        for (let c = 0, from = (y + r) * width + x; c < 8; c++, i++, from++) block[i] = field[from]!;
      for (let r = 0; r < 64; r += 8) forward(block, r, 1);
      for (let c = 0; c < 8; c++) forward(block, c, 8);
      for (let i = 0; i < 64; i++) block[i] = Math.floor(block[i]! * shares[i]! + 0.5) * steps[i]!;
      for (let c = 0; c < 8; c++) inverse(block, c, 8);
      for (let r = 0; r < 64; r += 8) inverse(block, r, 1);
      for (let r = 0, i = 0; r < 8; r++)
        for (let c = 0, to = (y + r) * width + x; c < 8; c++, i++, to++) field[to] = block[i]!;
    }
  }
}

/** In place, on the eight values from `at` on that stand `step` apart. */
function forward(block: Float64Array, at: number, step: number): void {
  const x0 = block[at]!;
  const x1 = block[at + step]!;
  const x2 = block[at + 2 * step]!;
  const x3 = block[at + 3 * step]!;
  const x4 = block[at + 4 * step]!;
  const x5 = block[at + 5 * step]!;
  const x6 = block[at + 6 * step]!;
  const x7 = block[at + 7 * step]!;
  const [s0, s1, s2, s3] = [x0 + x7, x1 + x6, x2 + x5, x3 + x4];
  const [d0, d1, d2, d3] = [x0 - x7, x1 - x6, x2 - x5, x3 - x4];
  for (let k = 0, to = at; k < 16; k += 4, to += 2 * step) {
    block[to] = EVEN[k]! * s0 + EVEN[k + 1]! * s1 + EVEN[k + 2]! * s2 + EVEN[k + 3]! * s3;
    block[to + step] = ODD[k]! * d0 + ODD[k + 1]! * d1 + ODD[k + 2]! * d2 + ODD[k + 3]! * d3;
  }
}

function inverse(block: Float64Array, at: number, step: number): void {
  const e0 = block[at]!;
  const o0 = block[at + step]!;
  const e1 = block[at + 2 * step]!;
  const o1 = block[at + 3 * step]!;
  const e2 = block[at + 4 * step]!;
  const o2 = block[at + 5 * step]!;
  const e3 = block[at + 6 * step]!;
  const o3 = block[at + 7 * step]!;
  for (let k = 0; k < 4; k++) {
    const s = EVEN[k]! * e0 + EVEN[k + 4]! * e1 + EVEN[k + 8]! * e2 + EVEN[k + 12]! * e3;
    const d = ODD[k]! * o0 + ODD[k + 4]! * o1 + ODD[k + 8]! * o2 + ODD[k + 12]! * o3;
    block[at + k * step] = s + d;
    block[at + (7 - k) * step] = s - d;
  }
}

/** Rounds values in 0..1 to 8 bits. */
export function toBytes(field: Field): Uint8Array {
  const out = new Uint8Array(field.length);
  for (let i = 0; i < out.length; i++) {
    const v = field[i]! * 255 + 0.5;
    out[i] = v <= 0 ? 0 : v >= 255 ? 255 : v | 0;
  }
  return out;
}
