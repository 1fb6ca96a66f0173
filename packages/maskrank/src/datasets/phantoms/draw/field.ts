// Fields of floats and the quick tools that phantoms are painted with: periodic noise tiles made once from a fixed seed,
// box blurs, strokes, filled outlines. Everything that varies comes from the `Random` passed in.
// Not here: what is painted. W, H width and height in pixels; a field is a Float32Array of W * H, row-major.

import { Random } from '../../../util/random.ts';

export type Field = Float32Array; // [W * H]
export type Vertex = { readonly x: number; readonly y: number };

export const clamp = (x: number, lo: number, hi: number): number => (x < lo ? lo : x > hi ? hi : x);

/** 0 below `lo`, 1 above `hi`, smooth between. */
export function ramp(x: number, lo: number, hi: number): number {
  const t = clamp((x - lo) / (hi - lo), 0, 1);
  return t * t * (3 - 2 * t);
}

/** Uniform in the logarithm. */
export const logUniform = (random: Random, lo: number, hi: number): number =>
  Math.exp(random.uniform(Math.log(lo), Math.log(hi)));

/** Side of a noise tile, a power of two. */
const TILE = 512;
const WRAP = TILE - 1;

/** A periodic tile with mean 0 and deviation 1, the same in every process: `grain` px is its correlation length. */
function makeTile(label: string, grain: number): Float32Array {
  const random = new Random('phantom noise tiles').fork(label);
  const white = Float32Array.from({ length: TILE * TILE }, () => random.normal());
  if (grain === 0) return white;
  let tile: Float32Array = white;
  for (let pass = 0; pass < 3; pass++) tile = wrapBlur(wrapBlur(tile, grain, 1, TILE), grain, TILE, 1);
  let [sum, squares] = [0, 0];
  for (const v of tile) {
    sum += v;
    squares += v * v;
  }
  const mean = sum / tile.length;
  const scale = 1 / Math.sqrt(squares / tile.length - mean * mean);
  return tile.map((v) => (v - mean) * scale);
}

/** Periodic box sums along one axis: `step` between neighbours, `stride` between lines. */
function wrapBlur(tile: Float32Array, radius: number, step: number, stride: number): Float32Array {
  const out = new Float32Array(tile.length);
  for (let line = 0; line < TILE; line++) {
    const at = (k: number) => line * stride + (k & WRAP) * step;
    let sum = 0;
    for (let k = -radius; k <= radius; k++) sum += tile[at(k)]!;
    for (let k = 0; k < TILE; k++) {
      out[at(k)] = sum;
      sum += tile[at(k + radius + 1)]! - tile[at(k - radius)]!;
    }
  }
  return out;
}

/** Radius of the boxes that smooth tiles are made with; three boxes of it are about a Gaussian of the same deviation. */
const SMOOTH = 8;
const tiles = new Map<string, Float32Array>();
function tile(kind: 'white' | 'smooth', variant: number): Float32Array {
  const name = `${kind} ${variant}`;
  let found = tiles.get(name);
  if (found === undefined) {
    found = makeTile(name, kind === 'white' ? 0 : SMOOTH);
    tiles.set(name, found);
  }
  return found;
}

/** Noise to be sampled at any place: mean 0, deviation 1. */
export type Noise = (x: number, y: number) => number;

/**
 * Smooth noise with the given grain (correlation length) along x and y in pixels, turned by `angle`. Periodic after 64
 * grains, which no picture shows.
 */
