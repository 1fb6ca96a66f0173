// Normalisation layers, with PyTorch's parameter and buffer names, defaults and statistics.
// Shapes: N batch, C channels, L tokens, D H W positions.

import { noGrad } from '../autograd.ts';
import { EngineError } from '../errors.ts';
import { ones, zeros } from '../factories.ts';
import type { Tensor } from '../tensor.ts';
import * as F from './functional.ts';
import { Buffer, Layer, Parameter } from './module.ts';

/** What a layer takes: numbers of dimensions, and their names for a message. */
type Layout = { readonly dimensions: readonly number[]; readonly names: string };
const ROWS: Layout = { dimensions: [2, 3], names: '[N, C] or [N, C, L]' };
const IMAGES: Layout = { dimensions: [4], names: '[N, C, H, W]' };
const VOLUMES: Layout = { dimensions: [5], names: '[N, C, D, H, W]' };

function checkLayout(layer: object, x: Tensor, { dimensions, names }: Layout): void {
  if (dimensions.includes(x.ndim)) return;
  throw new EngineError(
    `${layer.constructor.name}: the input has shape [${x.shape}], allowed: ${dimensions.join(' or ')} dimensions, ${names}`,
  );
}

/** Normalises the last dimensions (`shape`, or one of size `shape`). */
export class LayerNorm extends Layer {
  readonly weight: Parameter;
  readonly bias: Parameter;
  readonly #shape: readonly number[];
  readonly #eps: number;

  constructor(shape: number | readonly number[], options: { readonly eps?: number } = {}) {
    super();
    this.#shape = typeof shape === 'number' ? [shape] : shape;
    this.#eps = options.eps ?? 1e-5;
    this.weight = new Parameter(ones(this.#shape));
    this.bias = new Parameter(zeros(this.#shape));
  }
  override forward(x: Tensor): Tensor {
    return F.layerNorm(x, this.#shape, this.weight, this.bias, this.#eps);
  }
}

/** LayerNorm over the channels of x [N, C, H, W], at each position. */
export class LayerNorm2d extends Layer {
  readonly weight: Parameter;
  readonly bias: Parameter;
  readonly #eps: number;

  constructor(channels: number, options: { readonly eps?: number } = {}) {
    super();
    this.#eps = options.eps ?? 1e-6;
    this.weight = new Parameter(ones([channels]));
    this.bias = new Parameter(zeros([channels]));
  }
  override forward(x: Tensor): Tensor {
    const last = x.permute([0, 2, 3, 1]); // [N, H, W, C]
    return F.layerNorm(last, [last.size(-1)], this.weight, this.bias, this.#eps).permute([0, 3, 1, 2]);
  }
}

/** x / rms(x) * weight over the last dimension (Zhang & Sennrich 2019); computed in float32 at least. */
export class RMSNorm extends Layer {
  readonly weight: Parameter; // [dim]
  readonly #eps: number;

  constructor(dim: number, options: { readonly eps?: number } = {}) {
    super();
    this.#eps = options.eps ?? 1e-6;
    this.weight = new Parameter(ones([dim]));
  }
  override forward(x: Tensor): Tensor {
    const wide = x.dtype === 'float64' ? x : x.to('float32');
    const scale = wide.mul(wide).mean(-1, true).add(this.#eps).rsqrt(); // [..., 1]
    return this.weight.mul(wide.mul(scale).to(x.dtype));
  }
}

/** Weight and bias of one number a channel, or none. */
abstract class ChannelNorm extends Layer {
  readonly weight: Parameter | null; // [C]
  readonly bias: Parameter | null;
  protected readonly eps: number;

  constructor(channels: number, affine: boolean, eps: number) {
    super();
    this.weight = affine ? new Parameter(ones([channels])) : null;
    this.bias = affine ? new Parameter(zeros([channels])) : null;
    this.eps = eps;
  }
}

export type BatchNormOptions = {
  readonly eps?: number;
  /** Share of the newest batch in the running statistics. */
  readonly momentum?: number;
  /** Whether there are weight and bias. */
  readonly affine?: boolean;
  /** Without them, every batch is normalised by its own statistics, in evaluation too. */
  readonly runningStatistics?: boolean;
};

/**
 * Normalises every channel over batch and positions: by the batch's own mean and variance while training (and moves the
 * running ones), by the running ones otherwise (Ioffe & Szegedy 2015).
 */
abstract class BatchNorm extends ChannelNorm {
  readonly running_mean: Buffer | null; // [C]
  readonly running_var: Buffer | null; // [C], of n - 1
  readonly num_batches_tracked: Buffer | null; // []
  readonly #momentum: number;

  constructor(channels: number, options: BatchNormOptions = {}) {
    const { eps = 1e-5, momentum = 0.1, affine = true, runningStatistics = true } = options;
    super(channels, affine, eps);
    this.#momentum = momentum;
    this.running_mean = runningStatistics ? new Buffer(zeros([channels])) : null;
    this.running_var = runningStatistics ? new Buffer(ones([channels])) : null;
    this.num_batches_tracked = runningStatistics ? new Buffer(zeros([], { dtype: 'int64' })) : null;
  }

  protected abstract readonly layout: Layout;
  override forward(x: Tensor): Tensor {
    checkLayout(this, x, this.layout);
    const { running_mean, running_var, num_batches_tracked } = this;
    if (this.training && num_batches_tracked !== null) noGrad(() => num_batches_tracked.add_(1));
    const useBatch = this.training || running_mean === null;
    return F.batchNorm(
      x,
      this.weight,
      this.bias,
      running_mean,
      running_var,
      useBatch,
      this.#momentum,
      this.eps,
    );
  }
}
/** x [N, C] or [N, C, L]. */
export class BatchNorm1d extends BatchNorm {
  protected override readonly layout = ROWS;
}
/** x [N, C, H, W]. */
export class BatchNorm2d extends BatchNorm {
  protected override readonly layout = IMAGES;
}
/** x [N, C, D, H, W]. */
export class BatchNorm3d extends BatchNorm {
  protected override readonly layout = VOLUMES;
}

export type InstanceNormOptions = {
  readonly eps?: number;
  /** Whether there are weight and bias; false unless given, as in PyTorch. */
  readonly affine?: boolean;
};

/** Normalises every channel of every image over its positions (Ulyanov et al. 2016). Holds no running statistics. */
abstract class InstanceNorm extends ChannelNorm {
  constructor(channels: number, options: InstanceNormOptions = {}) {
    super(channels, options.affine ?? false, options.eps ?? 1e-5);
  }
  protected abstract readonly layout: Layout;
  override forward(x: Tensor): Tensor {
    checkLayout(this, x, this.layout);
    return F.instanceNorm(x, this.weight, this.bias, this.eps);
  }
}
/** x [N, C, H, W]. */
export class InstanceNorm2d extends InstanceNorm {
  protected override readonly layout = IMAGES;
}
/** x [N, C, D, H, W]. */
export class InstanceNorm3d extends InstanceNorm {
  protected override readonly layout = VOLUMES;
}

/** Normalises groups of channels of every image together (Wu & He 2018). x [N, C, ...]. */
export class GroupNorm extends ChannelNorm {
  readonly #groups: number;

  constructor(
    groups: number,
    channels: number,
    options: { readonly eps?: number; readonly affine?: boolean } = {},
  ) {
    super(channels, options.affine ?? true, options.eps ?? 1e-5);
    this.#groups = groups;
  }
  override forward(x: Tensor): Tensor {
    return F.groupNorm(x, this.#groups, this.weight, this.bias, this.eps);
  }
}
