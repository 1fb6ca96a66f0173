// Adam (Kingma & Ba 2015), AMSGrad (Reddi et al. 2018) and AdamW (Loshchilov & Hutter 2019), in torch.optim's arithmetic.

import * as foreach from './foreach.ts';
import * as fused from './fused.ts';
import {
  type NamedParameters,
  Optimizer,
  type ParameterGroup,
  type UpdateBatch,
  withDefaults,
} from './optimizer.ts';

export type AdamOptions = {
  /** Step size. */
  learningRate: number;
  /** Decay of the running mean of the gradient and of its square. */
  betas: readonly [number, number];
  /** Added to the root of the mean square. */
  eps: number;
  /** Adam: L2 penalty, added to the gradient. AdamW: decay applied to the weight itself. */
  weightDecay: number;
  /** Divide by the largest mean square so far. */
  amsgrad: boolean;
  /** Use the engine's fused kernel where there is one; the numbers agree to rounding. */
  fused: boolean;
};

const ADAM: AdamOptions = {
  learningRate: 1e-3,
  betas: [0.9, 0.999],
  eps: 1e-8,
  weightDecay: 0,
  amsgrad: false,
  fused: true,
};
const ADAMW: AdamOptions = { ...ADAM, weightDecay: 1e-2 };

/** The update without weight decay. */
function adamUpdate(batch: UpdateBatch, gradients: UpdateBatch['gradients'], s: AdamOptions): void {
  const [beta1, beta2] = s.betas;
  const mean = batch.state('exp_avg');
  const square = batch.state('exp_avg_sq');
  foreach.scale_(mean, beta1);
  foreach.add_(mean, gradients, 1 - beta1);
  foreach.scale_(square, beta2);
  foreach.addcmul_(square, gradients, gradients, 1 - beta2);
  let spread = square;
  if (s.amsgrad) {
    spread = batch.state('max_exp_avg_sq');
    foreach.maximum_(spread, square);
  }
  const denominator = foreach.sqrt(spread);
  foreach.divide_(denominator, Math.sqrt(1 - beta2 ** batch.step));
  foreach.addScalar_(denominator, s.eps);
  foreach.addcdiv_(batch.parameters, mean, denominator, -s.learningRate / (1 - beta1 ** batch.step));
}

export class Adam extends Optimizer<AdamOptions> {
  constructor(
    parameters: NamedParameters | readonly ParameterGroup<AdamOptions>[],
    options: Partial<AdamOptions> = {},
  ) {
    super(parameters, withDefaults(ADAM, options));
  }
  protected override update(batch: UpdateBatch, s: AdamOptions): void {
    if (s.fused && fused.hasFused('adam', batch)) {
      fused.adam_('adam', batch, s);
      return;
    }
    const gradients =
      s.weightDecay === 0 ? batch.gradients : foreach.add(batch.gradients, batch.parameters, s.weightDecay);
    adamUpdate(batch, gradients, s);
  }
}

export class AdamW extends Optimizer<AdamOptions> {
  constructor(
    parameters: NamedParameters | readonly ParameterGroup<AdamOptions>[],
    options: Partial<AdamOptions> = {},
  ) {
    super(parameters, withDefaults(ADAMW, options));
  }
  protected override update(batch: UpdateBatch, s: AdamOptions): void {
    if (s.fused && fused.hasFused('adamw', batch)) {
      fused.adam_('adamw', batch, s);
      return;
    }
    if (s.weightDecay !== 0) foreach.scale_(batch.parameters, 1 - s.learningRate * s.weightDecay);
    adamUpdate(batch, batch.gradients, s);
  }
}
