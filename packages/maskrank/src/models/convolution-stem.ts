// From pixels to tokens by 3x3 convolutions that halve the image until a token is left (Xiao 2021, "Early convolutions help
// transformers see better"): what lets small transformers learn from few images. Module, shapes of its state, and the numbers
// read back from such shapes stand here together, for every network that has one.
// Shapes: B images, H W token grid, p side of a token in px, C channels of a token.

import { nn, type Tensor } from '@maskrank/torch';
import type { CheckpointShapes } from './checkpoint-shapes.ts';
import { conv, type Entry, norm } from './state-entries.ts';

export type ConvolutionStemOptions = {
  /** Side of a token, px; a power of two, at least 8. */
  readonly patchSize: number;
  readonly inChannels: number;
  /** Channels of a token; they double with every halving up to this. */
  readonly dim: number;
  /** Convolutions at each of the last three sizes, the first of them with stride 2. */
  readonly stemDepth: number;
};

/** Sizes at which the stem may have more than one convolution: a quarter and half of a token's side, and the token. */
const DEEP_SIZES = 3;

/** Channels in and out of every convolution, by size. */
function channelsBySize({ patchSize, inChannels, dim, stemDepth }: ConvolutionStemOptions) {
  const count = Math.log2(patchSize);
  return Array.from({ length: count }, (_, i) => {
    const to = dim / 2 ** (count - 1 - i);
    const from = i === 0 ? inChannels : to / 2;
    const depth = i < count - DEEP_SIZES ? 1 : stemDepth;
    return Array.from({ length: depth }, (__, k) => ({
      from: k === 0 ? from : to,
      to,
      stride: k === 0 ? 2 : 1,
    }));
  });
}

/**
 * log2(p) convolutions of stride 2, channels doubling up to C, the last three followed by further ones of stride 1; each
 * normalised, GELU after it.
 */
export class ConvolutionStem extends nn.Sequential {
  /** Index of the last layer of each size. */
  readonly #ends: readonly number[];

  constructor(options: ConvolutionStemOptions) {
    const sizes = channelsBySize(options);
    super(
      ...sizes
        .flat()
        .flatMap(({ from, to, stride }) => [
          new nn.Conv2d(from, to, 3, { stride, padding: 1, bias: false }),
          new nn.LayerNorm2d(to),
          new nn.GELU(),
        ]),
    );
    this.#ends = sizes.map((_, i) => 3 * sizes.slice(0, i + 1).flat().length - 1);
  }

  /** The last three maps of x [B, 3, p H, p W]: [B, C / 4, 4 H, 4 W], [B, C / 2, 2 H, 2 W], [B, C, H, W]. */
  maps(x: Tensor): { readonly quarter: Tensor; readonly half: Tensor; readonly last: Tensor } {
    const maps: Tensor[] = [];
    this.layers.reduce((y, layer, i) => {
      const z = layer.forward(y);
      if (this.#ends.includes(i)) maps.push(z);
      return z;
    }, x);
    const [quarter, half, last] = maps.slice(-3) as [Tensor, Tensor, Tensor];
    return { quarter, half, last };
  }

  /** x [B, 3, p H, p W] -> [B, H, W, C] */
  override forward(x: Tensor): Tensor {
    return super.forward(x).permute([0, 2, 3, 1]);
  }
}

/** Names and shapes of the stem's state. */
export const convolutionStemEntries = (options: ConvolutionStemOptions): Entry[] =>
  channelsBySize(options)
    .flat()
    .flatMap(({ from, to }, i) => [...conv(`${3 * i}`, from, to, 3), ...norm(`${3 * i + 1}`, to)]);

/** Whether there is such a stem under this name, in tensors of a file. */
export const hasConvolutionStem = (shapes: CheckpointShapes, prefix: string): boolean =>
  shapes.has(`${prefix}.0.weight`);

/** The numbers of the stem under this name. */
export function inferConvolutionStem(
  shapes: CheckpointShapes,
  prefix: string,
): { patchSize: number; stemDepth: number } {
  const kernels = [...shapes].filter(
    ([key, { shape }]) => key.startsWith(`${prefix}.`) && shape.length === 4,
  );
  // Those that halve the map change its channels.
  const keeping = kernels.filter(([, { shape }]) => shape[0] === shape[1]).length;
  return { patchSize: 2 ** (kernels.length - keeping), stemDepth: 1 + keeping / DEEP_SIZES };
}
