// Small images and a mean field written out label by label, to compare with.

import type { Image } from '../../../src/imaging/types.ts';
import type { Unary } from '../../../src/prompting/crf/index.ts';
import { Random } from '../../../src/util/random.ts';

/** A bright disc on a dark ground, with noise: edges that a bilateral kernel sees. */
export function discImage(side: number, channels: 1 | 3 = 3, noise = 6): Image {
  const random = new Random('disc');
  const data = new Uint8Array(side * side * channels);
  for (let i = 0; i < side * side; i++) {
    const [x, y] = [i % side, Math.floor(i / side)];
    const inside = (x - side * 0.45) ** 2 + (y - side * 0.55) ** 2 < (side * 0.3) ** 2;
    for (let c = 0; c < channels; c++) {
      data[i * channels + c] = Math.round((inside ? 170 - 20 * c : 60 + 15 * c) + noise * random.normal());
    }
  }
  return { width: side, height: side, channels, data };
}

/** Energies of every label, at random. */
export function randomUnary(width: number, height: number, labels: number, seed: string): Unary {
  const random = new Random(seed);
  const energies = Float32Array.from({ length: labels * width * height }, () => 2 * random.next());
  return { width, height, labels, energies };
}

/** K[i][j] of features [N, D], by definition. */
export function kernelMatrix(data: Float32Array, dimensions: number): number[][] {
  const points = data.length / dimensions;
  const at = (i: number): Float32Array => data.subarray(i * dimensions, (i + 1) * dimensions);
  return Array.from({ length: points }, (_, i) =>
    Array.from({ length: points }, (_, j) =>
      Math.exp(-0.5 * at(i).reduce((sum, v, k) => sum + (v - at(j)[k]!) ** 2, 0)),
    ),
  );
}

/** Q after so many steps, every label filtered on its own; [L, N]. */
export function plainMeanField(
  unary: Unary,
  terms: readonly {
    readonly k: readonly (readonly number[])[];
    readonly mu: readonly (readonly number[])[];
  }[],
  iterations: number,
): number[][] {
  const { labels, energies } = unary;
  const points = energies.length / labels;
  const energy = (l: number, i: number): number => energies[l * points + i]!;
  const normalise = (e: (l: number, i: number) => number): number[][] => {
    const q = Array.from({ length: labels }, () => new Array<number>(points).fill(0));
    for (let i = 0; i < points; i++) {
      const all = q.map((_, l) => -e(l, i));
      const top = Math.max(...all);
      const sum = all.reduce((a, v) => a + Math.exp(v - top), 0);
      for (let l = 0; l < labels; l++) q[l]![i] = Math.exp(all[l]! - top) / sum;
    }
    return q;
  };
  let q = normalise(energy);
  for (let step = 0; step < iterations; step++) {
    const filtered = terms.map(({ k }) =>
      q.map((row) => k.map((ks) => ks.reduce((a, v, j) => a + v * row[j]!, 0))),
    );
    q = normalise(
      (l, i) =>
        energy(l, i) +
        terms.reduce(
          (sum, { mu }, t) => sum + mu[l]!.reduce((a, cost, m) => a + cost * filtered[t]![m]![i]!, 0),
          0,
        ),
    );
  }
  return q;
}
