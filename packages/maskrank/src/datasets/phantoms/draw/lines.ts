// Curves, filled outlines and strokes. W, H width and height in pixels; a field is row-major.
// Not here: what is drawn.

import { clamp, type Field } from './field.ts';

export type Vertex = { readonly x: number; readonly y: number };

/** A closed Catmull-Rom curve through the control points, `perSegment` vertices between two of them. */
export function closedCurve(control: readonly Vertex[], perSegment = 10): Vertex[] {
  const n = control.length;
  const out: Vertex[] = [];
  for (let i = 0; i < n; i++) {
    const a = control[(i + n - 1) % n]!;
    const b = control[i]!;
    const c = control[(i + 1) % n]!;
    const d = control[(i + 2) % n]!;
    for (let k = 0; k < perSegment; k++) {
      const t = k / perSegment;
      out.push({ x: catmullRom(a.x, b.x, c.x, d.x, t), y: catmullRom(a.y, b.y, c.y, d.y, t) });
    }
  }
  return out;
}

const catmullRom = (p: number, q: number, r: number, s: number, t: number): number =>
  0.5 * (2 * q + (r - p) * t + (2 * p - 5 * q + 4 * r - s) * t * t + (3 * q - p - 3 * r + s) * t * t * t);

/** Crossings of an outline with the rows it reaches, `most` places a row, and how many are taken; used again. */
let crossings = new Float64Array(1024);
let taken = new Int32Array(256);

/** Sets the pixels whose centre lies inside the polygon (even-odd rule) to `value`. */
export function fillPolygon(
  out: Uint8Array | Float32Array,
  width: number,
  height: number,
  polygon: readonly Vertex[],
  value = 1,
): void {
  let [low, high] = [Infinity, -Infinity];
  for (const { y } of polygon) {
    if (y < low) low = y;
    if (y > high) high = y;
  }
  const top = Math.max(0, Math.floor(low));
  const bottom = Math.min(height, Math.ceil(high));
  if (bottom <= top) return;
  if (taken.length < bottom - top) taken = new Int32Array(bottom - top);
  const most = 2 * Math.ceil(mostCrossings(polygon, top, bottom) / 2);
  if (crossings.length < most * (bottom - top)) crossings = new Float64Array(most * (bottom - top));
  taken.fill(0, 0, bottom - top);
  for (let i = 0; i < polygon.length; i++) {
    const a = polygon[i]!;
    const b = polygon[i + 1 === polygon.length ? 0 : i + 1]!;
    const slope = (b.x - a.x) / (b.y - a.y);
    const end = lastRow(a, b, bottom);
    for (let y = firstRow(a, b, top); y < end; y++) {
      // Kept in order as they come; a row has few.
      const x = a.x + (y + 0.5 - a.y) * slope;
      const start = (y - top) * most;
      let k = start + taken[y - top]!++;
      for (; k > start && crossings[k - 1]! > x; k--) crossings[k] = crossings[k - 1]!;
      crossings[k] = x;
    }
  }
  for (let y = top; y < bottom; y++) {
    const start = (y - top) * most;
    const end = start + taken[y - top]!;
    for (let k = start; k + 1 < end; k += 2) {
      const from = Math.max(0, Math.ceil(crossings[k]! - 0.5));
      const to = Math.min(width, Math.ceil(crossings[k + 1]! - 0.5));
      for (let x = from; x < to; x++) out[y * width + x] = value;
    }
  }
}

/** Rows whose centre an edge crosses: from the first to before the last. */
const firstRow = (a: Vertex, b: Vertex, top: number): number =>
  Math.max(top, Math.ceil(Math.min(a.y, b.y) - 0.5));
const lastRow = (a: Vertex, b: Vertex, bottom: number): number =>
  Math.min(bottom, Math.ceil(Math.max(a.y, b.y) - 0.5));

function mostCrossings(polygon: readonly Vertex[], top: number, bottom: number): number {
  taken.fill(0, 0, bottom - top);
  let most = 0;
  for (let i = 0; i < polygon.length; i++) {
    const a = polygon[i]!;
    const b = polygon[i + 1 === polygon.length ? 0 : i + 1]!;
    const end = lastRow(a, b, bottom);
    for (let y = firstRow(a, b, top); y < end; y++) {
      const count = taken[y - top]! + 1;
      taken[y - top] = count;
      if (count > most) most = count;
    }
  }
  return most;
}

