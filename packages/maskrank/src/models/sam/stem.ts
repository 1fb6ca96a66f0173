// From pixels to tokens. `PatchEmbed` is the released models' linear map of patches; `ConvolutionStem` halves the image with
// 3x3 convolutions until a token is left (Xiao 2021, "Early convolutions help transformers see better").
// Shapes: B images, H W token grid, p side of a token in px, C channels of a token.

import { nn, type Tensor } from '@maskrank/torch';
import type { SamConfig } from './config.ts';
import type { HighRes } from './high-res.ts';
import { rows } from './layers.ts';

/** A stem: images [B, 3, p H, p W] to tokens [B, H, W, C], and the finer maps that it meets on the way, if any. */
export type Stem = nn.Layer & {
  readonly levels: (x: Tensor) => { readonly tokens: Tensor; readonly fine: HighRes | null };
};

type StemOptions = Pick<SamConfig['encoder'], 'dim' | 'stemDepth'>;

/** Non-overlapping patches to tokens: a convolution whose stride is its kernel, done as a product of matrices. */
class PatchEmbed extends nn.Layer implements Stem {
  readonly proj: nn.Conv2d;
  readonly #patch: number;

  constructor(patch: number, inChannels: number, { dim }: StemOptions) {
    super();
    this.#patch = patch;
    this.proj = new nn.Conv2d(inChannels, dim, patch, { stride: patch });
  }
  /** x [B, 3, p H, p W] -> [B, H, W, C] */
  override forward(x: Tensor): Tensor {
    const p = this.#patch;
    const [b, c, height, width] = x.shape as [number, number, number, number];
    const patches = x
      .reshape([b, c, height / p, p, width / p, p])
      .permute([0, 2, 4, 1, 3, 5]) // [B, H, W, 3, p, p]
      .reshape([b, height / p, width / p, c * p * p]);
    return rows(patches, this.proj.weight.flatten(1), this.proj.bias);
  }
  levels(x: Tensor): ReturnType<Stem['levels']> {
    return { tokens: this.forward(x), fine: null };
  }
}

/** Sizes at which the stem may have more than one convolution: a quarter and half of a token's side, and the token. */
const DEEP_SIZES = 3;

/**
 * log2(p) convolutions of stride 2, channels doubling up to C, the last three followed by further ones of stride 1; each
 * normalised, GELU after it.
 */
class ConvolutionStem extends nn.Sequential implements Stem {
  /** Index of the last layer of each size. */
  readonly #ends: readonly number[];

  constructor(patch: number, inChannels: number, { dim, stemDepth }: StemOptions) {
    const count = Math.log2(patch);
    const widths = [inChannels, ...Array.from({ length: count }, (_, i) => dim / 2 ** (count - 1 - i))];
    const depths = widths.slice(1).map((_, i) => (i < count - DEEP_SIZES ? 1 : stemDepth));
    super(
      ...depths.flatMap((depth, i) =>
        Array.from({ length: depth }, (_, k) => {
          const width = widths[i + 1] as number;
          const options = { stride: k === 0 ? 2 : 1, padding: 1, bias: false };
          return [
            new nn.Conv2d(k === 0 ? (widths[i] as number) : width, width, 3, options),
            new nn.LayerNorm2d(width),
            new nn.GELU(),
          ];
        }).flat(),
      ),
    );
    this.#ends = depths.map((_, i) => 3 * depths.slice(0, i + 1).reduce((a, b) => a + b, 0) - 1);
  }
  /** x [B, 3, p H, p W] -> [B, H, W, C] */
  override forward(x: Tensor): Tensor {
    return this.levels(x).tokens;
  }
  levels(x: Tensor): ReturnType<Stem['levels']> {
    const maps: Tensor[] = [];
    this.layers.reduce((y, layer, i) => {
      const z = layer.forward(y);
      if (this.#ends.includes(i)) maps.push(z);
      return z;
    }, x);
    const [quarter, half, last] = maps.slice(-3) as [Tensor, Tensor, Tensor];
    return { tokens: last.permute([0, 2, 3, 1]), fine: { half, quarter } };
  }
}

const STEMS = { patch: PatchEmbed, convolutions: ConvolutionStem } as const;

/** The stem of a configuration. */
export function createStem({
  patchSize,
  inChannels,
  encoder,
}: Pick<SamConfig, 'patchSize' | 'inChannels' | 'encoder'>): Stem {
  return new STEMS[encoder.stem](patchSize, inChannels, encoder);
}
