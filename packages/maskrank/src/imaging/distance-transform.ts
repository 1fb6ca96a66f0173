// Exact squared Euclidean distance transform in linear time: vertical distances by two scans, then the lower envelope of
// parabolas along each row (Meijster 2000; Felzenszwalb and Huttenlocher 2012).
// Not here: square roots, signed distances, volumes, distances at a few pixels only (evaluation/nearest-surface.ts).

import { UsageError } from '@maskrank/torch/errors';
import type { Box } from './types.ts';

/** Narrows what is computed; the values stay exact with respect to every site of the whole mask. */
export type DistanceTransformOptions = {
  /** Only these pixels are computed (whole pixels inside the image); the result is `region` sized. Default: the image. */
  readonly region?: Box;
};

/**
 * Squared distance from each pixel's centre to the centre of the nearest non-zero pixel of `mask`; Infinity everywhere
 * when there is none.
 *
 * @param mask sites are the non-zero values, index `y * width + x`
 * @param spacing pixel size `[x, y]` (width first, as the arguments before it); the result has its unit, squared
 * @returns row-major, `width * height` values, or those of `options.region`
 */
export function squaredDistanceTransform(
  mask: Uint8Array,
  width: number,
  height: number,
  spacing: readonly [number, number] = [1, 1],
  options: DistanceTransformOptions = {},
): Float64Array {
  const region = options.region ?? { x0: 0, y0: 0, x1: width, y1: height };
  check(mask, width, height, spacing, region);
  const columns = region.x1 - region.x0;
  const out = new Float64Array(columns * (region.y1 - region.y0));
  const sites = boundsOfSites(mask, width);
  if (sites === undefined) return out.fill(Infinity);
  const vertical = new ColumnDistances(mask, width, sites, region.y0, region.y1);
  const envelope = new Envelope(sites.x0, vertical.span, region, spacing[0]);
  const squares = new Float64Array(vertical.span);
  for (let y = region.y0; y < region.y1; y++) {
    vertical.squares(y, spacing[1], squares);
    envelope.evaluate(squares, out, (y - region.y0) * columns);
  }
  return out;
}

/** A row distance that means "no site in this column"; larger than any real one, and countable upwards. */
const FAR = 1 << 28;

function check(
  mask: Uint8Array,
  width: number,
  height: number,
  spacing: readonly [number, number],
  region: Box,
): void {
  if (!(width >= 1 && height >= 1) || mask.length !== width * height) {
    throw new UsageError(
      `squaredDistanceTransform: mask has ${mask.length} values; expected width * height = ${width} * ${height}.`,
    );
  }
  if (!spacing.every((s) => s > 0 && Number.isFinite(s))) {
    throw new UsageError(`squaredDistanceTransform: spacing = [${spacing}]; allowed: two positive numbers.`);
  }
  const { x0, y0, x1, y1 } = region;
  const whole = [x0, y0, x1, y1].every(Number.isInteger);
  if (!whole || x0 < 0 || y0 < 0 || x1 > width || y1 > height || x0 >= x1 || y0 >= y1) {
    throw new UsageError(
      `squaredDistanceTransform: region = (${x0}, ${y0})-(${x1}, ${y1}); allowed: whole pixels inside ${width} x ${height}, not empty.`,
    );
  }
}

function boundsOfSites(mask: Uint8Array, width: number): Box | undefined {
  const ends = firstAndLastSite(mask);
  if (ends === undefined) return undefined;
  const y0 = Math.floor(ends.first / width);
  const y1 = Math.floor(ends.last / width) + 1;
  let x0 = ends.first % width;
  let x1 = x0 + 1;
  for (let y = y0; y < y1; y++) {
    const start = y * width;
    for (let x = 0; x < x0; x++) {
      if (mask[start + x] !== 0) x0 = x;
    }
    for (let x = width - 1; x >= x1; x--) {
      if (mask[start + x] !== 0) x1 = x + 1;
    }
  }
  return { x0, y0, x1, y1 };
}

function firstAndLastSite(mask: Uint8Array): { first: number; last: number } | undefined {
  let first = 0;
  let last = mask.length - 1;
  if (mask.byteOffset % 4 === 0) {
    // Empty margins are most of a mask: skip them four pixels at a time.
    const words = new Int32Array(mask.buffer, mask.byteOffset, mask.length >> 2);
    let word = 0;
    while (word < words.length && words[word] === 0) word++;
    first = word * 4;
    if (mask.length % 4 === 0 && first < mask.length) {
      word = words.length - 1;
      while (words[word] === 0) word--;
      last = word * 4 + 3;
    }
  }
  while (first <= last && mask[first] === 0) first++;
  if (first > last) return undefined;
  while (mask[last] === 0) last--;
  return { first, last };
}

/** Row distances over the columns between the outermost sites; other columns have no site. */
class ColumnDistances {
  readonly span: number;
  /** Rows `firstRow..lastRow` of the image, `span` values each; at least FAR where the column has no site. */
  private readonly table: Int32Array;
  private readonly firstRow: number;
  private readonly lastRow: number;

