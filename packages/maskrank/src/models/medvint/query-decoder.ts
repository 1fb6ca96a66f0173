// The bridge from image to language: learned queries look at the image's features through a transformer decoder (as DETR's,
// Carion 2020, norms first) and become soft tokens. The features are not normalised, as in the released code. Dropout, which the original trains with, is left out.
// Not here: places of the features (network.ts adds them where a configuration wants them).
// Shapes: B batch, Q queries, S places of the features, C channels.

import { nn, type Tensor } from '@maskrank/torch';
import type { QueryDecoderConfig } from './config.ts';

/** What queries look at: how they find it, and what they see there, both [B, S, C]. */
export type Memory = { readonly key: Tensor; readonly value: Tensor };

class DecoderLayer extends nn.Module {
  readonly self_attn: nn.MultiheadAttention;
  readonly multihead_attn: nn.MultiheadAttention;
  readonly linear1: nn.Linear;
  readonly linear2: nn.Linear;
  readonly norm1: nn.LayerNorm;
  readonly norm2: nn.LayerNorm;
  readonly norm3: nn.LayerNorm;

  constructor(dim: number, { heads, ffnDim }: QueryDecoderConfig) {
    super();
    this.self_attn = new nn.MultiheadAttention(dim, heads);
    this.multihead_attn = new nn.MultiheadAttention(dim, heads);
    this.linear1 = new nn.Linear(dim, ffnDim);
    this.linear2 = new nn.Linear(ffnDim, dim);
    this.norm1 = new nn.LayerNorm(dim);
    this.norm2 = new nn.LayerNorm(dim);
    this.norm3 = new nn.LayerNorm(dim);
  }

  forward(queries: Tensor, memory: Memory): Tensor {
    let x = queries.add(this.self_attn.forward(this.norm1.forward(queries)));
    x = x.add(this.multihead_attn.forward(this.norm2.forward(x), memory));
    return x.add(this.linear2.forward(this.linear1.forward(this.norm3.forward(x)).relu()));
  }
}

export class QueryDecoder extends nn.Module {
  readonly layers: readonly DecoderLayer[];
  readonly norm: nn.LayerNorm;

  constructor(dim: number, config: QueryDecoderConfig) {
    super();
    this.layers = Array.from({ length: config.layers }, () => new DecoderLayer(dim, config));
    this.norm = new nn.LayerNorm(dim);
  }

  /** Queries [B, Q, C] -> [B, Q, C] */
  forward(queries: Tensor, memory: Memory): Tensor {
    return this.norm.forward(this.layers.reduce((x, layer) => layer.forward(x, memory), queries));
  }
}
