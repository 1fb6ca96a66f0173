// Gradient modes, gradients of functions, and autocast. Modes end with the function they wrap, also by exception.

import { engineCall } from './dispatch.ts';
import { DTYPES, type Dtype } from './dtype.ts';
import { native } from './native.ts';
import { Tensor } from './tensor.ts';

function withGradMode<T>(enabled: boolean, body: () => T): T {
  const before = native().gradMode(enabled);
  try {
    return body();
  } finally {
    native().gradMode(before);
  }
}

/** Runs `body` without recording for gradients. Synchronous. */
export function noGrad<T>(body: () => T): T {
  return withGradMode(false, body);
}

/** Runs `body` with recording, inside a `noGrad`. Synchronous. */
export function enableGrad<T>(body: () => T): T {
  return withGradMode(true, body);
}

export type GradOptions = {
  /** d(loss)/d(output) for outputs that are not scalars. */
  readonly gradients?: readonly (Tensor | null)[];
  readonly retainGraph?: boolean;
  /** Makes the gradients differentiable themselves. */
  readonly createGraph?: boolean;
  /** Allows inputs that the outputs do not depend on: their gradient is null. */
  readonly allowUnused?: boolean;
};

/** Gradients of the sum of `outputs` with respect to `inputs`; touches no tensor's `grad`. */
export function grad(
  outputs: readonly Tensor[],
  inputs: readonly Tensor[],
  options: GradOptions = {},
): (Tensor | null)[] {
  const {
    gradients = outputs.map(() => null),
    createGraph = false,
    retainGraph = createGraph,
    allowUnused = false,
  } = options;
  const handles = (list: readonly (Tensor | null)[]) => list.map((t) => t?.handle ?? null);
  return engineCall('grad', () =>
    native().grad(
      handles(outputs),
      handles(inputs),
      handles(gradients),
      retainGraph,
      createGraph,
      allowUnused,
    ),
  ).map((handle) => (handle === null ? null : new Tensor(handle)));
}

/** Runs `body` with operators choosing reduced precision where it is safe. Gradients belong outside. Synchronous. */
export function autocast<T>(
  options: { device: 'cpu' | 'cuda'; dtype?: Dtype; enabled?: boolean },
  body: () => T,
): T {
  const { device, dtype = device === 'cuda' ? 'float16' : 'bfloat16', enabled = true } = options;
  const code = DTYPES[dtype].code;
  const before = native().autocast(device, enabled, code);
  try {
    return body();
  } finally {
    native().autocast(device, before, code);
  }
}
