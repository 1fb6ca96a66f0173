// Prompt encoder of SAM-Med3D: clicks become tokens, a mask becomes a map added to the embedding of the volume. There are no
// boxes: the released network has embeddings for background and foreground points alone.
// Two quirks of the reference are part of the trained weights and kept. A place is [sin, cos, sin] of its angles, a third of
// the channels each. And the grid's places enter with the first two axes swapped, while clicks enter in the order of the axes.
// Shapes: N prompts (masks asked for), P points, C channels, G grid side, S side of the volume in voxels.

import { cat, type Generator, nn, randn, stack, type Tensor, zeros } from '@maskrank/torch';
import { gridSide, type Sam3dConfig } from './config.ts';
import { LayerNorm3d } from './layers.ts';

/** Prompts of N masks; every field has the same N. */
export type VolumePrompts = {
  readonly points?: {
    /** [N, P, 3] float: voxel along the volume's first, second and third axis. */
    readonly coords: Tensor;
    /** [N, P] int64: 1 foreground, 0 background, -1 no point (padding). */
    readonly labels: Tensor;
  };
  /** [N, 1, 4 G, 4 G, 4 G] float: logits of the mask so far; zeros before the first. */
  readonly masks?: Tensor;
};

/** Gaussian random Fourier features of places (Tancik 2020) in three axes. */
class PositionEmbeddingRandom3d extends nn.Module {
  readonly positional_encoding_gaussian_matrix: nn.Buffer; // [3, C / 3]

  constructor(features: number) {
    super();
    this.positional_encoding_gaussian_matrix = new nn.Buffer(zeros([3, features]));
  }
  override resetParameters(generator: Generator): void {
    const drawn = randn(this.positional_encoding_gaussian_matrix.shape, { generator });
    this.positional_encoding_gaussian_matrix.copy_(drawn);
    drawn.dispose();
  }
  /** Places in 0..1 [..., 3] -> [..., C] */
  forward(places: Tensor): Tensor {
    const rows = this.positional_encoding_gaussian_matrix.unbind(0); // 3 of [C / 3]
    const parts = places.mul(2).sub(1).unsqueeze(-1).unbind(-2); // 3 of [..., 1]
    // Not a matrix product: autocast would round angles of many turns to 8 bits.
    const angles = parts
      .map((part, i) => part.mul(rows[i] as Tensor))
      .reduce((sum, x) => sum.add(x))
      .mul(2 * Math.PI);
    const sine = angles.sin();
    return cat([sine, angles.cos(), sine], -1);
  }
}

export class VolumePromptEncoder extends nn.Module {
  readonly pe_layer: PositionEmbeddingRandom3d;
  /** Background, foreground. */
  readonly point_embeddings: readonly nn.Embedding[];
  readonly not_a_point_embed: nn.Embedding;
  readonly mask_downscaling: nn.Sequential;
  readonly no_mask_embed: nn.Embedding;
  readonly #config: Sam3dConfig;

  constructor(config: Sam3dConfig) {
    super();
    const { embedDim, maskInChannels } = config;
    this.#config = config;
    this.pe_layer = new PositionEmbeddingRandom3d(embedDim / 3);
    this.point_embeddings = Array.from({ length: 2 }, () => new nn.Embedding(1, embedDim));
    this.not_a_point_embed = new nn.Embedding(1, embedDim);
    this.mask_downscaling = new nn.Sequential(
      new nn.Conv3d(1, maskInChannels / 4, 2, { stride: 2 }),
      new LayerNorm3d(maskInChannels / 4),
      new nn.GELU(),
      new nn.Conv3d(maskInChannels / 4, maskInChannels, 2, { stride: 2 }),
      new LayerNorm3d(maskInChannels),
      new nn.GELU(),
      new nn.Conv3d(maskInChannels, embedDim, 1),
    );
    this.no_mask_embed = new nn.Embedding(1, embedDim);
  }

  /** Tokens [N, P + 1, C] (no points: [N, 0, C]) and the dense map [N, C, G, G, G]. */
  forward({ points, masks }: VolumePrompts): { sparse: Tensor; dense: Tensor } {
    const n = (points?.coords ?? masks)?.size(0) ?? 1;
    const { weight } = this.no_mask_embed;
    const c = weight.size(1);
    const sparse =
      points === undefined
        ? zeros([n, 0, c], { dtype: weight.dtype, device: weight.device })
        : // The reference appends one padding point.
          cat(
            [this.#points(points.coords, points.labels), this.not_a_point_embed.weight.expand([n, 1, c])],
            1,
          );
    const side = gridSide(this.#config);
    const dense =
      masks === undefined
        ? weight.view([1, c, 1, 1, 1]).expand([n, c, side, side, side])
        : this.mask_downscaling.forward(masks);
    return { sparse, dense };
  }

  /** Encoding of the grid's places, [1, C, G, G, G]. */
  densePositions(): Tensor {
    const side = gridSide(this.#config);
    const { dtype, device } = this.no_mask_embed.weight;
    const axis = zeros([side], { dtype, device }).add(1).cumsum(0).sub(0.5).div(side); // [G]: centres in 0..1
    const size = [side, side, side];
    const along = (dim: number) => {
      const shape = [1, 1, 1];
      shape[dim] = side;
      return axis.view(shape).expand(size);
    };
    // The swap of the first two axes is the reference's.
    return this.pe_layer
      .forward(stack([along(1), along(0), along(2)], -1))
      .permute([3, 0, 1, 2])
      .unsqueeze(0);
  }

  /** A coordinate means the voxel's corner; its centre is meant. [N, P, C] */
  #points(coords: Tensor, labels: Tensor): Tensor {
    const [background, foreground] = this.point_embeddings as [nn.Embedding, nn.Embedding];
    const kinds = cat([this.not_a_point_embed.weight, background.weight, foreground.weight]); // [3, C]
    const placed = labels.ne(-1).to(coords.dtype).unsqueeze(-1); // [N, P, 1]
    return this.pe_layer
      .forward(coords.add(0.5).div(this.#config.volumeSize))
      .mul(placed)
      .add(nn.F.embedding(kinds, labels.add(1)));
  }
}
