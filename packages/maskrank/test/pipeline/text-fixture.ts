// Text features written by hand: a random direction for each text, the same at every call.

import { Random } from '../../src/util/random.ts';

export function unitVector(text: string, dim: number): Float32Array {
  const random = new Random(`feature of ${text}`);
  const values = Array.from({ length: dim }, () => random.normal());
  const length = Math.hypot(...values);
  return Float32Array.from(values, (v) => v / length);
}
