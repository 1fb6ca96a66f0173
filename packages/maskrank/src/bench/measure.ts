// Timing: medians of alternating runs, so that what else the machine does falls on all of them alike.

import { cudaSynchronize, fromTypedArray, type Tensor, tidy } from '@maskrank/torch';
import { Random } from '../util/random.ts';
import type { BenchOptions } from './types.ts';

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1
    ? (sorted[middle] as number)
    : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/** Milliseconds of one run, to the end of what it asked of the device. */
export function timed(body: () => void, device: BenchOptions['device'] = 'cpu'): number {
  const start = performance.now();
  body();
  if (device === 'cuda') cudaSynchronize();
  return performance.now() - start;
}

/** Runs every body once to warm up, then `rounds` times in turn; each body gives its own milliseconds. */
export async function alternate<K extends string>(
  bodies: Readonly<Record<K, () => number | Promise<number>>>,
  rounds: number,
): Promise<Record<K, number[]>> {
  const names = Object.keys(bodies) as K[];
  const times = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<K, number[]>;
  for (const name of names) await bodies[name]();
  for (let round = 0; round < rounds; round++) {
    for (const name of names) times[name].push(await bodies[name]());
  }
  return times;
}

/** A tensor of normal numbers on the bench's device; the caller's scope owns it. */
export function normals(shape: readonly number[], seed: string, device: BenchOptions['device']): Tensor {
  const random = new Random(seed);
  const count = shape.reduce((product, size) => product * size, 1);
  const data = Float32Array.from({ length: count }, () => random.normal());
  return fromTypedArray(data, shape).to(device);
}

/** Products of matrices that the engine finishes in a second now, in GFLOP/s: what large layers are bound by. */
export function matmulRate(options: Pick<BenchOptions, 'device'>, size = 1024, rounds = 5): number {
  const { device } = options;
  return tidy(() => {
    const [a, b] = [normals([size, size], 'left', device), normals([size, size], 'right', device)];
    const once = () => timed(() => tidy(() => void a.matmul(b)), device);
    once();
    const ms = Math.min(...Array.from({ length: rounds }, once));
    return (2 * size ** 3) / ms / 1e6;
  });
}
