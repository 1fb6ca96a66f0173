// Small tools to paint procedural pictures: noise, blur, closed curves, filled polygons, on square float fields.
// Everything random comes from the `Random` passed in. Not here: what is painted (breast.ts, chest.ts).
// S side of the picture in pixels; a field is a Float32Array of S * S, row-major.

import type { Mask } from '../../imaging/types.ts';
import type { Random } from '../../util/random.ts';

export type Field = Float32Array; // [S * S]
export type Vertex = { readonly x: number; readonly y: number };

/** A field from a function of the pixel centre. */
export function paint(size: number, value: (x: number, y: number) => number): Field {
  const out = new Float32Array(size * size);
  for (let y = 0, i = 0; y < size; y++) for (let x = 0; x < size; x++, i++) out[i] = value(x + 0.5, y + 0.5);
  return out;
}

/** Independent standard normals. */
export function whiteNoise(random: Random, size: number): Field {
  const out = new Float32Array(size * size);
  for (let i = 0; i < out.length; i++) out[i] = random.normal();
  return out;
}

/** Smooth noise with mean about 0 and deviation about 0.6: normals on a grid of `cellPx`, blended by smoothstep. */
export function smoothNoise(random: Random, size: number, cellXPx: number, cellYPx = cellXPx): Field {
  const columns = Math.ceil(size / cellXPx) + 2;
  const rows = Math.ceil(size / cellYPx) + 2;
  const grid = Float32Array.from({ length: columns * rows }, () => random.normal());
  const blend = (t: number) => t * t * (3 - 2 * t);
  return paint(size, (x, y) => {
    const gx = x / cellXPx;
    const gy = y / cellYPx;
    const c = Math.floor(gx);
    const r = Math.floor(gy);
    const tx = blend(gx - c);
    const ty = blend(gy - r);
    const at = r * columns + c;
    const top = grid[at]! * (1 - tx) + grid[at + 1]! * tx;
    const bottom = grid[at + columns]! * (1 - tx) + grid[at + columns + 1]! * tx;
    return top * (1 - ty) + bottom * ty;
  });
}

/** A wavy line: for each pixel column the sum of a few sines with the given amplitude in pixels. */
export function wave(random: Random, size: number, amplitudePx: number, waves = 3): Float32Array {
  const parts = Array.from({ length: waves }, (_, k) => ({
    amplitude: (amplitudePx * random.normal()) / (k + 1.5),
    frequency: ((k + random.uniform(0.4, 1)) * 2 * Math.PI) / size,
    phase: random.uniform(0, 2 * Math.PI),
  }));
  return Float32Array.from({ length: size }, (_, x) =>
    parts.reduce((sum, p) => sum + p.amplitude * Math.sin(p.frequency * x + p.phase), 0),
  );
}

/** Separable Gaussian blur, edges repeated; a deviation of 0 leaves that axis as it is. */
export function blur(field: Field, size: number, sigmaXPx: number, sigmaYPx = sigmaXPx): Field {
  return blurColumns(blurRows(field, size, sigmaXPx), size, sigmaYPx);
}

function blurRows(field: Field, size: number, sigma: number): Field {
  if (sigma <= 0) return field;
  const kernel = gaussian(sigma);
  const radius = (kernel.length - 1) / 2;
  const padded = new Float64Array(size + 2 * radius);
  const out = new Float32Array(field.length);
  for (let start = 0; start < field.length; start += size) {
    padded.set(field.subarray(start, start + size), radius);
    padded.fill(padded[radius]!, 0, radius);
    padded.fill(padded[size + radius - 1]!, size + radius);
    for (let i = 0; i < size; i++) {
      let sum = 0;
      for (let k = 0; k < kernel.length; k++) sum += kernel[k]! * padded[i + k]!;
      out[start + i] = sum;
    }
  }
  return out;
}

/** Whole rows are added up, so that memory is read in order. */
function blurColumns(field: Field, size: number, sigma: number): Field {
  if (sigma <= 0) return field;
  const kernel = gaussian(sigma);
  const radius = (kernel.length - 1) / 2;
  const sums = new Float64Array(size);
  const out = new Float32Array(field.length);
  for (let y = 0; y < size; y++) {
    sums.fill(0);
    for (let k = 0; k < kernel.length; k++) {
      const from = clamp(y + k - radius, 0, size - 1) * size;
      const weight = kernel[k]!;
      for (let x = 0; x < size; x++) sums[x]! += weight * field[from + x]!;
    }
    out.set(sums, y * size);
  }
  return out;
}

/** Weights up to three deviations away, summing to 1. */
function gaussian(sigma: number): Float64Array {
  const radius = Math.max(1, Math.ceil(3 * sigma));
  const weights = Float64Array.from({ length: 2 * radius + 1 }, (_, k) =>
    Math.exp(-0.5 * ((k - radius) / sigma) ** 2),
  );
  const total = weights.reduce((sum, v) => sum + v, 0);
  return weights.map((v) => v / total);
}

