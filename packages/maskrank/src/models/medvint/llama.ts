// LLaMA (Touvron 2023): a causal transformer with RMS norms before its parts, rotary positions, gated feed-forward networks
// and no biases. The large matrices are kept as `storage` says and computed in the element type of what comes in.
// Not here: the tokeniser, choosing the next token, low-rank updates (merged when loading).
// Shapes: B batch, L tokens, D channels, h heads, d = D / h, V pieces of the vocabulary.

import { nn, ones, op, type Tensor } from '@maskrank/torch';
import { UsageError } from '@maskrank/torch/errors';
import type { LlamaConfig } from './config.ts';
import { KeyValueCache, type TokenMemory } from './key-value-cache.ts';
import { type Rotation, rotate, rotation } from './rotary.ts';
import { StoredEmbedding, StoredLinear, type WeightStorage } from './stored-weights.ts';

const tril = op('aten::tril');

/** What one pass over the layers shares. */
type Pass = {
  readonly rotation: Rotation;
  /** Of L new tokens over all tokens so far, [L, S]; null where nothing is hidden or `causal` says it. */
  readonly mask: Tensor | null;
  readonly causal: boolean;
  readonly cache: TokenMemory | null;
};

class Attention extends nn.Module {
  readonly q_proj: StoredLinear;
  readonly k_proj: StoredLinear;
  readonly v_proj: StoredLinear;
  readonly o_proj: StoredLinear;
  readonly #heads: number;
  readonly #index: number;

  constructor({ dim, heads }: LlamaConfig, storage: WeightStorage, index: number) {
    super();
    this.#heads = heads;
    this.#index = index;
    this.q_proj = new StoredLinear(dim, dim, storage);
    this.k_proj = new StoredLinear(dim, dim, storage);
    this.v_proj = new StoredLinear(dim, dim, storage);
    this.o_proj = new StoredLinear(dim, dim, storage);
  }

  /** x [B, L, D] -> [B, L, D] */
  forward(x: Tensor, { rotation: turn, mask, causal, cache }: Pass): Tensor {
    const [batch, length, dim] = x.shape as [number, number, number];
    const split = (y: Tensor) => y.view([batch, length, this.#heads, dim / this.#heads]).transpose(1, 2); // [B, h, L, d]
    const q = rotate(split(this.q_proj.forward(x)), turn);
    const k = rotate(split(this.k_proj.forward(x)), turn);
    const v = split(this.v_proj.forward(x));
    const all = cache?.extend(this.#index, k, v) ?? { keys: k, values: v };
    const attended = nn.scaledDotProductAttention(q, all.keys, all.values, { mask, causal }); // [B, h, L, d]
    return this.o_proj.forward(attended.transpose(1, 2).reshape([batch, length, dim]));
  }
}

class GatedMlp extends nn.Module {
  readonly gate_proj: StoredLinear;
  readonly up_proj: StoredLinear;
  readonly down_proj: StoredLinear;

  constructor({ dim, ffnDim }: LlamaConfig, storage: WeightStorage) {
    super();
    this.gate_proj = new StoredLinear(dim, ffnDim, storage);
    this.up_proj = new StoredLinear(dim, ffnDim, storage);
    this.down_proj = new StoredLinear(ffnDim, dim, storage);
  }

  forward(x: Tensor): Tensor {
    return this.down_proj.forward(this.gate_proj.forward(x).silu().mul(this.up_proj.forward(x)));
  }
}

class LlamaLayer extends nn.Module {
  readonly self_attn: Attention;
  readonly mlp: GatedMlp;
  readonly input_layernorm: nn.RMSNorm;
  readonly post_attention_layernorm: nn.RMSNorm;

  constructor(config: LlamaConfig, storage: WeightStorage, index: number) {
    super();
    const eps = config.normEps;
    this.self_attn = new Attention(config, storage, index);
    this.mlp = new GatedMlp(config, storage);
    this.input_layernorm = new nn.RMSNorm(config.dim, { eps });
    this.post_attention_layernorm = new nn.RMSNorm(config.dim, { eps });
  }

  forward(x: Tensor, pass: Pass): Tensor {
    const y = x.add(this.self_attn.forward(this.input_layernorm.forward(x), pass));
    return y.add(this.mlp.forward(this.post_attention_layernorm.forward(y)));
  }
}

class LlamaLayers extends nn.Module {
  readonly embed_tokens: StoredEmbedding;
  readonly layers: readonly LlamaLayer[];
  readonly norm: nn.RMSNorm;

  constructor(config: LlamaConfig, storage: WeightStorage) {
    super();
    this.embed_tokens = new StoredEmbedding(config.vocabularySize, config.dim, storage);
    this.layers = Array.from({ length: config.layers }, (_, i) => new LlamaLayer(config, storage, i));
    this.norm = new nn.RMSNorm(config.dim, { eps: config.normEps });
  }
}

export class Llama extends nn.Module {
  readonly model: LlamaLayers;
  readonly lm_head: StoredLinear;
  readonly config: LlamaConfig;

  constructor(config: LlamaConfig, storage: WeightStorage) {
    super();
    this.config = config;
    this.model = new LlamaLayers(config, storage);
    this.lm_head = new StoredLinear(config.dim, config.vocabularySize, storage);
  }

  /** Ids [B, L] (int64) -> [B, L, D], in the element type that the network computes in. */
  embed(ids: Tensor): Tensor {
    return this.model.embed_tokens.forward(ids, this.model.norm.weight.dtype);
  }

  /** Room for `capacity` tokens. The caller disposes of it. */
  newCache(batch: number, capacity: number): KeyValueCache {
    const { layers, heads, dim } = this.config;
    return new KeyValueCache(
      { batch, layers, heads, headDim: dim / heads, capacity },
      this.model.norm.weight,
    );
  }

  /**
   * Embeddings of tokens [B, L, D] -> features [B, L, D], normalised for the head. With a cache, the tokens follow those that
   * it holds, and it takes them in. UsageError when there are more than the model can place.
   */
  features(embeddings: Tensor, cache: TokenMemory | null = null): Tensor {
    const { dim, heads, ropeTheta, maxPositions } = this.config;
    const length = embeddings.size(1);
    const start = cache?.length ?? 0;
    if (start + length > maxPositions)
      throw new UsageError(`Llama: ${start + length} tokens, allowed ${maxPositions}.`);
    cache?.requireRoom(length);
    const isContinued = start > 0 && length > 1;
    const pass: Pass = {
      rotation: rotation(start, length, dim / heads, ropeTheta, embeddings),
      mask: isContinued ? laterHidden(length, start, embeddings.device) : null,
      causal: start === 0 && length > 1,
      cache,
    };
    let x = embeddings;
    for (const layer of this.model.layers) x = layer.forward(x, pass);
    cache?.advance(length);
    return this.model.norm.forward(x);
  }

  /** Features [B, L, D] -> logits of the token that follows each, [B, L, V]. */
  logits(features: Tensor): Tensor {
    return this.lm_head.forward(features);
  }
}

/** [L, start + L]: true where token `start + i` may look. */
function laterHidden(length: number, start: number, device: string): Tensor {
  return tril(ones([length, start + length], { dtype: 'bool', device }), start);
}
