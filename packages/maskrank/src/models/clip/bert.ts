// BiomedCLIP's text tower as open_clip wraps it: BERT (Devlin 2018; post-norm, exact GELU, no pooling layer), the class token's
// last state, a projection of two layers without bias. Parameter names are open_clip's. No dropout: it is not trained here
// with enough text to need it.
// Shapes: B texts, L word pieces, D channels, E features.

import { type Generator, nn, type Tensor, tidy, zeros } from '@maskrank/torch';
import { type BertTextConfig, projectionDim } from './config.ts';
import { multiHead, NormalLinear } from './layers.ts';

/** Id of `[PAD]`, which is not attended to. */
export const PAD_ID = 0;

const EPS = 1e-12;
const START = { deviation: 0.02 };

class NormalEmbedding extends nn.Embedding {
  override resetParameters(generator: Generator): void {
    nn.init.normal_(this.weight, 0, START.deviation, generator);
  }
}

class Embeddings extends nn.Layer {
  readonly word_embeddings: NormalEmbedding;
  readonly position_embeddings: NormalEmbedding;
  /** Two kinds of sentence in BERT; here always the first. */
  readonly token_type_embeddings: NormalEmbedding;
  readonly LayerNorm: nn.LayerNorm;

  constructor({ vocabulary, positions, dim }: BertTextConfig) {
    super();
    this.word_embeddings = new NormalEmbedding(vocabulary, dim);
    this.position_embeddings = new NormalEmbedding(positions, dim);
    this.token_type_embeddings = new NormalEmbedding(2, dim);
    this.LayerNorm = new nn.LayerNorm(dim, { eps: EPS });
  }
  /** ids [B, L] -> [B, L, D] */
  override forward(ids: Tensor): Tensor {
    const words = this.word_embeddings.forward(ids);
    const kind = this.token_type_embeddings.weight.select(0, 0); // [D]
    const places = this.position_embeddings.weight.slice(0, 0, ids.size(1)); // [L, D]
    return this.LayerNorm.forward(words.add(kind).add(places));
  }
}

class SelfAttention extends nn.Module {
  readonly query: NormalLinear;
  readonly key: NormalLinear;
  readonly value: NormalLinear;
  readonly #heads: number;

  constructor(dim: number, heads: number) {
    super();
    this.#heads = heads;
    this.query = new NormalLinear(dim, dim, START);
    this.key = new NormalLinear(dim, dim, START);
    this.value = new NormalLinear(dim, dim, START);
  }
  forward(x: Tensor, padding: Tensor): Tensor {
    const [q, k, v] = [this.query, this.key, this.value].map((layer) => layer.forward(x)) as [
      Tensor,
      Tensor,
      Tensor,
    ];
    const heads = this.#heads;
    const [b, l] = x.shape as [number, number];
    const bias = padding.expand([b, heads, l, l]).reshape([b * heads, l, l]);
    return multiHead(q, k, v, { heads, bias });
  }
}

/** norm(dense(x) + residual) */
class Output extends nn.Module {
  readonly dense: NormalLinear;
  readonly LayerNorm: nn.LayerNorm;

  constructor(from: number, dim: number) {
    super();
    this.dense = new NormalLinear(from, dim, START);
    this.LayerNorm = new nn.LayerNorm(dim, { eps: EPS });
  }
  forward(x: Tensor, residual: Tensor): Tensor {
    return this.LayerNorm.forward(this.dense.forward(x).add(residual));
  }
}

class Attention extends nn.Module {
  readonly self: SelfAttention;
  readonly output: Output;

  constructor(dim: number, heads: number) {
    super();
    this.self = new SelfAttention(dim, heads);
    this.output = new Output(dim, dim);
  }
  forward(x: Tensor, padding: Tensor): Tensor {
    return this.output.forward(this.self.forward(x, padding), x);
  }
}

class Intermediate extends nn.Layer {
  readonly dense: NormalLinear;

  constructor(dim: number, hidden: number) {
    super();
    this.dense = new NormalLinear(dim, hidden, START);
  }
  override forward(x: Tensor): Tensor {
    return this.dense.forward(x).gelu();
  }
}

class BertLayer extends nn.Module {
  readonly attention: Attention;
  readonly intermediate: Intermediate;
  readonly output: Output;

  constructor({ dim, heads, mlpDim }: BertTextConfig) {
    super();
    this.attention = new Attention(dim, heads);
    this.intermediate = new Intermediate(dim, mlpDim);
    this.output = new Output(mlpDim, dim);
  }
  forward(x: Tensor, padding: Tensor): Tensor {
    const attended = this.attention.forward(x, padding);
    return this.output.forward(this.intermediate.forward(attended), attended);
  }
}

class Encoder extends nn.Module {
  readonly layer: readonly BertLayer[];

  constructor(config: BertTextConfig) {
    super();
    this.layer = Array.from({ length: config.depth }, () => new BertLayer(config));
  }
}

class Bert extends nn.Module {
  readonly embeddings: Embeddings;
  readonly encoder: Encoder;

  constructor(config: BertTextConfig) {
    super();
    this.embeddings = new Embeddings(config);
    this.encoder = new Encoder(config);
  }
  /** ids [B, L] -> last states [B, L, D] */
  forward(ids: Tensor): Tensor {
    const start = this.embeddings.forward(ids);
    const [b, l] = ids.shape as [number, number];
    const padding = zeros([b, 1, 1, l], { dtype: start.dtype, device: start.device }).maskedFill(
      ids.eq(PAD_ID).view([b, 1, 1, l]),
      Number.NEGATIVE_INFINITY,
    );
    return this.encoder.layer.reduce((x, layer) => tidy(() => layer.forward(x, padding)), start);
  }
}

export class BertText extends nn.Module {
  readonly transformer: Bert;
  readonly proj: nn.Sequential;

  constructor(config: BertTextConfig, embedDim: number) {
    super();
    const { dim } = config;
    const hidden = projectionDim(dim, embedDim);
    this.transformer = new Bert(config);
    this.proj = new nn.Sequential(
      new nn.Linear(dim, hidden, { bias: false }),
      new nn.GELU(),
      new nn.Linear(hidden, embedDim, { bias: false }),
    );
  }
  /** ids [B, L] (int64, padded with 0 behind) -> features [B, E], not of unit length. */
  forward(ids: Tensor): Tensor {
    return this.proj.forward(this.transformer.forward(ids).select(1, 0));
  }
}
