// What a mask says of itself: side, place, size, shape. Every rule stands here once, in RULES, so that the same words can
// be checked on masks of real images. Sides are those of the picture, never the patient's. Computed on runs (pixels of a
// row that follow one another), so that it costs one look at each pixel. Not here: sentences (language.ts).

import type { Mask } from '../../imaging/types.ts';

/** The limits between words. Coordinates and areas are shares of the image. */
export const RULES = {
  /** A component below this share of the largest one's area is ignored for side and shape. */
  speck: 0.1,
  /** Centroid below the first: left (upper); from the second on: right (lower); between: middle. */
  thirds: [1 / 3, 2 / 3],
  /** Components on either side of the midline: "both" when the smaller side has at least this share of the area. */
  both: 0.2,
  /** Area share below the first: small; from the second on: large; between: medium. */
  size: [0.02, 0.1],
  /** IoU of the largest component with the ellipse of equal second moments and area; below: irregular. */
  ellipseIou: 0.86,
  /** Short over long axis of that ellipse; from here on round, below oval. */
  roundAxes: 0.78,
} as const;

export type Side = 'left' | 'middle' | 'right' | 'both';
export type Level = 'upper' | 'middle' | 'lower';
export type SizeWord = 'small' | 'medium' | 'large';
export type ShapeWord = 'round' | 'oval' | 'irregular';

export type MaskFacts = {
  readonly side: Side;
  readonly level: Level;
  /** "upper left", "left", "upper middle", "centre", "both sides", … of the image. */
  readonly location: string;
  readonly size: SizeWord;
  readonly shape: ShapeWord;
  /** Share of the image's area. */
  readonly area: number;
  /** Mean pixel centre, in shares of width and height. */
  readonly centroid: { readonly x: number; readonly y: number };
  /** Components that are no specks. */
  readonly components: number;
};

/** Facts of a mask by RULES; undefined for an empty one. */
export function maskFacts(mask: Mask): MaskFacts | undefined {
  const { width, height } = mask;
  const runs = runsOf(mask);
  const blobs = blobsOf(runs);
  // Of equal areas the one whose first pixel comes first.
  const largest = blobs.reduce<Blob | undefined>(
    (best, blob) => (best === undefined || blob.area > best.area ? blob : best),
    undefined,
  );
  if (largest === undefined) return undefined;
  const kept = blobs.filter(({ area }) => area >= RULES.speck * largest.area);
  const total = kept.reduce((sum, { area }) => sum + area, 0);
  const centroid = {
    x: (kept.reduce((sum, { x }) => sum + x, 0) / total + 0.5) / width,
    y: (kept.reduce((sum, { y }) => sum + y, 0) / total + 0.5) / height,
  };
  const leftShare =
    kept.filter(({ x, area }) => x / area + 0.5 < width / 2).reduce((sum, { area }) => sum + area, 0) / total;
  const both = Math.min(leftShare, 1 - leftShare) >= RULES.both;
  const third = <T>(v: number, words: readonly [T, T, T]) =>
    v < RULES.thirds[0] ? words[0] : v < RULES.thirds[1] ? words[1] : words[2];
  const side: Side = both ? 'both' : third(centroid.x, ['left', 'middle', 'right'] as const);
  const level: Level = third(centroid.y, ['upper', 'middle', 'lower'] as const);
  const area = blobs.reduce((sum, blob) => sum + blob.area, 0) / (width * height);
  const size: SizeWord = area < RULES.size[0] ? 'small' : area < RULES.size[1] ? 'medium' : 'large';
  return {
    side,
    level,
    location: locationWords(side, level),
    size,
    shape: shapeWord(runs, largest),
    area,
    centroid,
    components: kept.length,
  };
}

function locationWords(side: Side, level: Level): string {
  if (side === 'both') return 'both sides';
  if (side === 'middle') return level === 'middle' ? 'centre' : `${level} middle`;
  return level === 'middle' ? side : `${level} ${side}`;
}

/** Row, first and past-the-last column of each run, in raster order, and the run that stands for its component. */
type Runs = {
  readonly count: number;
  readonly row: Int32Array;
  readonly from: Int32Array;
  readonly to: Int32Array;
  readonly root: Int32Array;
};

/** A component (pixels that share a side or a corner) by its sums; `root` is its first run. */
type Blob = {
  readonly root: number;
  area: number;
  x: number;
  y: number;
  xx: number;
  yy: number;
  xy: number;
};

