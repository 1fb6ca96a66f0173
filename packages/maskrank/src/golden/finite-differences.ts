// Gradients without a reference: the derivative along a random direction against a central difference, in double precision.

import { Generator, grad, noGrad, randn, type Tensor, tidy } from '@maskrank/torch';
import { compareElements } from './compare.ts';
import type { CheckResult } from './types.ts';

const STEP = 1e-5;
const TOLERANCE = { absolute: 1e-11, relative: 1e-5 };

/** `loss` is a scalar of the float64 leaves, which come by name and get their values back. */
export function checkDirectionalGradients(
  loss: () => Tensor,
  leaves: readonly (readonly [name: string, leaf: Tensor])[],
): CheckResult[] {
  const generator = Generator.seeded(5);
  const gradients = grad(
    [loss()],
    leaves.map(([, leaf]) => leaf),
  );
  return leaves.map(([name, leaf], i) => {
    const direction = randn(leaf.shape, { generator, dtype: 'float64' });
    const slope = direction
      .mul(gradients[i] as Tensor)
      .sum()
      .item();
    const at = (step: number): number =>
      noGrad(() =>
        tidy(() => {
          leaf.add_(direction, step);
          const value = loss().item();
          leaf.add_(direction, -step);
          return value;
        }),
      );
    const difference = (at(STEP) - at(-STEP)) / (2 * STEP);
    return compareElements(`slope/${name}`, [slope], [difference], TOLERANCE);
  });
}
