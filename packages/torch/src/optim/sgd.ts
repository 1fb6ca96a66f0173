// Stochastic gradient descent with momentum, as torch.optim.SGD (Sutskever et al. 2013, with the learning rate outside the
// momentum buffer).

import { UsageError } from '../errors.ts';
import * as foreach from './foreach.ts';
import * as fused from './fused.ts';
import {
  type NamedParameters,
  Optimizer,
  type ParameterGroup,
  type UpdateBatch,
  withDefaults,
} from './optimizer.ts';

export type SgdOptions = {
  learningRate: number;
  /** Share of the last step's direction that is kept. */
  momentum: number;
  /** Look ahead along the momentum; needs momentum. */
  nesterov: boolean;
  /** L2 penalty, added to the gradient. */
  weightDecay: number;
  /** Use the engine's fused kernel where there is one; the numbers agree to rounding. */
  fused: boolean;
};

const DEFAULTS: SgdOptions = {
  learningRate: 1e-2,
  momentum: 0,
  nesterov: false,
  weightDecay: 0,
  fused: true,
};

export class SGD extends Optimizer<SgdOptions> {
  constructor(
    parameters: NamedParameters | readonly ParameterGroup<SgdOptions>[],
    options: Partial<SgdOptions> = {},
  ) {
    const settings = withDefaults(DEFAULTS, options);
    if (settings.nesterov && settings.momentum <= 0)
      throw new UsageError('SGD: nesterov needs a momentum above 0');
    super(parameters, settings);
  }
  protected override update(batch: UpdateBatch, s: SgdOptions): void {
    if (s.fused && fused.hasFused('sgd', batch)) {
      fused.sgd_(batch, s);
      return;
    }
    let direction = batch.gradients;
    if (s.weightDecay !== 0) direction = foreach.add(direction, batch.parameters, s.weightDecay);
    if (s.momentum !== 0) {
      const velocity = batch.state('momentum_buffer');
      foreach.scale_(velocity, s.momentum);
      foreach.add_(velocity, direction);
      direction = s.nesterov ? foreach.add(direction, velocity, s.momentum) : velocity;
    }
    foreach.add_(batch.parameters, direction, -s.learningRate);
  }
}
