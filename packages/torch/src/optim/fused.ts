// The engine's fused update kernels: one pass over parameters, gradients and state. They exist for some kinds of device
// and versions only (CUDA from 1.13, the CPU from 2.4); where they do not, `fusedFor` is null and the rules use foreach.ts.

import { hasKernel } from '../dispatch.ts';
import { full } from '../factories.ts';
import { op, type Tensor } from '../tensor.ts';
import type { UpdateBatch } from './optimizer.ts';

const NAMES = {
  adam: 'aten::_fused_adam_',
  adamw: 'aten::_fused_adamw_',
  sgd: 'aten::_fused_sgd_',
} as const;
type Rule = keyof typeof NAMES;

const OPS = {
  adam: op<void>(NAMES.adam),
  adamw: op<void>(NAMES.adamw),
  sgd: op<void>(NAMES.sgd),
} as const;

const known = new Map<string, boolean>();

/** Whether the kernel is there for a batch's device and element type. */
export function hasFused(rule: Rule, { parameters }: UpdateBatch): boolean {
  const [first] = parameters;
  if (first === undefined || !first.dtype.includes('float')) return false;
  const device = first.device.startsWith('cuda') ? 'cuda' : 'cpu';
  const key = `${rule} ${device}`;
  let has = known.get(key);
  if (has === undefined) {
    has = hasKernel(NAMES[rule], device);
    known.set(key, has);
  }
  return has;
}

export type FusedAdam = {
  readonly learningRate: number;
  readonly betas: readonly [number, number];
  readonly eps: number;
  readonly weightDecay: number;
  readonly amsgrad: boolean;
};

export function adam_(rule: 'adam' | 'adamw', batch: UpdateBatch, s: FusedAdam): void {
  const { parameters, gradients } = batch;
  const { device } = parameters[0] as Tensor;
  const step = full([], batch.step, { dtype: 'float32', device });
  OPS[rule](
    parameters,
    gradients,
    batch.state('exp_avg'),
    batch.state('exp_avg_sq'),
    s.amsgrad ? batch.state('max_exp_avg_sq') : [],
    parameters.map(() => step),
    s.learningRate,
    ...s.betas,
    s.weightDecay,
    s.eps,
    s.amsgrad,
    false,
  );
}

export type FusedSgd = {
  readonly learningRate: number;
  readonly momentum: number;
  readonly nesterov: boolean;
  readonly weightDecay: number;
};

export function sgd_(batch: UpdateBatch, s: FusedSgd): void {
  const velocity = s.momentum === 0 ? [] : batch.state('momentum_buffer');
  // Not `is_first_step`: the velocity starts at zero, which gives the same.
  OPS.sgd(
    batch.parameters,
    batch.gradients,
    velocity,
    s.weightDecay,
    s.momentum,
    s.learningRate,
    0,
    s.nesterov,
    false,
    false,
  );
}
