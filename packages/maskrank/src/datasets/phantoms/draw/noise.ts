// Noise for phantoms: smooth noise of any grain and direction, read from periodic tiles made once from a fixed seed, and
// independent normals by pixel. What varies comes from the `Random` passed in. Not here: what noise is used for.
// W, H width and height in pixels.

import { Random } from '../../../util/random.ts';
import { type Field, upsample } from './field.ts';
import { lend } from './scratch.ts';

/** Side of a tile, a power of two. */
const TILE = 256;
const WRAP = TILE - 1;
/** Radius of the three boxes a tile is smoothed with, and what a grain measures on it. */
const GRAIN = 4;
const VARIANTS = 4;

/** Normals that pixels pick from: mean 0, deviation 1. */
const NORMALS = standardise(drawNormals(new Random('phantom noise').fork('normals'), 4096));

function drawNormals(random: Random, count: number): Float32Array {
  const out = new Float32Array(count);
  for (let i = 0; i < count; i++) out[i] = random.normal();
  return out;
}

function standardise(values: Float32Array): Float32Array {
  let [sum, squares] = [0, 0];
  for (let i = 0; i < values.length; i++) {
    sum += values[i]!;
    squares += values[i]! * values[i]!;
  }
  const mean = sum / values.length;
  const scale = 1 / Math.sqrt(squares / values.length - mean * mean);
  for (let i = 0; i < values.length; i++) values[i] = (values[i]! - mean) * scale;
  return values;
}

const tiles: Float32Array[] = [];

/** The same in every process. */
function tileOf(variant: number): Float32Array {
  let tile = tiles[variant];
  if (tile === undefined) {
    tile = drawNormals(new Random('phantom noise').fork(`tile ${variant}`), TILE * TILE);
    for (let pass = 0; pass < 3; pass++) tile = wrapBlur(wrapBlur(tile, 1, TILE, GRAIN), TILE, 1, GRAIN);
    tiles[variant] = standardise(tile);
  }
  return tile;
}

/** Periodic box sums along one axis: `step` between neighbours, `stride` between lines. */
function wrapBlur(tile: Float32Array, step: number, stride: number, radius: number): Float32Array {
  const out = new Float32Array(tile.length);
  const side = Math.max(step, stride);
  const wrap = side - 1;
  for (let line = 0; line < side; line++) {
    const start = line * stride;
    let sum = 0;
    for (let k = -radius; k <= radius; k++) sum += tile[start + (k & wrap) * step]!;
    for (let k = 0; k < side; k++) {
      out[start + k * step] = sum;
      sum += tile[start + ((k + radius + 1) & wrap) * step]! - tile[start + ((k - radius) & wrap) * step]!;
    }
  }
  return out;
}

/** Smooth noise: mean 0, deviation 1, periodic after 64 grains, which no picture shows. */
export class Noise {
  private readonly tile: Float32Array;
  /** Place on the tile of the pixel (0, 0), and how far it moves a pixel. */
  private readonly u0: number;
  private readonly v0: number;
  private readonly ux: number;
  private readonly uy: number;
  private readonly vx: number;
  private readonly vy: number;
  /** Pixels between points that have to be computed; in between is blended. */
  private readonly step: number;

  /** @param grainX, grainY correlation length in pixels along x and y, before a turn by `angle` radians */
  constructor(random: Random, grainX: number, grainY = grainX, angle = 0) {
    this.tile = tileOf(random.int(0, VARIANTS));
    // Far enough from 0 that truncation is floor.
    this.u0 = random.uniform(0, TILE) + 64 * TILE;
    this.v0 = random.uniform(0, TILE) + 64 * TILE;
    const [c, s] = [Math.cos(angle), Math.sin(angle)];
    this.ux = (GRAIN * c) / grainX;
    this.uy = (GRAIN * s) / grainX;
    this.vx = (-GRAIN * s) / grainY;
    this.vy = (GRAIN * c) / grainY;
    this.step = Math.max(1, Math.min(8, Math.floor(0.5 * Math.min(grainX, grainY))));
  }

  at(x: number, y: number): number {
    return this.read(this.u0 + this.ux * x + this.uy * y, this.v0 + this.vx * x + this.vy * y);
  }

  private read(u: number, v: number): number {
    const { tile } = this;
    const iu = u | 0;
    const iv = v | 0;
    const fu = u - iu;
    const r0 = (iv & WRAP) * TILE;
    const r1 = ((iv + 1) & WRAP) * TILE;
    const c0 = iu & WRAP;
    const c1 = (iu + 1) & WRAP;
    const top = tile[r0 + c0]! + fu * (tile[r0 + c1]! - tile[r0 + c0]!);
    const bottom = tile[r1 + c0]! + fu * (tile[r1 + c1]! - tile[r1 + c0]!);
    return top + (v - iv) * (bottom - top);
  }