function runsOf({ width, data }: Mask): Runs {
  let capacity = 1024;
  let row = new Int32Array(capacity);
  let from = new Int32Array(capacity);
  let to = new Int32Array(capacity);
  let count = 0;
  for (let i = data.indexOf(1); i >= 0; i = data.indexOf(1, i)) {
    if (count === capacity) {
      capacity *= 2;
      [row, from, to] = [row, from, to].map((old) => {
        const grown = new Int32Array(capacity);
        grown.set(old);
        return grown;
      }) as [typeof row, typeof from, typeof to];
    }
    const y = Math.floor(i / width);
    const start = y * width;
    row[count] = y;
    from[count] = i - start;
    while (i < start + width && data[i] === 1) i++;
    to[count] = i - start;
    count++;
  }
  return { count, row, from, to, root: uniteRuns(count, row, from, to) };
}

/** Union-find over runs of neighbouring rows (path halving); the earliest run is the root. */
function uniteRuns(count: number, row: Int32Array, from: Int32Array, to: Int32Array): Int32Array {
  const root = new Int32Array(count);
  const find = (run: number): number => {
    let node = run;
    while (root[node] !== node) {
      root[node] = root[root[node]!]!;
      node = root[node]!;
    }
    return node;
  };
  for (let k = 0, above = 0; k < count; k++) {
    root[k] = k;
    while (row[above]! < row[k]! - 1) above++;
    // Those that end before this run touch no later one of its row either.
    while (row[above] === row[k]! - 1 && to[above]! < from[k]!) above++;
    for (let j = above; row[j] === row[k]! - 1 && from[j]! <= to[k]!; j++) {
      const [a, b] = [find(j), find(k)];
      if (a < b) root[b] = a;
      else root[a] = b;
    }
  }
  for (let k = 0; k < count; k++) root[k] = find(k);
  return root;
}

/** Sum of the squares of 0 to n - 1. */
const squares = (n: number): number => ((n - 1) * n * (2 * n - 1)) / 6;

/** In raster order of their first pixels. */
function blobsOf({ count, row, from, to, root }: Runs): Blob[] {
  const blobs = new Map<number, Blob>();
  for (let k = 0; k < count; k++) {
    const id = root[k]!;
    let blob = blobs.get(id);
    if (blob === undefined) {
      blob = { root: id, area: 0, x: 0, y: 0, xx: 0, yy: 0, xy: 0 };
      blobs.set(id, blob);
    }
    const [y, a, b] = [row[k]!, from[k]!, to[k]!];
    const n = b - a;
    const x = ((a + b - 1) * n) / 2;
    blob.area += n;
    blob.x += x;
    blob.y += n * y;
    blob.xx += squares(b) - squares(a);
    blob.yy += n * y * y;
    blob.xy += x * y;
  }
  return [...blobs.values()];
}

/** Compares a component with the ellipse of its second moments, scaled to its area. */
function shapeWord({ count, row, from, to, root }: Runs, blob: Blob): ShapeWord {
  const n = blob.area;
  const [mx, my] = [blob.x / n, blob.y / n];
  // A pixel is a unit square: its own variance is 1/12.
  const a = blob.xx / n - mx * mx + 1 / 12;
  const c = blob.yy / n - my * my + 1 / 12;
  const b = blob.xy / n - mx * my;
  const det = a * c - b * b;
  // v' S^-1 v <= q is an ellipse of area pi q sqrt(det S).
  const q = n / (Math.PI * Math.sqrt(det));
  let inside = 0;
  for (let k = 0; k < count; k++) {
    if (root[k] !== blob.root) continue;
    // The ellipse meets the row where c u^2 - 2 b u v + a v^2 <= q det.
    const v = row[k]! - my;
    const under = det * (q * c - v * v);
    if (under < 0) continue;
    const middle = mx + (b * v) / c;
    const reach = Math.sqrt(under) / c;
    const first = Math.max(from[k]!, Math.ceil(middle - reach));
    const last = Math.min(to[k]! - 1, Math.floor(middle + reach));
    if (last >= first) inside += last - first + 1;
  }
  // Both have area n.
  if (inside / (2 * n - inside) < RULES.ellipseIou) return 'irregular';
  const root2 = Math.sqrt((a - c) ** 2 + 4 * b * b);
  return Math.sqrt((a + c - root2) / (a + c + root2)) >= RULES.roundAxes ? 'round' : 'oval';
}
