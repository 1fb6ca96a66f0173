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
  const k = Float64Array.from(terms.flat());
  return (x, y, z) => {
    let sum = 0;
    for (let i = 0; i < k.length; i += 4)
      sum += Math.sin(k[i]! * x + k[i + 1]! * y + k[i + 2]! * z + k[i + 3]!);
    return sum * scale;
  };
}

/** Value noise in [-1, 1] with one lattice point every `cellMm` (trilinear, smoothed). */
export function valueNoise(seed: number, cellMm: number): Field {
  const inverse = 1 / cellMm;
  return (x, y, z) => {
    const u = x * inverse;
    const v = y * inverse;
    const w = z * inverse;
    const i = Math.floor(u);
    const j = Math.floor(v);
    const k = Math.floor(w);
    const a = ease(u - i);
    const b = ease(v - j);
    const c = ease(w - k);
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