  /** The noise at every pixel, or only those that `where` names: the others may then hold anything. */
  paint(width: number, height: number, amount = 1, where?: Uint8Array): Field {
    const { step } = this;
    const out = lend(width * height);
    if (step === 1) return this.fill(out, width, height, 1, amount, where);
    const columns = Math.ceil(width / step) + 1;
    const rows = Math.ceil(height / step) + 1;
    const grid = this.fill(new Float32Array(columns * rows), columns, rows, step, amount);
    return upsample(grid, columns, step, out, width, height);
  }

  private fill(
    out: Field,
    columns: number,
    rows: number,
    step: number,
    amount: number,
    where?: Uint8Array,
  ): Field {
    const { ux, uy, vx, vy } = this;
    for (let r = 0, i = 0; r < rows; r++) {
      const u = this.u0 + uy * step * r;
      const v = this.v0 + vy * step * r;
      for (let c = 0; c < columns; c++, i++)
        if (where === undefined || where[i] === 1)
          out[i] = amount * this.read(u + ux * step * c, v + vx * step * c);
    }
    return out;
  }
}

/** Independent normals by pixel, of mean 0 and deviation 1. */
export function whiteField(random: Random, width: number, height: number): Field {
  const out = lend(width * height);
  // Xorshift of Marsaglia (2003); a number serves two pixels.
  let s = random.uint32() | 1;
  const even = out.length & ~1;
  for (let i = 0; i < even; i += 2) {
    s ^= s << 13;
    s ^= s >>> 17;
    s ^= s << 5;
    out[i] = NORMALS[s >>> 20]!;
    out[i + 1] = NORMALS[(s >>> 6) & 4095]!;
  }
  if (even < out.length) out[even] = NORMALS[(s >>> 3) & 4095]!;
  return out;
}

/** Side of a speckle tile and the deviation it is smoothed by; as signed bytes it stays in the cache. */
const SPECKLE_TILE = 512;
const SPECKLE_GRAIN = 2.45;
const SPECKLE_UNIT = 32;
const speckleTiles: Int8Array[] = [];

function speckleTile(variant: number): Int8Array {
  let tile = speckleTiles[variant];
  if (tile === undefined) {
    const white = drawNormals(new Random('phantom noise').fork(`speckle ${variant}`), SPECKLE_TILE ** 2);
    let soft = white;
    for (let pass = 0; pass < 3; pass++)
      soft = wrapBlur(wrapBlur(soft, 1, SPECKLE_TILE, 2), SPECKLE_TILE, 1, 2);
    tile = Int8Array.from(standardise(soft), (v) => Math.max(-127, Math.min(127, SPECKLE_UNIT * v)));
    speckleTiles[variant] = tile;
  }
  return tile;
}

/**
 * Power of fully developed speckle (mean 1): the sum of squares of two Gaussian fields with grain `lateral` (at the top)
 * and `axial`, deviations in pixels; towards the bottom the lateral grain grows by the factor `widen`.
 */
export function specklePower(
  random: Random,
  width: number,
  height: number,
  lateral: number,
  axial: number,
  widen: number,
): Field {
  const out = lend(width * height);
  const re = speckleTile(0);
  const im = speckleTile(1);
  const wrap = SPECKLE_TILE - 1;
  const side = SPECKLE_TILE;
  const [u1, v1, u2, v2] = [0, 0, 0, 0].map(() => (64 + random.next()) * side) as [
    number,
    number,
    number,
    number,
  ];
  // The second field's scale differs a little, so that the sum does not repeat where the tiles do.
  const stepY = SPECKLE_GRAIN / axial;
  const scale = 0.5 / (SPECKLE_UNIT * SPECKLE_UNIT);
  for (let y = 0, i = 0; y < height; y++) {
    const stepX = SPECKLE_GRAIN / (lateral * (1 + (widen - 1) * (y / height)));
    const row1 = ((v1 + stepY * y) & wrap) * side;
    const row2 = ((v2 + 0.93 * stepY * y) & wrap) * side;
    let a = u1 - 0.5 * width * stepX;
    let b = u2 - 0.46 * width * stepX;
    for (let x = 0; x < width; x++, i++) {
      const p = re[row1 + (a & wrap)]!;
      const q = im[row2 + (b & wrap)]!;
      out[i] = (p * p + q * q) * scale;
      a += stepX;
      b += 0.93 * stepX;
    }
  }
  return out;
}
