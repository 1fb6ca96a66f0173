// Image encoder of SAM and SAM-Med2D: a vision transformer (Dosovitskiy 2021; Li 2022, ViTDet) over patches, with attention in
// windows except in a few global blocks, optional adapters, and a convolutional neck.
// Shapes: B images, H W token grid, C channels of a token, E channels of the embedding.

import { type Generator, nn, type Tensor, zeros } from '@maskrank/torch';
import { Adapter } from './adapter.ts';
import { Attention, type Windowing } from './attention.ts';
import { gridSize, type ImageEncoderConfig, type SamConfig } from './config.ts';
import { packHighRes } from './high-res.ts';
import { MlpBlock, VitLinear } from './layers.ts';
import { createStem, type Stem } from './stem.ts';

const { init } = nn;
const EPS = 1e-6;

/** How the blocks run; no part of it changes what is saved. */
export type EncoderMode = {
  /** `padded` computes windows as the reference does, for comparison; the numbers are the same. */
  windowing: Windowing;
  /** Factor on the adapters' output; 0 is the network without them. */
  adapterScale: number;
};

export class Block extends nn.Module {
  readonly norm1: nn.LayerNorm;
  readonly attn: Attention;
  readonly norm2: nn.LayerNorm;
  readonly mlp: MlpBlock;
  readonly Adapter: Adapter | null;
  /** Side of the attention windows; null in a global block. */
  readonly windowSide: number | null;

  constructor(config: ImageEncoderConfig, windowSide: number | null, grid: number) {
    super();
    const { dim, heads, qkvBias, relativePositions, mlpRatio, loraRank } = config;
    this.windowSide = windowSide;
    this.norm1 = new nn.LayerNorm(dim, { eps: EPS });
    const relativeSide = relativePositions ? (windowSide ?? grid) : null;
    this.attn = new Attention(dim, { heads, qkvBias, relativeSide, loraRank });
    this.norm2 = new nn.LayerNorm(dim, { eps: EPS });
    this.mlp = new MlpBlock(dim, Math.floor(dim * mlpRatio), 'gelu', VitLinear);
    this.Adapter = config.adapters ? new Adapter(dim) : null;
  }

  /** x [B, H, W, C] -> [B, H, W, C] */
  forward(x: Tensor, { windowing, adapterScale }: EncoderMode): Tensor {
    const attended = x.add(this.attn.forward(this.norm1.forward(x), this.windowSide, windowing));
    const normal = this.norm2.forward(attended);
    const out = this.mlp.forward(normal, attended);
    if (this.Adapter === null || adapterScale === 0) return out;
    return out.add(this.Adapter.forward(normal), adapterScale);
  }
}

export class ImageEncoder extends nn.Layer {
  readonly patch_embed: Stem;
  readonly pos_embed: nn.Parameter | null; // [1, H, W, C]
  readonly blocks: readonly Block[];
  readonly neck: nn.Sequential;
  readonly mode: EncoderMode = { windowing: 'exact', adapterScale: 1 };
  readonly #highRes: boolean;

  constructor(
    config: Pick<SamConfig, 'imageSize' | 'patchSize' | 'inChannels' | 'embedDim' | 'encoder' | 'highRes'>,
  ) {
    super();
    this.#highRes = config.highRes;
    const { embedDim, encoder } = config;
    const grid = gridSize(config);
    this.patch_embed = createStem(config);
    this.pos_embed = encoder.absolutePositions ? new nn.Parameter(zeros([1, grid, grid, encoder.dim])) : null;
    this.blocks = Array.from({ length: encoder.depth }, (_, i) => {
      const windowSide = encoder.globalBlocks.includes(i) ? null : encoder.windowSize;
      return new Block(encoder, windowSide, grid);
    });
    this.neck = new nn.Sequential(
      new nn.Conv2d(encoder.dim, embedDim, 1, { bias: false }),
      new nn.LayerNorm2d(embedDim),
      new nn.Conv2d(embedDim, embedDim, 3, { padding: 1, bias: false }),
      new nn.LayerNorm2d(embedDim),
    );
  }

  override resetParameters(generator: Generator): void {
    if (this.pos_embed !== null) init.truncatedNormal_(this.pos_embed, 0.02, generator);
  }

  /** Normalised images [B, 3, S, S] -> embeddings [B, E, H, W], with high-resolution features packed behind them if it has any. */
  override forward(images: Tensor): Tensor {
    const { tokens, fine } = this.patch_embed.levels(images);
    const embedding = this.neck.forward(this.#transform(tokens).permute([0, 3, 1, 2]));
    return this.#highRes && fine !== null ? packHighRes(embedding, fine) : embedding;
  }

  /** The tokens after the last block, [B, H, W, C]; `visit` sees each stage's output. */
  tokens(images: Tensor, visit: (stage: 'patch_embed' | number, tokens: Tensor) => void = () => {}): Tensor {
    const patches = this.patch_embed.forward(images); // [B, H, W, C]
    visit('patch_embed', patches);
    return this.#transform(patches, visit);
  }

  #transform(patches: Tensor, visit: (stage: number, tokens: Tensor) => void = () => {}): Tensor {
    const start = this.pos_embed === null ? patches : patches.add(this.pos_embed);
    return this.blocks.reduce((x, block, i) => {
      const y = block.forward(x, this.mode);
      visit(i, y);
      return y;
    }, start);
  }
}
