// The transformer that OpenAI's CLIP uses for images and for texts: pre-norm blocks, QuickGELU, packed projections, and the
// vision tower made of it. Parameter names are the released state dicts'.
// Shapes: B batch, N tokens, D channels of a token, E features.

import { cat, type Generator, nn, type Tensor, tidy, zeros } from '@maskrank/torch';
import { type ClipVitConfig, visionGrid } from './config.ts';
import {
  classToken,
  type MultiHeadOptions,
  multiHead,
  NormalLinear,
  type PooledBlock,
  packedProjections,
  type Queries,
  type Tap,
} from './layers.ts';
import { patchTokens } from './timm-vit.ts';
import { VisionTower } from './vision-tower.ts';

const { init } = nn;

/** CLIP's initial deviations (Radford 2021, released code): smaller on what adds to the residual stream. */
function deviations(dim: number, depth: number) {
  const added = dim ** -0.5 * (2 * depth) ** -0.5;
  return { attention: dim ** -0.5, added, hidden: (2 * dim) ** -0.5 };
}
type Deviations = ReturnType<typeof deviations>;

type AttentionOptions = Pick<MultiHeadOptions, 'bias' | 'look'> & { readonly queries?: Queries };

class Attention extends nn.Module {
  readonly in_proj_weight: nn.Parameter; // [3 D, D]
  readonly in_proj_bias: nn.Parameter; // [3 D]
  readonly out_proj: NormalLinear;
  readonly #heads: number;
  readonly #deviation: number;

  constructor(dim: number, heads: number, { attention, added }: Deviations) {
    super();
    this.#heads = heads;
    this.#deviation = attention;
    this.in_proj_weight = new nn.Parameter(zeros([3 * dim, dim]));
    this.in_proj_bias = new nn.Parameter(zeros([3 * dim]));
    this.out_proj = new NormalLinear(dim, dim, { deviation: added });
  }
  override resetParameters(generator: Generator): void {
    init.normal_(this.in_proj_weight, 0, this.#deviation, generator);
    init.constant_(this.in_proj_bias, 0);
  }
  /** residual [B, N or 1, D] + the attention of x [B, N, D] */
  forward(residual: Tensor, x: Tensor, { bias = null, look, queries = 'all' }: AttentionOptions): Tensor {
    const [q, k, v] = packedProjections(x, this.in_proj_weight, this.in_proj_bias, queries);
    return this.out_proj.forward(multiHead(q, k, v, { heads: this.#heads, bias, look }), { residual });
  }
}

class Mlp extends nn.Module {
  readonly c_fc: NormalLinear;
  readonly c_proj: NormalLinear;

  constructor(dim: number, { hidden, added }: Deviations) {
    super();
    this.c_fc = new NormalLinear(dim, 4 * dim, { deviation: hidden });
    this.c_proj = new NormalLinear(4 * dim, dim, { deviation: added });
  }
  /** residual + MLP(x), [B, N, D] all */
  forward(residual: Tensor, x: Tensor): Tensor {
    return this.c_proj.forward(this.c_fc.forward(x, { activation: 'quickGelu' }), { residual });
  }
}

class ResidualBlock extends nn.Module implements PooledBlock {
  readonly attn: Attention;
  readonly ln_1: nn.LayerNorm;
  readonly mlp: Mlp;
  readonly ln_2: nn.LayerNorm;

  constructor(dim: number, heads: number, start: Deviations) {
    super();
    this.attn = new Attention(dim, heads, start);
    this.ln_1 = new nn.LayerNorm(dim);
    this.mlp = new Mlp(dim, start);
    this.ln_2 = new nn.LayerNorm(dim);
  }
  /** `bias` [N, N] or null is added to every head's logits. */
  forward(x: Tensor, i: number, tap: Tap, bias: Tensor | null = null): Tensor {
    const { value = (_, y) => y, attention } = tap;
    const look = attention && ((weights: Tensor) => attention(i, weights));
    const normal = value(`blocks.${i}.norm1`, this.ln_1.forward(x));
    const attended = this.attn.forward(x, normal, { bias, look });
    const hidden = value(`blocks.${i}.norm2`, this.ln_2.forward(attended));
    return value(`blocks.${i}`, this.mlp.forward(attended, hidden));
  }
  first(x: Tensor): Tensor {
    const attended = this.attn.forward(x.slice(1, 0, 1), this.ln_1.forward(x), { queries: 'first' });
    return this.mlp.forward(attended, this.ln_2.forward(attended));
  }
}

export class Transformer extends nn.Module {
  readonly resblocks: readonly ResidualBlock[];

  constructor(dim: number, depth: number, heads: number) {
    super();
    const start = deviations(dim, depth);
    this.resblocks = Array.from({ length: depth }, () => new ResidualBlock(dim, heads, start));
  }
  /** x [B, N, D] -> [B, N, D]; `bias` [N, N] is added to every head's logits. */
  forward(x: Tensor, bias: Tensor): Tensor {
    return this.resblocks.reduce((y, block, i) => tidy(() => block.forward(y, i, {}, bias)), x);
  }
}

/** Vision transformer of OpenAI's CLIP. */
export class ClipVit extends VisionTower {
  readonly class_embedding: nn.Parameter; // [D]
  readonly positional_embedding: nn.Parameter; // [N, D]
  readonly proj: nn.Parameter; // [D, E]
  readonly conv1: nn.Conv2d;
  readonly ln_pre: nn.LayerNorm;
  readonly transformer: Transformer;
  readonly ln_post: nn.LayerNorm;

  constructor(config: ClipVitConfig, embedDim: number) {
    super();
    const { dim, depth, heads, patchSize } = config;
    this.class_embedding = new nn.Parameter(zeros([dim]));
    this.positional_embedding = new nn.Parameter(zeros([1 + visionGrid(config) ** 2, dim]));
    this.proj = new nn.Parameter(zeros([dim, embedDim]));
    this.conv1 = new nn.Conv2d(3, dim, patchSize, { stride: patchSize, bias: false });
    this.ln_pre = new nn.LayerNorm(dim);
    this.transformer = new Transformer(dim, depth, heads);
    this.ln_post = new nn.LayerNorm(dim);
  }
  override resetParameters(generator: Generator): void {
    const deviation = this.proj.size(0) ** -0.5;
    for (const table of [this.class_embedding, this.positional_embedding, this.proj]) {
      init.normal_(table, 0, deviation, generator);
    }
  }
  override forward(images: Tensor, tap?: Tap): Tensor {
    const patches = patchTokens(images, this.conv1.weight, null); // [B, N - 1, D]
    const first = this.class_embedding.expand([patches.size(0), 1, patches.size(2)]);
    const tokens = cat([first, patches], 1).add(this.positional_embedding);
    const pooled = classToken(this.transformer.resblocks, this.ln_pre.forward(tokens), tap);
    return this.ln_post.forward(pooled).matmul(this.proj);
  }
}