export function smoothNoise(random: Random, grainX: number, grainY = grainX, angle = 0): Noise {
  const data = tile('smooth', random.int(0, 4));
  const [ox, oy] = [random.uniform(0, TILE), random.uniform(0, TILE)];
  const [c, s] = [Math.cos(angle), Math.sin(angle)];
  const ux = (SMOOTH * c) / grainX;
  const uy = (SMOOTH * s) / grainX;
  const vx = (-SMOOTH * s) / grainY;
  const vy = (SMOOTH * c) / grainY;
  // Far enough from 0 that truncation is floor.
  const [px, py] = [ox + 64 * TILE, oy + 64 * TILE];
  return (x, y) => {
    const u = px + ux * x + uy * y;
    const v = py + vx * x + vy * y;
    const iu = u | 0;
    const iv = v | 0;
    const fu = u - iu;
    const r0 = (iv & WRAP) * TILE;
    const r1 = ((iv + 1) & WRAP) * TILE;
    const c0 = iu & WRAP;
    const c1 = (iu + 1) & WRAP;
    const top = data[r0 + c0]! + fu * (data[r0 + c1]! - data[r0 + c0]!);
    const bottom = data[r1 + c0]! + fu * (data[r1 + c1]! - data[r1 + c0]!);
    return top + (v - iv) * (bottom - top);
  };
}

/** Independent normals by pixel, from a tile at a random offset, in one of eight orientations. */
export function whiteField(random: Random, width: number, height: number): Field {
  const data = tile('white', random.int(0, 4));
  const [ox, oy] = [random.int(0, TILE), random.int(0, TILE)];
  const turn = random.int(0, 8);
  const dx = turn & 1 ? -1 : 1;
  const dy = turn & 2 ? -1 : 1;
  const out = new Float32Array(width * height);
  for (let y = 0, i = 0; y < height; y++) {
    // Each repetition of the tile is shifted, so that large pictures do not repeat it.
    const jump = 131 * ((y / TILE) | 0);
    for (let x = 0; x < width; x++, i++) {
      const a = (ox + dx * x + jump) & WRAP;
      const b = (oy + dy * y) & WRAP;
      out[i] = turn & 4 ? data[a * TILE + b]! : data[b * TILE + a]!;
    }
  }
  return out;
}

/** A field painted on every second pixel and blended between; for what varies slowly. */
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
  const out = new Float32Array(width * height);
  for (let y = 0, i = 0; y < height; y++) {
    const r = (y / step) | 0;
    const fy = y / step - r;
    for (let x = 0; x < width; x++, i++) {
      const c = (x / step) | 0;
      const fx = x / step - c;
      const at = r * columns + c;
      const top = grid[at]! + fx * (grid[at + 1]! - grid[at]!);
      const bottom = grid[at + columns]! + fx * (grid[at + columns + 1]! - grid[at + columns]!);
      out[i] = top + fy * (bottom - top);
    }
  }
  return out;
}

/** About a Gaussian blur: two box blurs with edges repeated, one (a plain box) for small deviations or by `passes`. */
export function blur(
  field: Field,
  width: number,
  height: number,
  sigmaX: number,
  sigmaY = sigmaX,
  passes = 2,
): Field {
  let out = field;
  for (const radius of boxRadii(sigmaX, passes)) out = boxRows(out, width, height, radius);
  for (const radius of boxRadii(sigmaY, passes)) out = boxColumns(out, width, height, radius);
  return out === field ? field.slice() : out;
}

/** A wide blur, done on every fourth pixel: for deviations from about 6 px. */
export function blurWide(
  field: Field,
  width: number,
  height: number,
  sigmaX: number,
  sigmaY = sigmaX,
): Field {
  const step = 4;
  const [columns, rows] = [Math.ceil(width / step) + 1, Math.ceil(height / step) + 1];
  const small = new Float32Array(columns * rows);
  // Four pixels of each cell stand for all: what is finer than the cell is blurred away anyhow.
  for (let r = 0, i = 0; r < rows; r++) {
    const up = Math.min(height - 1, Math.max(0, r * step - 1)) * width;
    const down = Math.min(height - 1, r * step + 1) * width;
    for (let c = 0; c < columns; c++, i++) {
      const left = Math.min(width - 1, Math.max(0, c * step - 1));
      const right = Math.min(width - 1, c * step + 1);
      small[i] = 0.25 * (field[up + left]! + field[up + right]! + field[down + left]! + field[down + right]!);
    }
  }
  const soft = blur(small, columns, rows, sigmaX / step, sigmaY / step);
  return paintCoarse(width, height, (x, y) => soft[(y / step) * columns + x / step]!, step);
}