/** Brightness across a line: of the distance from its middle as a share of its half-width. */
export type Profile = (d: number) => number;

/** A soft line: brightest on the path, nothing at the edge. */
export const softLine: Profile = (d) => (1 - d * d) * (1 - d * d);
/** A hollow bone: flat inside, brighter cortex near the edge. */
export const tube: Profile = (d) => (d > 0.92 ? (1 - d) * 8 : 0.55 + 0.55 * d * d * d * d);

/** Profiles by squared distance, so that no root is taken for a pixel. */
const tables = new WeakMap<Profile, Float32Array>();
const STEPS = 255;
function tableOf(profile: Profile): Float32Array {
  let table = tables.get(profile);
  if (table === undefined) {
    table = Float32Array.from({ length: STEPS + 1 }, (_, k) => profile(Math.sqrt((k + 0.5) / STEPS)));
    tables.set(profile, table);
  }
  return table;
}

/** Squared distance of pixels that no stroke has touched. */
const FAR = 2;
let nearest = new Float32Array(0);
let touched = new Int32Array(0);

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
  profile: Profile = softLine,
  taper: (t: number) => number = () => 1,
): void {
  const reach = Math.max(1, halfWidth);
  // `nearest` is FAR everywhere between two strokes.
  if (nearest.length < field.length) {
    nearest = new Float32Array(field.length).fill(FAR);
    touched = new Int32Array(field.length);
  }
  const [near, order] = [nearest, touched];
  let count = 0;
  for (let k = 0; k + 1 < path.length; k++) {
    const a = path[k]!;
    const b = path[k + 1]!;
    const dx = b.x - a.x;
    const dy = b.y - a.y;
    const scale = 1 / (dx * dx + dy * dy || 1);
    const w = Math.max(0.5, reach * taper((k + 0.5) / (path.length - 1)));
    const narrow = 1 / (w * w);
    // The band of pixels near enough, row by row, if the piece is not level; a pixel of slack for rounding.
    const lean = dy === 0 ? 0 : dx / dy;
    const spread = dy === 0 ? Infinity : (w * Math.sqrt(dx * dx + dy * dy)) / Math.abs(dy) + 2;
    const x0 = Math.max(0, Math.floor(Math.min(a.x, b.x) - w));
    const x1 = Math.min(width - 1, Math.ceil(Math.max(a.x, b.x) + w));
    const y0 = Math.max(0, Math.floor(Math.min(a.y, b.y) - w));
    const y1 = Math.min(height - 1, Math.ceil(Math.max(a.y, b.y) + w));
    for (let y = y0; y <= y1; y++) {
      const py = y + 0.5 - a.y;
      const middle = a.x + py * lean;
      const from = Math.max(x0, Math.floor(middle - spread));
      const to = Math.min(x1, Math.ceil(middle + spread));
      for (let x = from; x <= to; x++) {
        const px = x + 0.5 - a.x;
        const along = (px * dx + py * dy) * scale;
        const t = along < 0 ? 0 : along > 1 ? 1 : along;
        const ex = px - t * dx;
        const ey = py - t * dy;
        const d = (ex * ex + ey * ey) * narrow;
        if (d >= 1) continue;
        const i = y * width + x;
        const known = near[i]!;
        if (known === FAR) order[count++] = i;
        if (d < known) near[i] = d;
      }
    }
  }
  // Lines thinner than two pixels fade instead of breaking up.
  const fade = amount * Math.min(1, halfWidth);
  const table = tableOf(profile);
  for (let k = 0; k < count; k++) {
    const i = order[k]!;
    field[i]! += fade * table[(near[i]! * STEPS) | 0]!;
    near[i] = FAR;
  }
}

/** A path of `steps` pieces from a function of 0..1. */
export const pathOf = (at: (t: number) => Vertex, steps = 14): Vertex[] =>
  Array.from({ length: steps + 1 }, (_, k) => at(k / steps));

/** The rectangle of whole pixels within `reach` of a point and inside the image; x1 and y1 are exclusive. */
export function windowAround(
  x: number,
  y: number,
  reachX: number,
  reachY: number,
  width: number,
  height: number,
) {
  return {
    x0: clamp(Math.floor(x - reachX), 0, width),
    x1: clamp(Math.ceil(x + reachX), 0, width),
    y0: clamp(Math.floor(y - reachY), 0, height),
    y1: clamp(Math.ceil(y + reachY), 0, height),
  };
}
