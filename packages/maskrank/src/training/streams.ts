// Random streams of a training loop, named by what they are for. Every step has its own, so that a loop restored at any
// step draws exactly what the uninterrupted one drew.

import { manualSeed } from '@maskrank/torch';
import { Random } from '../util/random.ts';

/** The stream of one step, for batches, augmentation and prompts. */
export const stepStream = (seed: number, stage: string, step: number): Random =>
  new Random(`${seed}/${stage}/step ${step}`);

/** The order of the units in one pass over the data. */
export function epochOrder(seed: number, stage: string, epoch: number, count: number): number[] {
  const indices = Array.from({ length: count }, (_, i) => i);
  return new Random(`${seed}/${stage}/epoch ${epoch}`).shuffle(indices);
}

/** Seeds the engine's default generator (dropout) for one step. */
export function seedEngine(seed: number, stage: string, step: number): void {
  manualSeed(new Random(`${seed}/${stage}/engine ${step}`).int(0, 0x7fffffff));
}

/** Which units step `step` (from 0) takes: passes over the data one after the other, the last batch of a pass kept whole. */
export function batchOf(
  seed: number,
  stage: string,
  step: number,
  batchSize: number,
  count: number,
): number[] {
  const first = step * batchSize;
  const result: number[] = [];
  let epoch = -1;
  let order: number[] = [];
  for (let i = first; i < first + batchSize; i++) {
    const wanted = Math.floor(i / count);
    if (wanted !== epoch) {
      epoch = wanted;
      order = epochOrder(seed, stage, epoch, count);
    }
    result.push(order[i % count] as number);
  }
  return result;
}
