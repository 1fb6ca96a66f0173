// From pixels to tokens: `PatchEmbed` is the released models' linear map of patches, the other stem is of convolutions
// (../convolution-stem.ts), whose finer maps may join the decoder.
// Shapes: B images, H W token grid, p side of a token in px, C channels of a token.

import { nn, type Tensor } from '@maskrank/torch';
import { ConvolutionStem } from '../convolution-stem.ts';
import type { SamConfig } from './config.ts';
import type { HighRes } from './high-res.ts';
import { rows } from './layers.ts';

/** A stem: images [B, 3, p H, p W] to tokens [B, H, W, C], and the finer maps that it meets on the way, if any. */
export type Stem = nn.Layer & {
  readonly levels: (x: Tensor) => { readonly tokens: Tensor; readonly fine: HighRes | null };
};

/** Non-overlapping patches to tokens: a convolution whose stride is its kernel, done as a product of matrices. */
class PatchEmbed extends nn.Layer implements Stem {
  readonly proj: nn.Conv2d;
  readonly #patch: number;

  constructor({ patchSize, inChannels, encoder }: StemOptions) {
    super();
    this.#patch = patchSize;
    this.proj = new nn.Conv2d(inChannels, encoder.dim, patchSize, { stride: patchSize });
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

class Convolutions extends ConvolutionStem implements Stem {
  constructor({ patchSize, inChannels, encoder: { dim, stemDepth } }: StemOptions) {
    super({ patchSize, inChannels, dim, stemDepth });
  }
  levels(x: Tensor): ReturnType<Stem['levels']> {
    const { quarter, half, last } = this.maps(x);
    return { tokens: last.permute([0, 2, 3, 1]), fine: { half, quarter } };
  }
}

type StemOptions = Pick<SamConfig, 'patchSize' | 'inChannels' | 'encoder'>;

const STEMS = { patch: PatchEmbed, convolutions: Convolutions } as const;

/** The stem of a configuration. */
export const createStem = (config: StemOptions): Stem => new STEMS[config.encoder.stem](config);
