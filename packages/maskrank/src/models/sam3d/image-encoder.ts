// Image encoder of SAM-Med3D: SAM's vision transformer over cubic patches of a volume, with a convolutional neck.
// Shapes: B volumes, S side of the volume, D H W token grid, C channels of a token, E channels of the embedding.

import { type Generator, nn, type Tensor, zeros } from '@maskrank/torch';
import { MlpBlock, VitLinear } from '../sam/layers.ts';
import { VolumeAttention } from './attention.ts';
import { gridSide, type Sam3dConfig, type VolumeEncoderConfig } from './config.ts';
import { LayerNorm3d, NORM_EPS } from './layers.ts';

class PatchEmbed3d extends nn.Layer {
  readonly proj: nn.Conv3d;

  constructor(inChannels: number, dim: number, side: number) {
    super();
    this.proj = new nn.Conv3d(inChannels, dim, side, { stride: side });
  }
  /** [B, channels, S, S, S] -> [B, D, H, W, C] */
  override forward(x: Tensor): Tensor {
    return this.proj.forward(x).permute([0, 2, 3, 4, 1]);
  }
}

class VolumeBlock extends nn.Module {
  readonly norm1: nn.LayerNorm;
  readonly attn: VolumeAttention;
  readonly norm2: nn.LayerNorm;
  readonly mlp: MlpBlock;
  readonly #windowSide: number | null;

  constructor(config: VolumeEncoderConfig, windowSide: number | null, grid: number) {
    super();
    const { dim, heads, qkvBias, relativePositions, mlpRatio } = config;
    this.#windowSide = windowSide;
    this.norm1 = new nn.LayerNorm(dim, { eps: NORM_EPS });
    const relativeSide = relativePositions ? (windowSide ?? grid) : null;
    this.attn = new VolumeAttention(dim, { heads, qkvBias, relativeSide });
    this.norm2 = new nn.LayerNorm(dim, { eps: NORM_EPS });
    this.mlp = new MlpBlock(dim, Math.floor(dim * mlpRatio), 'gelu', VitLinear);
  }

  /** x [B, D, H, W, C] -> [B, D, H, W, C] */
  forward(x: Tensor): Tensor {
    const attended = x.add(this.attn.forward(this.norm1.forward(x), this.#windowSide));
    return this.mlp.forward(this.norm2.forward(attended), attended);
  }
}

export class VolumeEncoder extends nn.Layer {
  readonly patch_embed: PatchEmbed3d;
  readonly pos_embed: nn.Parameter | null; // [1, D, H, W, C]
  readonly blocks: readonly VolumeBlock[];
  readonly neck: nn.Sequential;

  constructor(config: Sam3dConfig) {
    super();
    const { embedDim, encoder } = config;
    const grid = gridSide(config);
    this.patch_embed = new PatchEmbed3d(config.inChannels, encoder.dim, config.patchSize);
    this.pos_embed = encoder.absolutePositions
      ? new nn.Parameter(zeros([1, grid, grid, grid, encoder.dim]))
      : null;
    this.blocks = Array.from({ length: encoder.depth }, (_, i) => {
      const windowSide = encoder.globalBlocks.includes(i) ? null : encoder.windowSize;
      return new VolumeBlock(encoder, windowSide, grid);
    });
    this.neck = new nn.Sequential(
      new nn.Conv3d(encoder.dim, embedDim, 1, { bias: false }),
      new LayerNorm3d(embedDim),
      new nn.Conv3d(embedDim, embedDim, 3, { padding: 1, bias: false }),
      new LayerNorm3d(embedDim),
    );
  }

  override resetParameters(generator: Generator): void {
    if (this.pos_embed !== null) nn.init.truncatedNormal_(this.pos_embed, 0.02, generator);
  }

  /** Normalised volumes [B, channels, S, S, S] -> embeddings [B, E, D, H, W]. */
  override forward(volumes: Tensor): Tensor {
    const patches = this.patch_embed.forward(volumes);
    const start = this.pos_embed === null ? patches : patches.add(this.pos_embed);
    const tokens = this.blocks.reduce((x, block) => block.forward(x), start);
    return this.neck.forward(tokens.permute([0, 4, 1, 2, 3]));
  }
}
