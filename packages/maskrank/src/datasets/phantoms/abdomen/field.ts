// Smooth random functions of space: a low-frequency displacement (no two patients alike), bumps of a surface, and value
// noise for contents. All are functions of position alone, so neighbouring slices agree. Not here: noise of the scanner.

import type { Random } from '../../../util/random.ts';

/** Position in mm -> a number. */
export type Field = (x: number, y: number, z: number) => number;

/** A sum of `waves` sinusoids of random direction; `amplitude` is the largest value it can take. */
export function waves(
  random: Random,
  {
    count,
    amplitude,
    wavelengthMm,
  }: { count: number; amplitude: number; wavelengthMm: readonly [number, number] },
): Field {
  const terms = Array.from({ length: count }, () => {
    const [a, b, c] = [random.normal(), random.normal(), random.normal()];
    const k = (2 * Math.PI) / random.uniform(...wavelengthMm) / (Math.hypot(a, b, c) + 1e-9);
    return [a * k, b * k, c * k, random.uniform(0, 2 * Math.PI)] as const;
  });
  const scale = amplitude / count;
  return (x, y, z) => {
    let sum = 0;
    for (const [kx, ky, kz, phase] of terms) sum += Math.sin(kx * x + ky * y + kz * z + phase);
    return sum * scale;
  };
}

/** Value noise in [-1, 1] with one lattice point every `cellMm` (trilinear, smoothed). */
export function valueNoise(seed: number, cellMm: number): Field {
  const inverse = 1 / cellMm;
  return (x, y, z) => {
    const [u, v, w] = [x * inverse, y * inverse, z * inverse];
    const [i, j, k] = [Math.floor(u), Math.floor(v), Math.floor(w)];
    const [a, b, c] = [ease(u - i), ease(v - j), ease(w - k)];
    const near = mix(
      mix(at(seed, i, j, k), at(seed, i + 1, j, k), a),
      mix(at(seed, i, j + 1, k), at(seed, i + 1, j + 1, k), a),
      b,
    );
    const far = mix(
      mix(at(seed, i, j, k + 1), at(seed, i + 1, j, k + 1), a),
      mix(at(seed, i, j + 1, k + 1), at(seed, i + 1, j + 1, k + 1), a),
      b,
    );
    return mix(near, far, c);
  };
}

const mix = (a: number, b: number, t: number): number => a + (b - a) * t;
const ease = (t: number): number => t * t * (3 - 2 * t);

/** A lattice point's value in [-1, 1): integer hash, the same on every machine. */
function at(seed: number, i: number, j: number, k: number): number {
  let h = (Math.imul(i, 0x27d4eb2d) ^ Math.imul(j, 0x165667b1) ^ Math.imul(k, 0x9e3779b1) ^ seed) | 0;
  h = Math.imul(h ^ (h >>> 15), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) / 2147483648;
}
