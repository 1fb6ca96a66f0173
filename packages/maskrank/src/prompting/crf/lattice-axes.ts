// Scales of a permutohedral lattice's axes, and how its vertices are numbered. N points, D features, S = D + 1 coordinates.

import { UsageError } from '@maskrank/torch/errors';
import type { Features } from './filter.ts';

/** Below this a code is exact, and so is its remainder modulo S. */
const MAX_CODE = 2 ** 50;

/**
 * A vertex has S coordinates that sum to zero and leave the same remainder r modulo S. It is coded as
 * r + S (c_0 s_0 + c_1 s_1 + ...), with c_i = floor(coordinate i / S) for the first D coordinates; the strides s leave room
 * for every c_i that occurs and its neighbours.
 */
export type Axes = {
  /** Feature i times this is its part of the lattice coordinates (the diagonal of E, p. 5). [D] */
  readonly scales: Float32Array;
  /** S s_i; 0 for the last coordinate, which follows from the others. [S] */
  readonly strides: Float64Array;
};

/** @throws UsageError where features are no numbers, or span more than can be numbered */
export function makeAxes({ dimensions: d, spans }: Features): Axes {
  const deviation = Math.fround(Math.sqrt(2 / 3) * (d + 1));
  const scales = Float32Array.from({ length: d }, (_, i) => deviation / Math.sqrt((i + 1) * (i + 2)));
  const strides = new Float64Array(d + 1);
  let stride = d + 1;
  for (let j = 0; j < d; j++) {
    let reach = j === 0 ? 0 : j * spans[j - 1]! * scales[j - 1]!;
    for (let i = j; i < d; i++) reach += spans[i]! * scales[i]!;
    strides[j] = stride;
    stride *= Math.ceil(reach / (d + 1)) + 8;
  }
  if (!(stride < MAX_CODE)) {
    const found = spans.map((span) => span.toPrecision(3)).join(', ');
    throw new UsageError(
      `LatticeFilter: features span ${found} standard deviations, too many to number the vertices; allowed: finite, about 300 in each of 5 dimensions. Use larger sigmas.`,
    );
  }
  return { scales, strides };
}
