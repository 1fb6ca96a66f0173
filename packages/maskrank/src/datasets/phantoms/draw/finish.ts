// From a painted field to 8 bits: lost resolution, sharpening, block artefacts as of JPEG.
// W, H width and height in pixels; values are brightness, 0 black to 1 white. Not here: exposure and gain (the families).

import type { Random } from '../../../util/random.ts';
import { blur, clamp, type Field } from './field.ts';

/** How likely and how strong a picture is degraded. */
export type FinishOptions = {
  /** Chance of a picture stored at lower resolution, of sharpening, of block artefacts. */
  readonly coarseChance: number;
  readonly sharpenChance: number;
  readonly blocksChance: number;
};

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
    const soft = blur(out, width, height, random.uniform(0.8, 2.5) * (Math.max(width, height) / 256));
    const sharp = out.slice();
    for (let i = 0; i < sharp.length; i++) sharp[i]! += amount * (sharp[i]! - soft[i]!);
    out = sharp;
  }
  if (random.chance(blocksChance)) {
    out = out === field ? field.slice() : out;
    blockArtefacts(out, width, height, random.uniform(0.008, 0.05));
  }
  return out;
}

/** Shrinks by `factor` (area about that of a pixel) and interpolates back. */
function coarsen(field: Field, width: number, height: number, factor: number): Field {
  const soft = blur(field, width, height, 0.35 * factor);
  const out = new Float32Array(field.length);
  const [columns, rows] = [Math.floor(width / factor), Math.floor(height / factor)];
  const at = (c: number, r: number) =>
    soft[
      Math.min(height - 1, Math.floor((r + 0.5) * factor)) * width +
        Math.min(width - 1, Math.floor((c + 0.5) * factor))
    ]!;
  const small = new Float32Array(columns * rows);
  for (let r = 0, i = 0; r < rows; r++) for (let c = 0; c < columns; c++, i++) small[i] = at(c, r);
  for (let y = 0, i = 0; y < height; y++) {
    const v = clamp((y + 0.5) / factor - 0.5, 0, rows - 1.001);
    const r = v | 0;
    for (let x = 0; x < width; x++, i++) {
      const u = clamp((x + 0.5) / factor - 0.5, 0, columns - 1.001);
      const c = u | 0;
      const k = r * columns + c;
      const top = small[k]! + (u - c) * (small[k + 1]! - small[k]!);
      const bottom = small[k + columns]! + (u - c) * (small[k + columns + 1]! - small[k + columns]!);
      out[i] = top + (v - r) * (bottom - top);
    }
  }
  return out;
}

/** Orthonormal DCT-II of eight values: row k holds frequency k. */
const FORWARD = Float64Array.from({ length: 64 }, (_, i) => {
  const k = i >> 3;
  return (k === 0 ? Math.SQRT1_2 : 1) * 0.5 * Math.cos(((2 * (i & 7) + 1) * k * Math.PI) / 16);
});

const INVERSE = FORWARD.map((_, i) => FORWARD[(i & 7) * 8 + (i >> 3)]!);

/** Rounds the frequencies of every whole 8x8 block to multiples that grow with frequency. */
function blockArtefacts(field: Field, width: number, height: number, step: number): void {
  const block = new Float64Array(64);
  const half = new Float64Array(64);
  const steps = Float64Array.from({ length: 64 }, (_, i) => step * (1 + 0.5 * ((i >> 3) + (i & 7))));
  for (let y = 0; y + 8 <= height; y += 8) {
    for (let x = 0; x + 8 <= width; x += 8) {
      for (let i = 0; i < 64; i++) block[i] = field[(y + (i >> 3)) * width + x + (i & 7)]!;
      transform(block, half, FORWARD);
      transform(half, block, FORWARD);
      for (let i = 0; i < 64; i++) block[i] = Math.round(block[i]! / steps[i]!) * steps[i]!;
      transform(block, half, INVERSE);
      transform(half, block, INVERSE);
      for (let i = 0; i < 64; i++) field[(y + (i >> 3)) * width + x + (i & 7)] = block[i]!;
    }
  }
}

/** Products of the rows with a table's rows, written transposed: twice gives both axes. */
function transform(from: Float64Array, to: Float64Array, table: Float64Array): void {
  for (let r = 0; r < 64; r += 8) {
    const [a, b, c, d] = [from[r]!, from[r + 1]!, from[r + 2]!, from[r + 3]!];
    const [e, f, g, h] = [from[r + 4]!, from[r + 5]!, from[r + 6]!, from[r + 7]!];
    for (let k = 0, out = r >> 3; k < 64; k += 8, out += 8)
      to[out] =
        a * table[k]! +
        b * table[k + 1]! +
        c * table[k + 2]! +
        d * table[k + 3]! +
        e * table[k + 4]! +
        f * table[k + 5]! +
        g * table[k + 6]! +
        h * table[k + 7]!;
  }
}

/** Rounds values in 0..1 to 8 bits. */
export function toBytes(field: Field): Uint8Array {
  const out = new Uint8Array(field.length);
  for (let i = 0; i < out.length; i++) {
    const v = field[i]! * 255 + 0.5;
    out[i] = v <= 0 ? 0 : v >= 255 ? 255 : v;
  }
  return out;
}