/** Fractional radii of boxes whose variances add up to sigma squared: one box where a small one will do. */
function boxRadii(sigma: number, most: number): readonly number[] {
  if (sigma <= 0.05) return [];
  const passes = sigma < 0.8 ? 1 : most;
  // A box with half-width h has variance h^2 / 3.
  const half = Math.sqrt((3 * sigma * sigma) / passes + 0.25) - 0.5;
  return Array.from({ length: passes }, () => Math.max(0, half));
}

function boxRows(field: Field, width: number, height: number, radius: number): Field {
  const out = new Float32Array(field.length);
  const whole = Math.floor(radius);
  const part = radius - whole;
  const norm = 1 / (2 * radius + 1);
  const pad = whole + 1;
  const line = new Float32Array(width + 2 * pad);
  for (let y = 0; y < height; y++) {
    const row = y * width;
    line.set(field.subarray(row, row + width), pad);
    line.fill(field[row]!, 0, pad);
    line.fill(field[row + width - 1]!, pad + width);
    let sum = 0;
    for (let k = 1; k <= 2 * whole + 1; k++) sum += line[k]!;
    // `x` is where the window with its fractional ends begins in `line`.
    for (let x = 0, end = 2 * pad; x < width; x++, end++) {
      out[row + x] = (sum + part * (line[x]! + line[end]!)) * norm;
      sum += line[end]! - line[x + 1]!;
    }
  }
  return out;
}

function boxColumns(field: Field, width: number, height: number, radius: number): Field {
  const out = new Float32Array(field.length);
  const whole = Math.floor(radius);
  const part = radius - whole;
  const norm = 1 / (2 * radius + 1);
  const last = height - 1;
  const sums = new Float64Array(width);
  for (let k = -whole; k <= whole; k++) {
    const from = clamp(k, 0, last) * width;
    for (let x = 0; x < width; x++) sums[x]! += field[from + x]!;
  }
  for (let y = 0; y < height; y++) {
    const after = Math.min(last, y + whole + 1) * width;
    const before = Math.max(0, y - whole - 1) * width;
    const first = Math.max(0, y - whole) * width;
    const row = y * width;
    for (let x = 0; x < width; x++) {
      out[row + x] = (sums[x]! + part * (field[after + x]! + field[before + x]!)) * norm;
      sums[x]! += field[after + x]! - field[first + x]!;
    }
  }
  return out;
}

/** A closed Catmull-Rom curve through the control points, `perSegment` vertices between two of them. */
export function closedCurve(control: readonly Vertex[], perSegment = 10): Vertex[] {
  const n = control.length;
  const out: Vertex[] = [];
  for (let i = 0; i < n; i++) {
    const [a, b, c, d] = [
      control[(i + n - 1) % n]!,
      control[i]!,
      control[(i + 1) % n]!,
      control[(i + 2) % n]!,
    ];
    for (let k = 0; k < perSegment; k++) {
      const t = k / perSegment;
      const mix = (p: number, q: number, r: number, s: number) =>
        0.5 * (2 * q + (r - p) * t + (2 * p - 5 * q + 4 * r - s) * t * t + (3 * q - p - 3 * r + s) * t ** 3);
      out.push({ x: mix(a.x, b.x, c.x, d.x), y: mix(a.y, b.y, c.y, d.y) });
    }
  }
  return out;
}

