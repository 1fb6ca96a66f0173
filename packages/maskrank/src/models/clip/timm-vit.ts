// BiomedCLIP's vision tower as open_clip wraps it: timm's ViT (Dosovitskiy 2021; pre-norm, exact GELU), the class token pooled,
// a projection without bias. Parameter names are open_clip's.
// Shapes: B images, G cells along a side, N = 1 + G G tokens, D channels of a token, E features.

import { cat, type Generator, nn, type Tensor, zeros } from '@maskrank/torch';
import { ConvolutionStem } from '../convolution-stem.ts';
import { rows, VitLinear } from '../sam/layers.ts';
import { type TimmVitConfig, visionGrid } from './config.ts';
import {
  classToken,
  type MultiHeadOptions,
  multiHead,
  type PooledBlock,
  packedProjections,
  type Queries,
  type Tap,
} from './layers.ts';
import { VisionTower } from './vision-tower.ts';

const { init } = nn;
/** timm's; a port of BiomedCLIP to another library uses 1e-12, which moves its features by about 1e-5. */
const EPS = 1e-6;

/** Patches [B, 3, S, S] -> [B, G G, D]: a convolution whose stride is its kernel, done as a product of matrices. */
export function patchTokens(images: Tensor, weight: Tensor, bias: Tensor | null): Tensor {
  const [b, c, height, width] = images.shape as [number, number, number, number];
  const p = weight.size(-1);
  const patches = images
    .reshape([b, c, height / p, p, width / p, p])
    .permute([0, 2, 4, 1, 3, 5]) // [B, G, G, 3, p, p]
    .reshape([b, (height / p) * (width / p), c * p * p]);
  return rows(patches, weight.flatten(1), bias);
}

class Convolutions extends ConvolutionStem {
  constructor({ patchSize, dim, stemDepth }: TimmVitConfig) {
    super({ patchSize, inChannels: 3, dim, stemDepth });
  }
  override forward(images: Tensor): Tensor {
    return super.forward(images).flatten(1, 2);
  }
}

class PatchEmbed extends nn.Layer {
  readonly proj: nn.Conv2d;

  constructor({ patchSize, dim }: TimmVitConfig) {
    super();
    this.proj = new nn.Conv2d(3, dim, patchSize, { stride: patchSize });
  }
  override forward(images: Tensor): Tensor {
    return patchTokens(images, this.proj.weight, this.proj.bias);
  }
}

/** Images [B, 3, S, S] -> tokens [B, G G, D]. */
const STEMS = { patch: PatchEmbed, convolutions: Convolutions } as const;

class Attention extends nn.Module {
  readonly qkv: VitLinear;
  readonly proj: VitLinear;
  readonly #heads: number;

  constructor(dim: number, heads: number) {
    super();
    this.#heads = heads;
    this.qkv = new VitLinear(dim, 3 * dim);
    this.proj = new VitLinear(dim, dim);
  }
  /** residual [B, N or 1, D] + the attention of x [B, N, D] */
  forward(
    residual: Tensor,
    x: Tensor,
    { queries, look }: { readonly queries: Queries; readonly look?: MultiHeadOptions['look'] },
  ): Tensor {
    const [q, k, v] = packedProjections(x, this.qkv.weight, this.qkv.bias, queries);
    return this.proj.forward(multiHead(q, k, v, { heads: this.#heads, look }), { residual });
  }
}

class Mlp extends nn.Module {
  readonly fc1: VitLinear;
  readonly fc2: VitLinear;

  constructor(dim: number, hidden: number) {
    super();
    this.fc1 = new VitLinear(dim, hidden);
    this.fc2 = new VitLinear(hidden, dim);
  }
  /** residual + MLP(x), [B, N, D] all */
  forward(residual: Tensor, x: Tensor): Tensor {
    return this.fc2.forward(this.fc1.forward(x, { activation: 'gelu' }), { residual });
  }
}

class Block extends nn.Module implements PooledBlock {
  readonly norm1: nn.LayerNorm;
  readonly attn: Attention;
  readonly norm2: nn.LayerNorm;
  readonly mlp: Mlp;

  constructor({ dim, heads, mlpRatio }: TimmVitConfig) {
    super();
    this.norm1 = new nn.LayerNorm(dim, { eps: EPS });
    this.attn = new Attention(dim, heads);
    this.norm2 = new nn.LayerNorm(dim, { eps: EPS });
    this.mlp = new Mlp(dim, Math.floor(dim * mlpRatio));
  }
  forward(x: Tensor, i: number, { value = (_, y) => y, attention }: Tap): Tensor {
    const look = attention && ((weights: Tensor) => attention(i, weights));
    const normal = value(`blocks.${i}.norm1`, this.norm1.forward(x));
    const attended = this.attn.forward(x, normal, { queries: 'all', look });
    return value(
      `blocks.${i}`,
      this.mlp.forward(attended, value(`blocks.${i}.norm2`, this.norm2.forward(attended))),
    );
  }
  first(x: Tensor): Tensor {
    const attended = this.attn.forward(x.slice(1, 0, 1), this.norm1.forward(x), { queries: 'first' });
    return this.mlp.forward(attended, this.norm2.forward(attended));
  }
}

class Trunk extends nn.Module {
  readonly cls_token: nn.Parameter; // [1, 1, D]
  readonly pos_embed: nn.Parameter; // [1, N, D]
  readonly patch_embed: nn.Layer;
  readonly blocks: readonly Block[];
  readonly norm: nn.LayerNorm;

  constructor(config: TimmVitConfig) {
    super();
    const { dim, depth, stem } = config;
    this.cls_token = new nn.Parameter(zeros([1, 1, dim]));
    this.pos_embed = new nn.Parameter(zeros([1, 1 + visionGrid(config) ** 2, dim]));
    this.patch_embed = new STEMS[stem](config);
    this.blocks = Array.from({ length: depth }, () => new Block(config));
    this.norm = new nn.LayerNorm(dim, { eps: EPS });
  }
  override resetParameters(generator: Generator): void {
    init.truncatedNormal_(this.pos_embed, 0.02, generator);
    init.normal_(this.cls_token, 0, 1e-6, generator);
  }
  /** The class token after the last norm, [B, D]. */
  forward(images: Tensor, tap?: Tap): Tensor {
    const patches = this.patch_embed.forward(images); // [B, N - 1, D]
    const first = this.cls_token.expand([patches.size(0), 1, patches.size(2)]);
    const start = cat([first, patches], 1).add(this.pos_embed);
    return this.norm.forward(classToken(this.blocks, start, tap));
  }
}

class Head extends nn.Layer {
  readonly proj: nn.Linear;

  constructor(dim: number, embedDim: number) {
    super();
    this.proj = new nn.Linear(dim, embedDim, { bias: false });
  }
  override forward(x: Tensor): Tensor {
    return this.proj.forward(x);
  }
}

export class TimmVit extends VisionTower {
  readonly trunk: Trunk;
  readonly head: Head;

  constructor(config: TimmVitConfig, embedDim: number) {
    super();
    this.trunk = new Trunk(config);
    this.head = new Head(config.dim, embedDim);
  }
  override forward(images: Tensor, tap?: Tap): Tensor {
    return this.head.forward(this.trunk.forward(images, tap));
  }
}
