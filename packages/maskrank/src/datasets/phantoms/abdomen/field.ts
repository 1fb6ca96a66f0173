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

/** Lattice points along an axis before value noise repeats. */
const LATTICE = 32;
const WRAP = LATTICE - 1;
/** Values in [-1, 1) by integer hash, the same on every machine; each noise starts elsewhere in them. */
const VALUES = Float32Array.from({ length: LATTICE ** 3 }, (_, i) => {
  let h = Math.imul(i + 1, 0x9e3779b1) | 0;
  h = Math.imul(h ^ (h >>> 15), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) / 2147483648;
});

/** Value noise in [-1, 1] with one lattice point every `cellMm` (trilinear, smoothed). */
export function valueNoise(seed: number, cellMm: number): Field {
  const inverse = 1 / cellMm;
  // Far enough from 0 that truncation is floor.
  const u0 = (seed & WRAP) + 1024;
  const v0 = ((seed >>> 5) & WRAP) + 1024;
  const w0 = ((seed >>> 10) & WRAP) + 1024;
  return (x, y, z) => {
    const u = x * inverse + u0;
    const v = y * inverse + v0;
    const w = z * inverse + w0;
    const i = u | 0;
    const j = v | 0;
    const k = w | 0;
    const a = ease(u - i);
    const b = ease(v - j);
    const i0 = i & WRAP;
    const i1 = (i + 1) & WRAP;
    const j0 = (j & WRAP) * LATTICE;
    const j1 = ((j + 1) & WRAP) * LATTICE;
    const k0 = (k & WRAP) * LATTICE * LATTICE;
    const k1 = ((k + 1) & WRAP) * LATTICE * LATTICE;
    const near = mix(
      mix(VALUES[k0 + j0 + i0]!, VALUES[k0 + j0 + i1]!, a),
      mix(VALUES[k0 + j1 + i0]!, VALUES[k0 + j1 + i1]!, a),
      b,
    );
    const far = mix(
      mix(VALUES[k1 + j0 + i0]!, VALUES[k1 + j0 + i1]!, a),
      mix(VALUES[k1 + j1 + i0]!, VALUES[k1 + j1 + i1]!, a),
      b,
    );
    return mix(near, far, ease(w - k));
  };
}

const mix = (a: number, b: number, t: number): number => a + (b - a) * t;
const ease = (t: number): number => t * t * (3 - 2 * t);