/** Sets the pixels whose centre lies inside the polygon (even-odd rule) to `value`. */
export function fillPolygon(
  out: Uint8Array | Float32Array,
  width: number,
  height: number,
  polygon: readonly Vertex[],
  value = 1,
): void {
  const top = polygon.reduce((m, v) => Math.min(m, v.y), Infinity);
  const bottom = polygon.reduce((m, v) => Math.max(m, v.y), -Infinity);
  const crossings: number[] = [];
  for (let y = Math.max(0, Math.floor(top)); y < Math.min(height, Math.ceil(bottom)); y++) {
    crossings.length = 0;
    const cy = y + 0.5;
    for (let i = 0; i < polygon.length; i++) {
      const a = polygon[i]!;
      const b = polygon[i + 1 === polygon.length ? 0 : i + 1]!;
      if (a.y <= cy !== b.y <= cy) crossings.push(a.x + ((cy - a.y) / (b.y - a.y)) * (b.x - a.x));
    }
    crossings.sort((p, q) => p - q);
    for (let k = 0; k + 1 < crossings.length; k += 2) {
      const from = Math.max(0, Math.ceil(crossings[k]! - 0.5));
      const to = Math.min(width, Math.ceil(crossings[k + 1]! - 0.5));
      if (to > from) out.fill(value, y * width + from, y * width + to);
    }
  }
}

/**
 * Adds `amount * profile(d)` along a path, where `d` is the distance from it as a share of `halfWidth`; where parts of
 * the path meet, the nearest counts, so that joints do not pile up. `taper` scales the width along the path (0..1).
 */
export function stroke(
  field: Field,
  width: number,
  height: number,
  path: readonly Vertex[],
  halfWidth: number,
  amount: number,
  profile: (d: number) => number = softLine,
  taper: (t: number) => number = () => 1,
): void {
  const reach = Math.max(1, halfWidth);
  const nearest = scratchOf(field.length);
  const touched: number[] = [];
  for (let k = 0; k + 1 < path.length; k++) {
    const a = path[k]!;
    const b = path[k + 1]!;
    const [dx, dy] = [b.x - a.x, b.y - a.y];
    const scale = 1 / (dx * dx + dy * dy || 1);
    const w = Math.max(0.5, reach * taper((k + 0.5) / (path.length - 1)));
    const x0 = Math.max(0, Math.floor(Math.min(a.x, b.x) - w));
    const x1 = Math.min(width - 1, Math.ceil(Math.max(a.x, b.x) + w));
    const y0 = Math.max(0, Math.floor(Math.min(a.y, b.y) - w));
    const y1 = Math.min(height - 1, Math.ceil(Math.max(a.y, b.y) + w));
    for (let y = y0; y <= y1; y++) {
      for (let x = x0; x <= x1; x++) {
        const px = x + 0.5 - a.x;
        const py = y + 0.5 - a.y;
        const t = clamp((px * dx + py * dy) * scale, 0, 1);
        const ex = px - t * dx;
        const ey = py - t * dy;
        const d = (ex * ex + ey * ey) / (w * w);
        if (d >= 1) continue;
        const i = y * width + x;
        if (nearest[i] === FAR) touched.push(i);
        if (d < nearest[i]!) nearest[i] = d;
      }
    }
  }
  // Lines thinner than two pixels fade instead of breaking up.
  const fade = amount * Math.min(1, halfWidth);
  for (const i of touched) {
    field[i]! += fade * profile(Math.sqrt(nearest[i]!));
    nearest[i] = FAR;
  }
}

/** Squared distance of pixels that no stroke has touched. */
const FAR = 2;
let scratch = new Float32Array(0);
/** A field of FAR; whoever writes into it puts FAR back. */
function scratchOf(length: number): Float32Array {
  if (scratch.length !== length) scratch = new Float32Array(length).fill(FAR);
  return scratch;
}

/** A soft line: brightest on the path, nothing at the edge. */
export const softLine = (d: number): number => (1 - d * d) * (1 - d * d);
/** A hollow bone: flat inside, brighter cortex near the edge. */
export const tube = (d: number): number => (d > 0.92 ? (1 - d) * 8 : 0.55 + 0.55 * d * d * d * d);

/** A path of `steps` pieces from a function of 0..1. */
export const pathOf = (at: (t: number) => Vertex, steps = 14): Vertex[] =>
  Array.from({ length: steps + 1 }, (_, k) => at(k / steps));
