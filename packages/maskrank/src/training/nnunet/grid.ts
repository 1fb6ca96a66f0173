// Values on a grid of two or three dimensions, planes of channels one after the other: windows into them, and resampling. The
// same functions for pictures and volumes. Typed arrays in and out.
// Shapes: C channels, S... spatial sizes, row-major.

import { resize, resizeNearest } from '../../imaging/resample.ts';
import type { Sizes } from '../../models/nnunet/index.ts';

export type Values = Uint8Array | Int16Array | Float32Array;

/** Index `(c * S1 + y) * S2 + x` in two dimensions, one more level in three. */
export type Grid<T extends Values = Values> = {
  readonly shape: Sizes;
  readonly channels: number;
  readonly values: T; // [C, S...]
};

export const countOf = (shape: Sizes): number => shape.reduce((a, b) => a * b, 1);

/**
 * Calls `row` for each run along the last axis that a window has in common with a grid: flat position in the grid, flat position
 * in the window, and length. The window may lie partly or wholly outside.
 */
export function forSharedRows(
  shape: Sizes,
  start: Sizes,
  size: Sizes,
  row: (inGrid: number, inWindow: number, length: number) => void,
): void {
  const first = start.map((s) => Math.max(0, -s));
  const end = size.map((n, axis) => Math.min(n, (shape[axis] as number) - (start[axis] as number)));
  if (end.some((n, axis) => n <= (first[axis] as number))) return;
  const last = shape.length - 1;
  const walk = (axis: number, inGrid: number, inWindow: number): void => {
    const [from, to] = [first[axis] as number, end[axis] as number];
    const base = inGrid * (shape[axis] as number) + (start[axis] as number);
    const place = inWindow * (size[axis] as number);
    if (axis === last) row(base + from, place + from, to - from);
    else for (let i = from; i < to; i++) walk(axis + 1, base + i, place + i);
  };
  walk(0, 0, 0);
}

/** A part of a grid; what lies outside is `fill`. */
export function window<T extends Values>(grid: Grid<T>, start: Sizes, size: Sizes, fill = 0): Grid<T> {
  const [from, to] = [countOf(grid.shape), countOf(size)];
  const values = new (grid.values.constructor as new (length: number) => T)(grid.channels * to);
  if (fill !== 0) values.fill(fill);
  for (let c = 0; c < grid.channels; c++) {
    forSharedRows(grid.shape, start, size, (inGrid, inWindow, length) => {
      const at = c * from + inGrid;
      values.set(grid.values.subarray(at, at + length), c * to + inWindow);
    });
  }
  return { shape: size, channels: grid.channels, values };
}

/** The same values with the axes in another order: the first of `order` comes first. */
export function permute<T extends Values>(grid: Grid<T>, order: Sizes): Grid<T> {
  if (order.every((axis, i) => axis === i)) return grid;
  const { shape, channels, values } = grid;
  const steps = order.map((axis) => countOf(shape.slice(axis + 1)));
  const turned = order.map((axis) => shape[axis] as number);
  const count = countOf(shape);
  const out = new (values.constructor as new (length: number) => T)(values.length);
  let to = 0;
  const walk = (axis: number, from: number): void => {
    const [side, step] = [turned[axis] as number, steps[axis] as number];
    if (axis === turned.length - 1)
      for (let i = 0; i < side; i++) out[to++] = values[from + i * step] as number;
    else for (let i = 0; i < side; i++) walk(axis + 1, from + i * step);
  };
  for (let c = 0; c < channels; c++) walk(0, c * count);
  return { shape: turned, channels, values: out };
}

/**
 * - `smooth`: cubic with antialiasing, for images
 * - `linear`: between neighbours, for logits
 * - `nearest`: for labels
 */
export type ResampleHow = 'smooth' | 'linear' | 'nearest';

/** The grid at another size, axis by axis. */
export function resample<T extends Values>(grid: Grid<T>, shape: Sizes, how: ResampleHow): Grid<T> {
  let current: Grid<T> = grid;
  for (const [axis, side] of shape.entries()) {
    if (side !== current.shape[axis]) current = resampleAxis(current, axis, side, how);
  }
  return current;
}

function resampleAxis<T extends Values>(
  { shape, channels, values }: Grid<T>,
  axis: number,
  side: number,
  how: ResampleHow,
): Grid<T> {
  const length = shape[axis] as number;
  const inner = countOf(shape.slice(axis + 1));
  const outer = channels * countOf(shape.slice(0, axis));
  const out = new (values.constructor as new (length: number) => T)(outer * side * inner);
  for (let i = 0; i < outer; i++) {
    // A picture as high as the axis is long, and as wide as all that lies behind it.
    const data = values.subarray(i * length * inner, (i + 1) * length * inner);
    out.set(columns(data, { width: inner, height: length }, side, how), i * side * inner);
  }
  return { shape: shape.map((n, a) => (a === axis ? side : n)), channels, values: out };
}

type Size = { readonly width: number; readonly height: number };

function columns(data: Values, { width, height }: Size, side: number, how: ResampleHow): Values {
  const size = { width, height: side };
  if (how === 'nearest' && !(data instanceof Int16Array))
    return resizeNearest({ width, height, data }, size).data;
  const floats = data instanceof Int16Array ? Float32Array.from(data) : data;
  const filter = how === 'smooth' ? 'cubic' : 'triangle';
  const options = { filter, antialias: how === 'smooth' } as const;
  const { data: filtered } = resize(
    { width, height, data: floats } as { width: number; height: number; data: Float32Array },
    size,
    options,
  );
  return data instanceof Int16Array ? filtered.map(Math.round) : filtered;
}
