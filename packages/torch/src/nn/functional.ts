// Operators with layer-sized argument lists, as functions. Shapes: N batch, C channels, H W D positions, L tokens.

import type { OpArgument } from '../dispatch.ts';
import { EngineError } from '../errors.ts';
import { op, type Tensor } from '../tensor.ts';

const linearOp = op('aten::linear');
const layerNormOp = op('aten::layer_norm');
const groupNormOp = op('aten::group_norm');
const batchNormOp = op('aten::batch_norm');
const instanceNormOp = op('aten::instance_norm');
const embeddingOp = op('aten::embedding');
const maxPoolOps = { 2: op('aten::max_pool2d'), 3: op('aten::max_pool3d') } as const;
const avgPoolOps = { 2: op('aten::avg_pool2d'), 3: op('aten::avg_pool3d') } as const;
const adaptiveAvgPoolOps = {
  2: op('aten::adaptive_avg_pool2d'),
  3: op('aten::adaptive_avg_pool3d'),
} as const;
const bilinearOp = op('aten::upsample_bilinear2d.vec');
const bicubicOp = op('aten::upsample_bicubic2d.vec');
const nearestOps: Readonly<Record<number, (...args: OpArgument[]) => Tensor>> = {
  3: op('aten::upsample_nearest1d.vec'),
  4: op('aten::upsample_nearest2d.vec'),
  5: op('aten::upsample_nearest3d.vec'),
};
const trilinearOp = op('aten::upsample_trilinear3d.vec');
const linear1dOp = op('aten::upsample_linear1d.vec');
const padOp = op('aten::constant_pad_nd');
const dropoutOp = op('aten::dropout');
const featureDropoutOp = op('aten::feature_dropout');
const leakyReluOp = op('aten::leaky_relu');
const crossEntropyOp = op('aten::cross_entropy_loss');
const bceWithLogitsOp = op('aten::binary_cross_entropy_with_logits');

/** x [..., in] -> [..., out]; weight [out, in]. */
export function linear(x: Tensor, weight: Tensor, bias: Tensor | null = null): Tensor {
  return linearOp(x, weight, bias);
}

/** Spatial dimensions: 2 for x [N, C, H, W], 3 for x [N, C, D, H, W]. */
export type SpatialRank = 2 | 3;

export type ConvOptions = {
  readonly stride?: number | readonly number[];
  readonly padding?: number | readonly number[];
  readonly dilation?: number | readonly number[];
  readonly groups?: number;
};
export type ConvTransposeOptions = ConvOptions & { readonly outputPadding?: number | readonly number[] };

const each = (value: number | readonly number[] | undefined, fallback: number): readonly number[] =>
  typeof value === 'object' ? value : [value ?? fallback];

/** One number a dimension: the number repeated, or the list as it is. */
export const spread = (value: number | readonly number[], count: number): readonly number[] =>
  typeof value === 'number' ? new Array<number>(count).fill(value) : value;

type Convolution<Options> = (x: Tensor, weight: Tensor, bias?: Tensor | null, options?: Options) => Tensor;

const convolution =
  (run: (...args: OpArgument[]) => Tensor): Convolution<ConvOptions> =>
  (x, weight, bias = null, o = {}) =>
    run(x, weight, bias, each(o.stride, 1), each(o.padding, 0), each(o.dilation, 1), o.groups ?? 1);

const transposedConvolution =
  (run: (...args: OpArgument[]) => Tensor): Convolution<ConvTransposeOptions> =>
  (x, weight, bias = null, o = {}) =>
    run(
      x,
      weight,
      bias,
      each(o.stride, 1),
      each(o.padding, 0),
      each(o.outputPadding, 0),
      o.groups ?? 1,
      each(o.dilation, 1),
    );

/** x [N, C, H, W]; weight [out, C / groups, kh, kw]. */
export const conv2d = convolution(op('aten::conv2d'));
/** x [N, C, D, H, W]; weight [out, C / groups, kd, kh, kw]. */
export const conv3d = convolution(op('aten::conv3d'));
/** x [N, C, H, W]; weight [C, out / groups, kh, kw]. */
export const convTranspose2d = transposedConvolution(op('aten::conv_transpose2d.input'));
/** x [N, C, D, H, W]; weight [C, out / groups, kd, kh, kw]. */
export const convTranspose3d = transposedConvolution(op('aten::conv_transpose3d.input'));

/** Over the last `shape.length` dimensions. */
export function layerNorm(
  x: Tensor,
  shape: readonly number[],
  weight: Tensor | null,
  bias: Tensor | null,
  eps: number,
): Tensor {
  return layerNormOp(x, shape, weight, bias, eps);
}
export function groupNorm(
  x: Tensor,
  groups: number,
  weight: Tensor | null,
  bias: Tensor | null,
  eps: number,
): Tensor {
  return groupNormOp(x, groups, weight, bias, eps);
}
/** With `useBatch` the batch's statistics are used and the running ones updated in place by `momentum`. */
export function batchNorm(
  x: Tensor,
  weight: Tensor | null,
  bias: Tensor | null,
  runningMean: Tensor | null,
  runningVar: Tensor | null,
  useBatch: boolean,
  momentum: number,
  eps: number,
): Tensor {
  return batchNormOp(x, weight, bias, runningMean, runningVar, useBatch, momentum, eps, false);
}
export function instanceNorm(x: Tensor, weight: Tensor | null, bias: Tensor | null, eps: number): Tensor {
  return instanceNormOp(x, weight, bias, null, null, true, 0, eps, false);
}

