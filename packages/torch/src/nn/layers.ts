// Linear layers, convolutions and embeddings, with PyTorch's parameter names, shapes and default initialisation.
// Not here: normalisation (norms.ts), attention (attention.ts), pooling and resizing (pooling.ts).

import { zeros } from '../factories.ts';
import type { Generator } from '../random.ts';
import type { Tensor } from '../tensor.ts';
import * as F from './functional.ts';
import { fanIn, kaimingUniform_, normal_, uniform_ } from './init.ts';
import { Layer, Parameter } from './module.ts';

/** PyTorch's default for Linear and convolutions: kaiming uniform with a = sqrt(5), bias within 1 / sqrt(fan in). */
function defaultReset(weight: Parameter, bias: Parameter | null, generator: Generator): void {
  kaimingUniform_(weight, { a: Math.sqrt(5), generator });
  if (bias !== null) {
    const bound = 1 / Math.sqrt(fanIn(weight));
    uniform_(bias, -bound, bound, generator);
  }
}

/** x [..., in] -> [..., out]. */
export class Linear extends Layer {
  readonly weight: Parameter; // [out, in]
  readonly bias: Parameter | null;

  constructor(inFeatures: number, outFeatures: number, options: { readonly bias?: boolean } = {}) {
    super();
    this.weight = new Parameter(zeros([outFeatures, inFeatures]));
    this.bias = options.bias === false ? null : new Parameter(zeros([outFeatures]));
  }
  override resetParameters(generator: Generator): void {
    defaultReset(this.weight, this.bias, generator);
  }
  override forward(x: Tensor): Tensor {
    return F.linear(x, this.weight, this.bias);
  }
}

type Sizes = number | readonly number[];
const { spread } = F;

export type ConvLayerOptions = F.ConvOptions & { readonly bias?: boolean };

abstract class Convolution extends Layer {
  readonly weight: Parameter;
  readonly bias: Parameter | null;

  constructor(weightShape: readonly number[], outChannels: number, bias: boolean) {
    super();
    this.weight = new Parameter(zeros(weightShape));
    this.bias = bias ? new Parameter(zeros([outChannels])) : null;
  }
  override resetParameters(generator: Generator): void {
    defaultReset(this.weight, this.bias, generator);
  }
}

/** x [N, in, H, W] -> [N, out, H', W']. */
export class Conv2d extends Convolution {
  readonly #options: F.ConvOptions;

  constructor(inChannels: number, outChannels: number, kernel: Sizes, options: ConvLayerOptions = {}) {
    super(
      [outChannels, inChannels / (options.groups ?? 1), ...spread(kernel, 2)],
      outChannels,
      options.bias ?? true,
    );
    this.#options = options;
  }
  override forward(x: Tensor): Tensor {
    return F.conv2d(x, this.weight, this.bias, this.#options);
  }
}

/** x [N, in, D, H, W] -> [N, out, D', H', W']. */
export class Conv3d extends Convolution {
  readonly #options: F.ConvOptions;

  constructor(inChannels: number, outChannels: number, kernel: Sizes, options: ConvLayerOptions = {}) {
    super(
      [outChannels, inChannels / (options.groups ?? 1), ...spread(kernel, 3)],
      outChannels,
      options.bias ?? true,
    );
    this.#options = options;
  }
  override forward(x: Tensor): Tensor {
    return F.conv3d(x, this.weight, this.bias, this.#options);
  }
}

export type ConvTransposeLayerOptions = F.ConvTransposeOptions & { readonly bias?: boolean };

/** x [N, in, H, W] -> [N, out, H', W']; weight [in, out / groups, kh, kw]. */
export class ConvTranspose2d extends Convolution {
  readonly #options: F.ConvTransposeOptions;

  constructor(
    inChannels: number,
    outChannels: number,
    kernel: Sizes,
    options: ConvTransposeLayerOptions = {},
  ) {
    super(
      [inChannels, outChannels / (options.groups ?? 1), ...spread(kernel, 2)],
      outChannels,
      options.bias ?? true,
    );
    this.#options = options;
  }
  override forward(x: Tensor): Tensor {
    return F.convTranspose2d(x, this.weight, this.bias, this.#options);
  }
}

/** x [N, in, D, H, W] -> [N, out, D', H', W']; weight [in, out / groups, kd, kh, kw]. */
export class ConvTranspose3d extends Convolution {
  readonly #options: F.ConvTransposeOptions;

  constructor(
    inChannels: number,
    outChannels: number,
    kernel: Sizes,
    options: ConvTransposeLayerOptions = {},
  ) {
    super(
      [inChannels, outChannels / (options.groups ?? 1), ...spread(kernel, 3)],
      outChannels,
      options.bias ?? true,
    );
    this.#options = options;
  }
  override forward(x: Tensor): Tensor {
    return F.convTranspose3d(x, this.weight, this.bias, this.#options);
  }
}

/** Whole numbers of any shape -> [..., dim]. */
export class Embedding extends Layer {
  readonly weight: Parameter; // [count, dim]

  constructor(count: number, dim: number) {
    super();
    this.weight = new Parameter(zeros([count, dim]));
  }
  override resetParameters(generator: Generator): void {
    normal_(this.weight, 0, 1, generator);
  }
  override forward(indices: Tensor): Tensor {
    return F.embedding(this.weight, indices);
  }
}
