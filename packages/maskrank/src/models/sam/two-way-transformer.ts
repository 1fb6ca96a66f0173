// Two-way transformer of SAM's mask decoder (Kirillov 2023, fig. 14): tokens and image look at each other.
// Shapes: N prompts, T tokens, L places of the image embedding, C channels, c channels inside cross-attention.

import { nn, type Tensor } from '@maskrank/torch';
import { attend } from './attention.ts';
import type { DecoderConfig } from './config.ts';
import { MlpBlock } from './layers.ts';

/** What the transformer takes of a decoder's numbers. */
export type TwoWayConfig = Pick<DecoderConfig, 'depth' | 'heads' | 'mlpDim'>;

/** Multi-head attention whose inner width may be smaller than its outer one. */
class Attention extends nn.Module {
  readonly q_proj: nn.Linear;
  readonly k_proj: nn.Linear;
  readonly v_proj: nn.Linear;
  readonly out_proj: nn.Linear;
  readonly #heads: number;

  constructor(dim: number, heads: number, inner: number) {
    super();
    this.#heads = heads;
    this.q_proj = new nn.Linear(dim, inner);
    this.k_proj = new nn.Linear(dim, inner);
    this.v_proj = new nn.Linear(dim, inner);
    this.out_proj = new nn.Linear(inner, dim);
  }

  /** q [N, n, C], k and v [N, m, C] -> [N, n, C] */
  forward(q: Tensor, k: Tensor, v: Tensor): Tensor {
    const [batch, n] = q.shape as [number, number];
    const heads = this.#heads;
    const split = (x: Tensor) => {
      const d = x.size(-1) / heads;
      return x
        .view([batch, -1, heads, d])
        .transpose(1, 2)
        .reshape([batch * heads, -1, d]);
    };
    const out = attend(
      split(this.q_proj.forward(q)),
      split(this.k_proj.forward(k)),
      split(this.v_proj.forward(v)),
      null,
    ); // [N heads, n, d]
    return this.out_proj.forward(out.view([batch, heads, n, -1]).transpose(1, 2).reshape([batch, n, -1]));
  }
}

class TwoWayAttentionBlock extends nn.Module {
  readonly self_attn: Attention;
  readonly norm1: nn.LayerNorm;
  readonly cross_attn_token_to_image: Attention;
  readonly norm2: nn.LayerNorm;
  readonly mlp: MlpBlock;
  readonly norm3: nn.LayerNorm;
  readonly norm4: nn.LayerNorm;
  readonly cross_attn_image_to_token: Attention;
  readonly #isFirst: boolean;

  constructor(dim: number, config: TwoWayConfig, isFirst: boolean) {
    super();
    const { heads, mlpDim } = config;
    this.#isFirst = isFirst;
    this.self_attn = new Attention(dim, heads, dim);
    this.norm1 = new nn.LayerNorm(dim);
    this.cross_attn_token_to_image = new Attention(dim, heads, dim / 2);
    this.norm2 = new nn.LayerNorm(dim);
    this.mlp = new MlpBlock(dim, mlpDim, 'relu');
    this.norm3 = new nn.LayerNorm(dim);
    this.norm4 = new nn.LayerNorm(dim);
    this.cross_attn_image_to_token = new Attention(dim, heads, dim / 2);
  }

  forward(tokens: Tensor, image: Tensor, tokenPe: Tensor, imagePe: Tensor): [Tensor, Tensor] {
    const withPe = this.#isFirst ? tokens : tokens.add(tokenPe);
    const self = this.self_attn.forward(withPe, withPe, tokens);
    // The first block replaces the tokens; no residual.
    let t = this.norm1.forward(this.#isFirst ? self : tokens.add(self)); // [N, T, C]
    const placed = image.add(imagePe); // [N, L, C]
    t = this.norm2.forward(t.add(this.cross_attn_token_to_image.forward(t.add(tokenPe), placed, image)));
    t = this.norm3.forward(t.add(this.mlp.forward(t)));
    const seen = this.cross_attn_image_to_token.forward(placed, t.add(tokenPe), t);
    return [t, this.norm4.forward(image.add(seen))];
  }
}

export class TwoWayTransformer extends nn.Module {
  readonly layers: readonly TwoWayAttentionBlock[];
  readonly final_attn_token_to_image: Attention;
  readonly norm_final_attn: nn.LayerNorm;

  constructor(dim: number, config: TwoWayConfig) {
    super();
    this.layers = Array.from(
      { length: config.depth },
      (_, i) => new TwoWayAttentionBlock(dim, config, i === 0),
    );
    this.final_attn_token_to_image = new Attention(dim, config.heads, dim / 2);
    this.norm_final_attn = new nn.LayerNorm(dim);
  }

  /** image [N, L, C], imagePe [1 or N, L, C], tokens [N, T, C] -> the tokens [N, T, C] and the image [N, L, C]. */
  forward(image: Tensor, imagePe: Tensor, tokens: Tensor): { tokens: Tensor; image: Tensor } {
    let [t, i] = [tokens, image];
    for (const layer of this.layers) [t, i] = layer.forward(t, i, tokens, imagePe);
    const attended = this.final_attn_token_to_image.forward(t.add(tokens), i.add(imagePe), i);
    return { tokens: this.norm_final_attn.forward(t.add(attended)), image: i };
  }
}