/** A closed Catmull-Rom curve through the control points, `perSegment` vertices between two of them. */
export function closedCurve(control: readonly Vertex[], perSegment = 12): Vertex[] {
  const n = control.length;
  const at = (i: number) => control[((i % n) + n) % n]!;
  return control.flatMap((_, i) => {
    const [a, b, c, d] = [at(i - 1), at(i), at(i + 1), at(i + 2)];
    const between = (p: number, q: number, r: number, s: number, t: number) =>
      0.5 * (2 * q + (r - p) * t + (2 * p - 5 * q + 4 * r - s) * t * t + (3 * q - p - 3 * r + s) * t * t * t);
    return Array.from({ length: perSegment }, (_, k) => {
      const t = k / perSegment;
      return { x: between(a.x, b.x, c.x, d.x, t), y: between(a.y, b.y, c.y, d.y, t) };
    });
  });
}

/** Pixels whose centre lies inside the polygon (even-odd rule). */
export function fillPolygon(polygon: readonly Vertex[], size: number): Mask {
  const data = new Uint8Array(size * size);
  for (let y = 0; y < size; y++) {
    const crossings: number[] = [];
    const cy = y + 0.5;
    for (let i = 0; i < polygon.length; i++) {
      const a = polygon[i]!;
      const b = polygon[(i + 1) % polygon.length]!;
      if (a.y <= cy !== b.y <= cy) crossings.push(a.x + ((cy - a.y) / (b.y - a.y)) * (b.x - a.x));
    }
    crossings.sort((p, q) => p - q);
    for (let k = 0; k + 1 < crossings.length; k += 2) {
      const from = Math.max(0, Math.ceil(crossings[k]! - 0.5));
      const to = Math.min(size - 1, Math.ceil(crossings[k + 1]! - 0.5) - 1);
      data.fill(1, y * size + from, y * size + Math.max(from, to + 1));
    }
  }
  return { width: size, height: size, data };
}

/** Pixels set in any of the masks. */
export function union(size: number, masks: readonly Mask[]): Mask {
  const data = new Uint8Array(size * size);
  for (const mask of masks) for (let i = 0; i < data.length; i++) data[i]! |= mask.data[i]!;
  return { width: size, height: size, data };
}

export const area = (mask: Mask): number => mask.data.reduce((sum, v) => sum + v, 0);

/** Adds a soft line (Gaussian profile of the given width) along the vertices to a field. */
export function addLine(
  field: Field,
  size: number,
  path: readonly Vertex[],
  widthPx: number,
  amount: number,
): void {
  const reach = 1.5 * widthPx;
  const nearest = new Map<number, number>(); // pixel -> squared distance from the line
  for (let k = 0; k + 1 < path.length; k++) {
    const a = path[k]!;
    const b = path[k + 1]!;
    const [dx, dy] = [b.x - a.x, b.y - a.y];
    const lengthSquared = dx * dx + dy * dy || 1;
    const x0 = Math.max(0, Math.floor(Math.min(a.x, b.x) - reach));
    const x1 = Math.min(size - 1, Math.ceil(Math.max(a.x, b.x) + reach));
    const y0 = Math.max(0, Math.floor(Math.min(a.y, b.y) - reach));
    const y1 = Math.min(size - 1, Math.ceil(Math.max(a.y, b.y) + reach));
    for (let y = y0; y <= y1; y++) {
      for (let x = x0; x <= x1; x++) {
        const px = x + 0.5 - a.x;
        const py = y + 0.5 - a.y;
        const t = Math.min(1, Math.max(0, (px * dx + py * dy) / lengthSquared));
        const squared = (px - t * dx) ** 2 + (py - t * dy) ** 2;
        const i = y * size + x;
        if (squared < reach * reach && squared < (nearest.get(i) ?? Infinity)) nearest.set(i, squared);
      }
    }
  }
  const sharpness = -2 / (widthPx * widthPx);
  for (const [i, squared] of nearest) field[i]! += amount * Math.exp(sharpness * squared);
}

export const clamp = (x: number, lo: number, hi: number): number => Math.min(hi, Math.max(lo, x));
/** 0 below `lo`, 1 above `hi`, smooth between. */
export function ramp(x: number, lo: number, hi: number): number {
  const t = clamp((x - lo) / (hi - lo), 0, 1);
  return t * t * (3 - 2 * t);
}

/** Rounds a field of values in 0..1 to 8 bits. */
export function toBytes(field: Field): Uint8Array {
  const out = new Uint8Array(field.length);
  for (let i = 0; i < out.length; i++) out[i] = Math.round(clamp(field[i]!, 0, 1) * 255);
  return out;
}
