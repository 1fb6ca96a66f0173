// What SAM-Med3D is given: a cube of grey values normalised over what is not background, and clicks where a mask is wrong.
// Shapes: S side of the cube in voxels.

import type { Random } from '../../util/random.ts';

/** A click: places along the cube's three axes, 1 foreground or 0 background. */
export type Click = { readonly place: readonly [number, number, number]; readonly label: 0 | 1 };

/** Mean 0 and deviation 1 over the voxels above 0; zeros where there is none. As the released training does it. */
export function normaliseCube(values: ArrayLike<number>): Float32Array<ArrayBuffer> {
  let [count, sum] = [0, 0];
  for (let i = 0; i < values.length; i++) {
    if (values[i]! <= 0) continue;
    count += 1;
    sum += values[i]!;
  }
  const mean = count === 0 ? 0 : sum / count;
  let squares = 0;
  for (let i = 0; i < values.length; i++) if (values[i]! > 0) squares += (values[i]! - mean) ** 2;
  const deviation = count < 2 || squares === 0 ? 1 : Math.sqrt(squares / (count - 1));
  return Float32Array.from(values, (v) => (v - mean) / deviation);
}

/**
 * A random voxel where `predicted` [S, S, S] differs from `truth`: a foreground click where it misses, a background click where it
 * says too much. A foreground voxel where nothing is wrong; undefined where there is none either.
 */
export function nextClick(
  truth: Uint8Array,
  predicted: ArrayLike<number>,
  side: number,
  random: Random,
): Click | undefined {
  const wrong = (i: number) => (truth[i] !== 0) !== (predicted[i] !== 0);
  const found = pick(truth.length, wrong, random) ?? pick(truth.length, (i) => truth[i] !== 0, random);
  if (found === undefined) return undefined;
  return {
    place: [Math.floor(found / (side * side)), Math.floor(found / side) % side, found % side],
    label: truth[found] !== 0 ? 1 : 0,
  };
}

/** One of the indices that fit, each as likely; undefined where none does. */
function pick(count: number, fits: (i: number) => boolean, random: Random): number | undefined {
  let total = 0;
  for (let i = 0; i < count; i++) if (fits(i)) total += 1;
  if (total === 0) return undefined;
  let left = random.int(0, total);
  for (let i = 0; i < count; i++) {
    if (!fits(i)) continue;
    if (left === 0) return i;
    left -= 1;
  }
  return undefined;
}
