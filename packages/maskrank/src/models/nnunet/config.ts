// Shape of nnU-Net's networks (Isensee et al. 2021, and 2024 for the residual encoder), as a plan gives it.

/** Spatial dimensions: 2 for [B, C, H, W], 3 for [B, C, D, H, W]. */
export type Dimension = 2 | 3;

/** One number a spatial dimension, in the order of the tensor's. */
export type Sizes = readonly number[];

export type NnunetConfig = {
  readonly dimension: Dimension;
  readonly inChannels: number;
  /** Logits a position: classes and background, or regions. */
  readonly outChannels: number;
  /** Channels of each stage, the highest resolution first; as long as the three lists below. */
  readonly features: readonly number[];
  readonly kernelSizes: readonly Sizes[];
  /** Of each stage's first convolution; the first stage's is 1. */
  readonly strides: readonly Sizes[];
  /** Convolutions a stage of the plain encoder; residual blocks, of two convolutions each, of the other one. */
  readonly blocksEncoder: readonly number[];
  /** Convolutions a stage on the way up, the lowest resolution first: one stage fewer. */
  readonly blocksDecoder: readonly number[];
  /** A residual encoder (with a convolution before its stages) in place of plain convolutions. */
  readonly residual: boolean;
};
