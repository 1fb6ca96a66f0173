// Blocks of nnU-Net's networks, for two and three dimensions: convolution, instance normalisation, leaky rectifier, alone and in
// a row, and the residual block. Names are those of dynamic-network-architectures, so that nnU-Net's checkpoints load.
// Shapes: B images, C channels, S... spatial sizes.

import { nn, type Tensor } from '@maskrank/torch';
import type { Dimension, Sizes } from './config.ts';

const { F } = nn;

/** The layers of each dimension. */
export const LAYERS = {
  2: { Conv: nn.Conv2d, ConvTranspose: nn.ConvTranspose2d, Norm: nn.InstanceNorm2d, AvgPool: nn.AvgPool2d },
  3: { Conv: nn.Conv3d, ConvTranspose: nn.ConvTranspose3d, Norm: nn.InstanceNorm3d, AvgPool: nn.AvgPool3d },
} as const;

export const isOne = (sizes: Sizes): boolean => sizes.every((size) => size === 1);
export const ofOnes = (dimension: Dimension): Sizes => new Array<number>(dimension).fill(1);

export type ConvBlockOptions = {
  readonly dimension: Dimension;
  readonly from: number;
  readonly to: number;
  readonly kernel: Sizes;
  /** Of the first convolution; default 1. */
  readonly stride?: Sizes;
};

/** Convolution that keeps the size (but for its stride), instance normalisation, and a leaky rectifier unless `linear`. */
export class ConvNormAct extends nn.Layer {
  readonly conv: nn.Layer;
  readonly norm: nn.Layer;
  readonly #linear: boolean;

  constructor(
    { dimension, from, to, kernel, stride = ofOnes(dimension) }: ConvBlockOptions,
    { linear = false, bias = true }: { readonly linear?: boolean; readonly bias?: boolean } = {},
  ) {
    super();
    const { Conv, Norm } = LAYERS[dimension];
    const padding = kernel.map((size) => (size - 1) / 2);
    this.conv = new Conv(from, to, kernel, { stride, padding, bias });
    this.norm = new Norm(to, { affine: true });
    this.#linear = linear;
  }

  override forward(x: Tensor): Tensor {
    const normed = this.norm.forward(this.conv.forward(x)); // [B, to, S / stride...]
    return this.#linear ? normed : F.leakyRelu(normed);
  }
}

/** `count` of them, the first with the change of channels and the stride. */
export class ConvBlocks extends nn.Layer {
  readonly convs: readonly ConvNormAct[];

  constructor(count: number, options: ConvBlockOptions) {
    super();
    const { stride: _, ...further } = { ...options, from: options.to };
    this.convs = Array.from({ length: count }, (__, i) => new ConvNormAct(i === 0 ? options : further));
  }

  override forward(x: Tensor): Tensor {
    return this.convs.reduce((y, conv) => conv.forward(y), x);
  }
}

/**
 * Two convolutions, the second without rectifier, added to the input and rectified. Where the block has a stride the input is
 * averaged down, where channels change it goes through a convolution of 1 (ResNet-D, He et al. 2019).
 */
export class ResidualBlock extends nn.Layer {
  readonly conv1: ConvNormAct;
  readonly conv2: ConvNormAct;
  readonly skip: nn.Sequential;

  constructor(options: ConvBlockOptions) {
    super();
    const { dimension, from, to, kernel, stride = ofOnes(dimension) } = options;
    const kernelOne = ofOnes(dimension);
    this.conv1 = new ConvNormAct(options);
    this.conv2 = new ConvNormAct({ dimension, from: to, to, kernel }, { linear: true });
    const shrink = isOne(stride) ? [] : [new LAYERS[dimension].AvgPool(stride)];
    const match =
      from === to
        ? []
        : [new ConvNormAct({ dimension, from, to, kernel: kernelOne }, { linear: true, bias: false })];
    this.skip = new nn.Sequential(...shrink, ...match);
  }

  override forward(x: Tensor): Tensor {
    const changed = this.conv2.forward(this.conv1.forward(x));
    return F.leakyRelu(changed.add(this.skip.forward(x)));
  }
}

/** `count` residual blocks, the first with the change of channels and the stride. */
export class ResidualBlocks extends nn.Layer {
  readonly blocks: readonly ResidualBlock[];

  constructor(count: number, options: ConvBlockOptions) {
    super();
    const { stride: _, ...further } = { ...options, from: options.to };
    this.blocks = Array.from({ length: count }, (__, i) => new ResidualBlock(i === 0 ? options : further));
  }

  override forward(x: Tensor): Tensor {
    return this.blocks.reduce((y, block) => block.forward(y), x);
  }
}
