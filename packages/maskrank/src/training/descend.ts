// One step down a loss, as every training takes it, and what it reports: backward, clipped gradients, update. And the precision that
// a forward pass is taken in. Not here: the loop (loop.ts), the losses.

import { autocast, optim, type Tensor } from '@maskrank/torch';

/** What a training learns with. */
export type Learner = {
  readonly optimizer: optim.AdamW;
  /** By name, all that requires a gradient here. */
  readonly trained: ReadonlyMap<string, Tensor>;
  /** Largest L2 norm of all gradients; 0 is off. */
  readonly gradClip: number;
};

/** The same with any update rule. */
type Descending = Omit<Learner, 'optimizer'> & {
  readonly optimizer: Pick<Learner['optimizer'], 'step' | 'zeroGrad'>;
};

/** Backward and update, by any rule, for a loss whose forward pass began at `start` (performance.now()); milliseconds by part. */
export function descend(
  loss: Tensor,
  { optimizer, trained, gradClip }: Descending,
  start: number,
): { readonly forward: number; readonly backward: number; readonly optimiser: number } {
  const forward = performance.now();
  loss.backward();
  const backward = performance.now();
  if (gradClip > 0) optim.clipGradNorm(trained.values(), gradClip);
  optimizer.step();
  optimizer.zeroGrad();
  return { forward: forward - start, backward: backward - forward, optimiser: performance.now() - backward };
}

/** Parts of a loss as numbers. */
export const lossNumbers = (parts: Readonly<Record<string, Tensor>>): Record<string, number> =>
  Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, part.item()]));

export type Precision = 'float32' | 'bfloat16';

/** Runs a forward pass in the precision asked for. */
export function inPrecision<T>(precision: Precision, device: string, body: () => T): T {
  if (precision === 'float32') return body();
  return autocast({ device: device.startsWith('cuda') ? 'cuda' : 'cpu', dtype: 'bfloat16' }, body);
}