/** Rows of weight [count, dim] picked by whole numbers of any shape. */
export function embedding(weight: Tensor, indices: Tensor): Tensor {
  return embeddingOp(weight, indices);
}

export type PoolRank = SpatialRank;
export type PoolOptions = {
  /** The kernel's size unless given. */
  readonly stride?: number | readonly number[];
  readonly padding?: number | readonly number[];
  /** Keeps a last window that hangs over the edge. */
  readonly ceilMode?: boolean;
};
export type AvgPoolOptions = PoolOptions & {
  /** Whether padding counts in the mean; true unless given. */
  readonly countIncludePad?: boolean;
};

export function maxPool(
  rank: PoolRank,
  x: Tensor,
  kernel: number | readonly number[],
  o: PoolOptions & { readonly dilation?: number | readonly number[] } = {},
): Tensor {
  const size = each(kernel, 1);
  return maxPoolOps[rank](
    x,
    size,
    o.stride === undefined ? size : each(o.stride, 1),
    each(o.padding, 0),
    each(o.dilation, 1),
    o.ceilMode ?? false,
  );
}
export function avgPool(
  rank: PoolRank,
  x: Tensor,
  kernel: number | readonly number[],
  o: AvgPoolOptions = {},
): Tensor {
  const size = each(kernel, 1);
  return avgPoolOps[rank](
    x,
    size,
    o.stride === undefined ? size : each(o.stride, 1),
    each(o.padding, 0),
    o.ceilMode ?? false,
    o.countIncludePad ?? true,
  );
}
/** Means over parts of the image such that `size` positions are left. */
export function adaptiveAvgPool(rank: PoolRank, x: Tensor, size: readonly number[]): Tensor {
  return adaptiveAvgPoolOps[rank](x, size);
}

export type InterpolationMode = 'nearest' | 'bilinear' | 'bicubic' | 'trilinear' | 'linear';

/** Resizes the trailing dimensions to `size`. `alignCorners` means nothing for `nearest`. */
export function interpolate(
  x: Tensor,
  size: readonly number[],
  options: { readonly mode: InterpolationMode; readonly alignCorners?: boolean },
): Tensor {
  const alignCorners = options.alignCorners ?? false;
  const modes: Readonly<Record<InterpolationMode, () => Tensor>> = {
    nearest: () => nearest(x, size),
    bilinear: () => bilinearOp(x, size, alignCorners, null),
    bicubic: () => bicubicOp(x, size, alignCorners, null),
    trilinear: () => trilinearOp(x, size, alignCorners, null),
    linear: () => linear1dOp(x, size, alignCorners, null),
  };
  return modes[options.mode]();
}

function nearest(x: Tensor, size: readonly number[]): Tensor {
  const resize = nearestOps[x.ndim];
  if (resize === undefined)
    throw new EngineError(`interpolate: nearest takes 3 to 5 dimensions [N, C, ...], found ${x.ndim}`);
  return resize(x, size, null);
}

/** Constant padding; `amounts` from the last dimension backwards: [left, right, top, bottom, ...]. */
export function pad(x: Tensor, amounts: readonly number[], value = 0): Tensor {
  return padOp(x, amounts, value);
}

/** Zeroes elements with probability p and scales the rest by 1 / (1 - p); identity when not training. */
export function dropout(x: Tensor, p: number, training: boolean): Tensor {
  return training && p > 0 ? dropoutOp(x, p, true) : x;
}
/** As dropout, but whole channels of x [N, C, ...] at once. */
export function channelDropout(x: Tensor, p: number, training: boolean): Tensor {
  return training && p > 0 ? featureDropoutOp(x, p, true) : x;
}
export function leakyRelu(x: Tensor, slope = 0.01): Tensor {
  return leakyReluOp(x, slope);
}
/** Mean cross-entropy of logits [N, C, ...] against class ids [N, ...] (int64); `ignoreIndex` is left out. */
export function crossEntropy(
  logits: Tensor,
  target: Tensor,
  options: { readonly ignoreIndex?: number; readonly labelSmoothing?: number } = {},
): Tensor {
  return crossEntropyOp(logits, target, null, 1, options.ignoreIndex ?? -100, options.labelSmoothing ?? 0);
}
/** Mean binary cross-entropy of logits against probabilities of the same shape. */
export function bceWithLogits(logits: Tensor, target: Tensor): Tensor {
  return bceWithLogitsOp(logits, target, null, null, 1);
}
