// Gradient clipping by the norm of all gradients together, as torch.nn.utils.clip_grad_norm_.

import { noGrad } from '../autograd.ts';
import { stack } from '../factories.ts';
import { tidy } from '../handle.ts';
import type { Tensor } from '../tensor.ts';
import * as foreach from './foreach.ts';

/**
 * Scales the gradients so that their joint Euclidean norm is at most `maxNorm`; returns the norm before.
 * The result is NaN or infinite when a gradient is: callers decide whether to skip the step.
 */
export function clipGradNorm(parameters: Iterable<Tensor>, maxNorm: number): number {
  return noGrad(() =>
    tidy(() => {
      const gradients = [...parameters].map((p) => p.grad).filter((g) => g !== null);
      if (gradients.length === 0) return 0;
      const total = stack(foreach.norms(gradients)).norm().item();
      const factor = maxNorm / (total + 1e-6);
      if (factor < 1) foreach.scale_(gradients, factor);
      return total;
    }),
  );
}
