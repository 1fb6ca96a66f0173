// Connected components of a binary mask: two passes with union-find (Rosenfeld 1966, path halving), their areas, boxes
// and centroids, and the choice of the largest. Not here: filling holes and other shape changes (morphology.ts).

import { UsageError } from '@maskrank/torch/errors';
import type { Box, Mask } from './types.ts';

/** 4: pixels that share a side; 8: also those that share a corner. */
export type Connectivity = 4 | 8;

export type Component = {
  /** Value of its pixels in `labels`: 1, 2, ... in raster order of the components' first pixels. */
  readonly label: number;
  readonly areaPx: number;
  readonly box: Box;
  /** Mean pixel index, so the centroid of a single pixel is that pixel's own (x, y). */
  readonly centroid: { readonly x: number; readonly y: number };
};

export type Components = {
  readonly width: number;
  readonly height: number;
  /** 0 background, else the component's label. */
  readonly labels: Int32Array;
  /** In label order: `components[label - 1]`. */
  readonly components: readonly Component[];
};

/** Labels the components of the non-zero pixels. */
export function labelComponents(mask: Mask, connectivity: Connectivity = 8): Components {
  const { width, height, data } = mask;
  if (data.length !== width * height) {
    throw new UsageError(
      `labelComponents: mask has ${data.length} values; expected ${width} * ${height} = ${width * height}.`,
    );
  }
  const labels = new Int32Array(data.length);
  const parents = provisionalLabels(mask, connectivity === 8, labels);
  return { width, height, labels, components: resolveLabels(width, labels, parents) };
}

/** First pass: every pixel gets a label, labels that meet are united. Returns the union-find forest, smallest label as root. */
function provisionalLabels({ width, height, data }: Mask, corners: boolean, labels: Int32Array): Int32Array {
  // A new label needs a pixel whose left neighbour is background: at most every second one of a row.
  const parents = new Int32Array(Math.ceil(width / 2) * height + 1);
  let count = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0, i = y * width; x < width; x++, i++) {
      if (data[i] === 0) continue;
      let label = x > 0 ? labels[i - 1]! : 0;
      if (y > 0) {
        const up = labels[i - width]!;
        if (up !== 0) {
          label = label === 0 ? up : unite(parents, label, up);
        } else if (corners) {
          // Where the pixel above is foreground it already ties these two together.
          const upLeft = x > 0 ? labels[i - width - 1]! : 0;
          const upRight = x + 1 < width ? labels[i - width + 1]! : 0;
          if (upLeft !== 0) label = label === 0 ? upLeft : unite(parents, label, upLeft);
          if (upRight !== 0) label = label === 0 ? upRight : unite(parents, label, upRight);
        }
      }
      if (label === 0) {
        label = ++count;
        parents[label] = label;
      }
      labels[i] = label;
    }
  }
  return parents.subarray(0, count + 1);
}

function rootOf(parents: Int32Array, label: number): number {
  let node = label;
  while (parents[node] !== node) {
    parents[node] = parents[parents[node]!]!;
    node = parents[node]!;
  }
  return node;
}

function unite(parents: Int32Array, a: number, b: number): number {
  const [p, q] = [rootOf(parents, a), rootOf(parents, b)];
  const root = Math.min(p, q);
  parents[p] = root;
  parents[q] = root;
  return root;
}

/** Second pass: final labels 1.. in raster order, and the sums. */
function resolveLabels(width: number, labels: Int32Array, parents: Int32Array): Component[] {
  // Roots are the smallest labels of their trees and labels were given in raster order, so counting roots keeps that order.
  const final = new Int32Array(parents.length);
  let count = 0;
  for (let label = 1; label < parents.length; label++) {
    const root = rootOf(parents, label);
    final[label] = root === label ? ++count : final[root]!;
  }
  const area = new Float64Array(count + 1);
  const [sumX, sumY] = [new Float64Array(count + 1), new Float64Array(count + 1)];
  const [x0, y0] = [new Int32Array(count + 1).fill(width), new Int32Array(count + 1).fill(-1)];
  const [x1, y1] = [new Int32Array(count + 1), new Int32Array(count + 1)];
  const height = labels.length / width;
  for (let y = 0; y < height; y++) {
    for (let x = 0, i = y * width; x < width; x++, i++) {
      if (labels[i] === 0) continue;
      const label = final[labels[i]!]!;
      labels[i] = label;
      area[label]!++;
      sumX[label]! += x;
      sumY[label]! += y;
      if (x < x0[label]!) x0[label] = x;
      if (x >= x1[label]!) x1[label] = x + 1;
      if (y0[label]! < 0) y0[label] = y;
      y1[label] = y + 1;
    }
  }
  return Array.from({ length: count }, (_, k) => {
    const label = k + 1;
    return {
      label,
      areaPx: area[label]!,
      box: { x0: x0[label]!, y0: y0[label]!, x1: x1[label]!, y1: y1[label]! },
      centroid: { x: sumX[label]! / area[label]!, y: sumY[label]! / area[label]! },
    };
  });
}

/** Largest first; of equal areas the one whose first pixel comes first in raster order. */
export function byArea(components: readonly Component[]): Component[] {
  return components.toSorted((a, b) => b.areaPx - a.areaPx || a.label - b.label);
}

export type KeepLargestOptions = {
  readonly connectivity?: Connectivity;
  /** Components below this are never kept, px. Default 1. */
  readonly minAreaPx?: number;
  /** Among equal areas at the limit: the first in raster order, or (MedCLIP-SAMv2's rule) all of them. Default `first`. */
  readonly ties?: 'first' | 'all';
};

/** The mask of the `count` largest components. */
export function keepLargest(
  mask: Mask,
  count: number,
  { connectivity = 8, minAreaPx = 1, ties = 'first' }: KeepLargestOptions = {},
): Mask {
  const labelled = labelComponents(mask, connectivity);
  const ranked = byArea(labelled.components);
  const smallest = ranked[Math.min(count, ranked.length) - 1]?.areaPx ?? Infinity;
  const chosen = ranked.filter(
    ({ areaPx }, rank) => areaPx >= minAreaPx && (ties === 'all' ? areaPx >= smallest : rank < count),
  );
  return componentMask(labelled, chosen);
}

/** The mask of the given components. */
export function componentMask({ width, height, labels }: Components, chosen: readonly Component[]): Mask {
  const wanted = new Set(chosen.map(({ label }) => label));
  const keep = Uint8Array.from({ length: labels.reduce((a, b) => Math.max(a, b), 0) + 1 }, (_, label) =>
    wanted.has(label) ? 1 : 0,
  );
  return { width, height, data: Uint8Array.from(labels, (label) => keep[label]!) };
}