  /** For questions about rows `y0..y1`. Above and below all sites a row is the outermost one and some rows more. */
  constructor(mask: Uint8Array, width: number, sites: Box, y0: number, y1: number) {
    const clamp = (y: number): number => Math.min(Math.max(y, sites.y0), sites.y1 - 1);
    const span = sites.x1 - sites.x0;
    const [firstRow, lastRow] = [clamp(y0), clamp(y1 - 1)];
    const table = new Int32Array(span * (lastRow - firstRow + 1));
    const carried = new Int32Array(span).fill(FAR);
    for (let y = sites.y0; y <= lastRow; y++) {
      scanRow(mask, y * width + sites.x0, carried);
      if (y >= firstRow) table.set(carried, (y - firstRow) * span);
    }
    carried.fill(FAR);
    for (let y = sites.y1 - 1; y >= firstRow; y--) {
      scanRow(mask, y * width + sites.x0, carried);
      if (y <= lastRow) keepSmaller(table, (y - firstRow) * span, carried);
    }
    this.span = span;
    this.table = table;
    this.firstRow = firstRow;
    this.lastRow = lastRow;
  }

  /** Writes `spacing^2 * rows^2` of row y into `squares`, Infinity where there is no site. */
  squares(y: number, spacingY: number, squares: Float64Array): void {
    const nearest = Math.min(Math.max(y, this.firstRow), this.lastRow);
    const more = Math.abs(y - nearest);
    const { table } = this;
    const start = (nearest - this.firstRow) * this.span;
    for (let x = 0; x < squares.length; x++) {
      const rows = table[start + x]! + more;
      squares[x] = rows >= FAR ? Infinity : spacingY * rows * (spacingY * rows);
    }
  }
}

function scanRow(mask: Uint8Array, start: number, carried: Int32Array): void {
  for (let x = 0; x < carried.length; x++) carried[x] = mask[start + x] !== 0 ? 0 : carried[x]! + 1;
}

function keepSmaller(table: Int32Array, start: number, candidates: Int32Array): void {
  for (let x = 0; x < candidates.length; x++) {
    if (candidates[x]! < table[start + x]!) table[start + x] = candidates[x]!;
  }
}

/** Lower envelope of the parabolas `spacing^2 (x - column)^2 + square[column]` of one row. */
class Envelope {
  /** Of the parabolas on the envelope, from left to right: place, lowest value, where each begins to be the lowest. */
  private readonly columns: Int32Array;
  private readonly bottoms: Float64Array;
  private readonly from: Float64Array;
  /** `spacing^2 d^2` at index `d + reach`, and `1 / (2 spacing^2 d)` at index d. */
  private readonly squareOf: Float64Array;
  private readonly reach: number;
  private readonly halfInverse: Float64Array;
  /** First and last column to write, counted from the sites' first column. */
  private readonly begin: number;
  private readonly end: number;

  /** @param x0 first column with a site; @param span columns up to the last with a site */
  constructor(x0: number, span: number, region: Box, spacing: number) {
    this.columns = new Int32Array(span);
    this.bottoms = new Float64Array(span);
    this.from = new Float64Array(span);
    this.begin = region.x0 - x0;
    this.end = region.x1 - x0;
    const reach = Math.max(span, this.end) + Math.max(0, -this.begin);
    this.reach = reach;
    this.squareOf = Float64Array.from({ length: 2 * reach + 1 }, (_, i) => (spacing * (i - reach)) ** 2);
    // A rounding error here can only swap parabolas where both give the same distance.
    this.halfInverse = Float64Array.from({ length: span }, (_, d) => 1 / (2 * spacing * spacing * d));
  }

  /** Writes one row of the region, which begins at `out[start]`; `squares` are the sites' columns' values. */
  evaluate(squares: Float64Array, out: Float64Array, start: number): void {
    const { columns, bottoms, from, squareOf, reach, begin, end } = this;
    const top = this.build(squares);
    if (top < 0) {
      out.fill(Infinity, start, start + end - begin);
      return;
    }
    const shift = start - begin;
    let x = begin;
    for (let k = 0; k <= top && x < end; k++) {
      // The parabola holds for whole columns up to where the next one begins.
      const until = k < top ? Math.min(end, Math.floor(from[k + 1]!) + 1) | 0 : end;
      const toIndex = reach - columns[k]!;
      const bottom = bottoms[k]!;
      for (; x < until; x++) out[shift + x] = squareOf[toIndex + x]! + bottom;
    }
  }

  /** Stacks the parabolas that are lowest somewhere; returns the index of the last, -1 if all are at infinity. */
  private build(squares: Float64Array): number {
    const { columns, bottoms, from, halfInverse } = this;
    const twice = 2 * this.squareOf[this.reach + 1]!;
    const last = squares.length - 1;
    let top = -1;
    let left = Infinity;
    let right = squares[0]!;
    for (let q = 0; q <= last; q++) {
      const before = left;
      const bottom = right;
      left = bottom;
      right = q < last ? squares[q + 1]! : Infinity;
      // Infinitely high, or nowhere below both neighbours: no part of the envelope.
      if (bottom === Infinity || bottom + bottom >= before + right + twice) continue;
      let begin = -Infinity;
      while (top >= 0) {
        const v = columns[top]!;
        begin = (q + v) * 0.5 + (bottom - bottoms[top]!) * halfInverse[q - v]!;
        if (begin > from[top]!) break;
        top--;
        begin = -Infinity;
      }
      top++;
      columns[top] = q;
      bottoms[top] = bottom;
      from[top] = begin;
    }
    return top;
  }
}
