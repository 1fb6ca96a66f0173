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

export type ConvTransposeLayerOptions = F.ConvTransposeOptions & { readonly bias?: boolean };

/** `channels`: the first two dimensions of the weight; the kernel's follow. */
abstract class Convolution<Options extends ConvLayerOptions> extends Layer {
  readonly weight: Parameter;
  readonly bias: Parameter | null;
  protected readonly rank: F.SpatialRank;
  protected readonly options: Options;

  constructor(
    rank: F.SpatialRank,
    channels: readonly [number, number],
    outChannels: number,
    kernel: Sizes,
    options: Options,
  ) {
    super();
    this.rank = rank;
    this.options = options;
    this.weight = new Parameter(zeros([...channels, ...spread(kernel, rank)]));
    this.bias = options.bias === false ? null : new Parameter(zeros([outChannels]));
  }
  override resetParameters(generator: Generator): void {
    defaultReset(this.weight, this.bias, generator);
  }
}

type Arguments<Options> = [inChannels: number, outChannels: number, kernel: Sizes, options?: Options];

const CONVS = { 2: F.conv2d, 3: F.conv3d } as const;
abstract class Conv extends Convolution<ConvLayerOptions> {
  constructor(rank: F.SpatialRank, ...[from, to, kernel, options = {}]: Arguments<ConvLayerOptions>) {
    super(rank, [to, from / (options.groups ?? 1)], to, kernel, options);
  }
  override forward(x: Tensor): Tensor {
    return CONVS[this.rank](x, this.weight, this.bias, this.options);
  }
}
/** x [N, in, H, W] -> [N, out, H', W']. */
export class Conv2d extends Conv {
  constructor(...args: Arguments<ConvLayerOptions>) {
    super(2, ...args);
  }
}
/** x [N, in, D, H, W] -> [N, out, D', H', W']. */
export class Conv3d extends Conv {
  constructor(...args: Arguments<ConvLayerOptions>) {
    super(3, ...args);
  }
}

const TRANSPOSED_CONVS = { 2: F.convTranspose2d, 3: F.convTranspose3d } as const;
abstract class ConvTranspose extends Convolution<ConvTransposeLayerOptions> {
  constructor(
    rank: F.SpatialRank,
    ...[from, to, kernel, options = {}]: Arguments<ConvTransposeLayerOptions>
  ) {
    super(rank, [from, to / (options.groups ?? 1)], to, kernel, options);
  }
  override forward(x: Tensor): Tensor {
    return TRANSPOSED_CONVS[this.rank](x, this.weight, this.bias, this.options);
  }
}
/** x [N, in, H, W] -> [N, out, H', W']; weight [in, out / groups, kh, kw]. */
export class ConvTranspose2d extends ConvTranspose {
  constructor(...args: Arguments<ConvTransposeLayerOptions>) {
    super(2, ...args);
  }
}
/** x [N, in, D, H, W] -> [N, out, D', H', W']; weight [in, out / groups, kd, kh, kw]. */
export class ConvTranspose3d extends ConvTranspose {
  constructor(...args: Arguments<ConvTransposeLayerOptions>) {
    super(3, ...args);
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
