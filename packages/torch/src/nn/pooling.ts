// Pooling and resizing layers; none has parameters. Shapes: N batch, C channels, D H W positions.

import type { Tensor } from '../tensor.ts';
import * as F from './functional.ts';
import { Layer } from './module.ts';

type Sizes = number | readonly number[];

abstract class Pool<Options> extends Layer {
  protected readonly kernel: Sizes;
  protected readonly options: Options;

  constructor(kernel: Sizes, options: Options = {} as Options) {
    super();
    this.kernel = kernel;
    this.options = options;
  }
}
/** x [N, C, H, W] */
export class MaxPool2d extends Pool<F.PoolOptions> {
  override forward(x: Tensor): Tensor {
    return F.maxPool(2, x, this.kernel, this.options);
  }
}
/** x [N, C, D, H, W] */
export class MaxPool3d extends Pool<F.PoolOptions> {
  override forward(x: Tensor): Tensor {
    return F.maxPool(3, x, this.kernel, this.options);
  }
}
/** x [N, C, H, W] */
export class AvgPool2d extends Pool<F.AvgPoolOptions> {
  override forward(x: Tensor): Tensor {
    return F.avgPool(2, x, this.kernel, this.options);
  }
}
/** x [N, C, D, H, W] */
export class AvgPool3d extends Pool<F.AvgPoolOptions> {
  override forward(x: Tensor): Tensor {
    return F.avgPool(3, x, this.kernel, this.options);
  }
}

abstract class AdaptiveAvgPool extends Layer {
  readonly #size: Sizes;
  constructor(size: Sizes) {
    super();
    this.#size = size;
  }
  protected abstract readonly rank: F.SpatialRank;
  override forward(x: Tensor): Tensor {
    return F.adaptiveAvgPool(this.rank, x, F.spread(this.#size, this.rank));
  }
}
/** x [N, C, H, W] -> [N, C, size, size] */
export class AdaptiveAvgPool2d extends AdaptiveAvgPool {
  protected override readonly rank = 2;
}
/** x [N, C, D, H, W] -> [N, C, size, size, size] */
export class AdaptiveAvgPool3d extends AdaptiveAvgPool {
  protected override readonly rank = 3;
}

export type UpsampleOptions = {
  /** How many times larger each spatial dimension becomes. */
  readonly scale: number;
  readonly mode: F.InterpolationMode;
  readonly alignCorners?: boolean;
};

/** x [N, C, ...] -> its spatial dimensions times `scale`. */
export class Upsample extends Layer {
  readonly #options: UpsampleOptions;
  constructor(options: UpsampleOptions) {
    super();
    this.#options = options;
  }
  override forward(x: Tensor): Tensor {
    const { scale, ...options } = this.#options;
    return F.interpolate(
      x,
      x.shape.slice(2).map((size) => Math.floor(size * scale)),
      options,
    );
  }
}
