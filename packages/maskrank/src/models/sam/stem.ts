// From pixels to tokens. `PatchEmbed` is the released models' linear map of patches; `ConvolutionStem` halves the image with
// 3x3 convolutions until a token is left (Xiao 2021, "Early convolutions help transformers see better").
// Shapes: B images, H W token grid, p side of a token in px, C channels of a token.

import { nn, type Tensor } from '@maskrank/torch';
import type { SamConfig } from './config.ts';
import { rows } from './layers.ts';

/** Non-overlapping patches to tokens: a convolution whose stride is its kernel, done as a product of matrices. */
class PatchEmbed extends nn.Layer {
  readonly proj: nn.Conv2d;
  readonly #patch: number;

  constructor(patch: number, inChannels: number, dim: number) {
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
}

/** log2(p) convolutions of stride 2, channels doubling up to C; each normalised, GELU after it. */
class ConvolutionStem extends nn.Sequential {
  constructor(patch: number, inChannels: number, dim: number) {
    const count = Math.log2(patch);
    const widths = [inChannels, ...Array.from({ length: count }, (_, i) => dim / 2 ** (count - 1 - i))];
    super(
      ...widths
        .slice(1)
        .flatMap((width, i) => [
          new nn.Conv2d(widths[i] as number, width, 3, { stride: 2, padding: 1, bias: false }),
          new nn.LayerNorm2d(width),
          new nn.GELU(),
        ]),
    );
  }
  /** x [B, 3, p H, p W] -> [B, H, W, C] */
  override forward(x: Tensor): Tensor {
    return super.forward(x).permute([0, 2, 3, 1]);
  }
}

const STEMS = { patch: PatchEmbed, convolutions: ConvolutionStem } as const;

/** The stem of a configuration. */
export function createStem({
  patchSize,
  inChannels,
  encoder,
}: Pick<SamConfig, 'patchSize' | 'inChannels' | 'encoder'>): nn.Layer {
  return new STEMS[encoder.stem](patchSize, inChannels, encoder.dim);
}
