// Gradient modes, gradients of functions, and autocast. Modes end with the function they wrap, also by exception.

import { DTYPES, type Dtype } from './dtype.ts';
import { refusePromise } from './handle.ts';
import { native } from './native.ts';
import { Tensor } from './tensor.ts';

function withGradMode<T>(who: string, enabled: boolean, body: () => T): T {
  const before = native().gradMode(enabled);
  try {
    const result = body();
    refusePromise(who, result);
    return result;
  } finally {
    native().gradMode(before);
  }
}

/** Runs `body` without recording for gradients. Synchronous. */
export function noGrad<T>(body: () => T): T {
  return withGradMode('noGrad', false, body);
}

/** Runs `body` with recording, inside a `noGrad`. Synchronous. */
export function enableGrad<T>(body: () => T): T {
  return withGradMode('enableGrad', true, body);
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
  return native()
    .grad(handles(outputs), handles(inputs), handles(gradients), retainGraph, createGraph, allowUnused)
    .map((handle) => (handle === null ? null : new Tensor(handle)));
}

export type AutocastOptions = {
  readonly device: 'cpu' | 'cuda';
  /** The reduced precision: float16 on CUDA, bfloat16 on the CPU unless told. */
  readonly dtype?: Dtype;
  /** `false` switches a surrounding autocast off. */
  readonly enabled?: boolean;
};

/** Runs `body` with operators choosing reduced precision where it is safe. Regions nest. Gradients belong outside. Synchronous. */
export function autocast<T>(options: AutocastOptions, body: () => T): T {
  const { device, dtype = device === 'cuda' ? 'float16' : 'bfloat16', enabled = true } = options;
  const [wasEnabled, dtypeBefore] = native().autocastEnter(device, enabled, DTYPES[dtype].code);
  try {
    const result = body();
    refusePromise('autocast', result);
    return result;
  } finally {
    native().autocastExit(device, wasEnabled, dtypeBefore);
  }
}
