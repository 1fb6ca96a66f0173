// Attention: softmax(q k' * scale + mask) v, by the engine's fused kernel where it has one, and the layer with several heads.
// Shapes: N batch, h heads, L queries, S keys, d channels of a head, E = h d.

import { hasOperator } from '../dispatch.ts';
import { EngineError, UsageError } from '../errors.ts';
import { ones, zeros } from '../factories.ts';
import type { Generator } from '../random.ts';
import { op, type Tensor } from '../tensor.ts';
import * as F from './functional.ts';
import { constant_, xavierUniform_ } from './init.ts';
import { Linear } from './layers.ts';
import { Module, Parameter } from './module.ts';

const FUSED = 'aten::scaled_dot_product_attention';
const fusedAttention = op(FUSED);
const tril = op('aten::tril');

export type AttentionOptions = {
  /** [.., L, S]; bool: true where the query may look; floating point: added to the logits. */
  readonly mask?: Tensor | null;
  /** Query i looks at keys 0..i only. Not together with `mask`. */
  readonly causal?: boolean;
  /** Factor on the products of queries and keys; 1 / sqrt(d) unless given. */
  readonly scale?: number;
  /** Share of the weights that are dropped; 0 outside training. */
  readonly dropout?: number;
  /** Whether to use the engine's fused kernel where there is one. */
  readonly fused?: boolean;
};

let engineHasFused: boolean | undefined;

/**
 * q [..., L, d], k [..., S, d], v [..., S, dv] -> [..., L, dv]. A query that may look at no key (by a bool mask) gets zeros.
 */
export function scaledDotProductAttention(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  options: AttentionOptions = {},
): Tensor {
  const { mask = null, causal = false, dropout = 0, fused = true } = options;
  if (mask !== null && causal)
    throw new UsageError(
      'scaledDotProductAttention: mask and causal are given; put the causal limits into the mask',
    );
  engineHasFused ??= hasOperator(FUSED);
  const standard = 1 / Math.sqrt(q.size(-1));
  const scale = options.scale ?? standard;
  if (!fused || !engineHasFused) return composed(q, k, v, scale, causal ? causalMask(q, k) : mask, dropout);
  // The kernel's own `scale` came later than the kernel; scaling the queries beforehand is the same.
  const scaled = scale === standard ? q : q.mul(scale / standard);
  return fusedAttention(scaled, k, v, mask, dropout, causal);
}

function causalMask(q: Tensor, k: Tensor): Tensor {
  return tril(ones([q.size(-2), k.size(-2)], { dtype: 'bool', device: q.device })); // [L, S]
}

function composed(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  scale: number,
  mask: Tensor | null,
  dropout: number,
): Tensor {
  const logits = q.mul(scale).matmul(k.transpose(-2, -1)); // [..., L, S]
  return F.dropout(weightsOf(logits, mask), dropout, true).matmul(v);
}

function weightsOf(logits: Tensor, mask: Tensor | null): Tensor {
  if (mask === null) return logits.softmax(-1);
  if (mask.dtype !== 'bool') return logits.add(mask).softmax(-1);
  // A finite number instead of minus infinity, so that rows without any key have gradients (of zero), not NaN.
  const hidden = mask.logicalNot();
  const far = logits.dtype === 'float16' ? -6e4 : -1e30;
  return logits.maskedFill(hidden, far).softmax(-1).maskedFill(hidden, 0);
}

export type MultiheadAttentionOptions = {
  readonly bias?: boolean;
  /** Share of the attention weights that are dropped while training. */
  readonly dropout?: number;
};

/** PyTorch starts this projection's bias at zero. */
class OutputProjection extends Linear {
  override resetParameters(generator: Generator): void {
    super.resetParameters(generator);
    if (this.bias !== null) constant_(this.bias, 0);
  }
}

/**
 * Attention with several heads between projections (Vaswani et al. 2017), with the parameter names of
 * `torch.nn.MultiheadAttention`. The batch comes first: queries [N, L, E], keys and values [N, S, E] -> [N, L, E].
 */
export class MultiheadAttention extends Module {
  readonly in_proj_weight: Parameter; // [3 E, E]
  readonly in_proj_bias: Parameter | null; // [3 E]
  readonly out_proj: Linear;
  readonly #heads: number;
  readonly #dropout: number;

  constructor(dim: number, heads: number, options: MultiheadAttentionOptions = {}) {
    super();
    if (dim % heads !== 0)
      throw new UsageError(`MultiheadAttention: ${dim} channels cannot be divided into ${heads} heads`);
    const { bias = true, dropout = 0 } = options;
    this.#heads = heads;
    this.#dropout = dropout;
    this.in_proj_weight = new Parameter(zeros([3 * dim, dim]));
    this.in_proj_bias = bias ? new Parameter(zeros([3 * dim])) : null;
    this.out_proj = new OutputProjection(dim, dim, { bias });
  }

  override resetParameters(generator: Generator): void {
    xavierUniform_(this.in_proj_weight, { generator });
    if (this.in_proj_bias !== null) constant_(this.in_proj_bias, 0);
  }

  /** `mask` must fit [N, heads, L, S]. Keys and values are the queries unless given; values are the keys unless given. */
  forward(
    query: Tensor,
    options: Pick<AttentionOptions, 'mask' | 'causal' | 'fused'> & {
      readonly key?: Tensor;
      readonly value?: Tensor;
    } = {},
  ): Tensor {
    const { key = query, value = key, ...rest } = options;
    if (query.ndim !== 3)
      throw new EngineError(`MultiheadAttention: the queries have shape [${query.shape}], needed: [N, L, E]`);
    const [q, k, v] = this.#project(query, key, value).map((t) => this.#split(t)) as [Tensor, Tensor, Tensor]; // [N, h, L, d]
    const dropout = this.training ? this.#dropout : 0;
    const attended = scaledDotProductAttention(q, k, v, { ...rest, dropout });
    return this.out_proj.forward(attended.transpose(1, 2).flatten(2)); // [N, L, E]
  }

  #project(query: Tensor, key: Tensor, value: Tensor): Tensor[] {
    if (query === key && key === value)
      return F.linear(query, this.in_proj_weight, this.in_proj_bias).chunk(3, -1);
    const weights = this.in_proj_weight.chunk(3);
    const biases = this.in_proj_bias?.chunk(3);
    return [query, key, value].map((x, i) => F.linear(x, weights[i] as Tensor, biases?.[i] ?? null));
  }

  #split(x: Tensor): Tensor {
    const [n, length, dim] = x.shape as [number, number, number];
    return x.view([n, length, this.#heads, dim / this.#heads]).transpose(1, 2);
  }
}
