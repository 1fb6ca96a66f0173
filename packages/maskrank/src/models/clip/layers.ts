// What the towers share: attention with several heads whose weights can be looked at, and the taps by which a caller sees or
// replaces what happens inside a tower.
// Shapes: B batch, L queries, S keys, h heads, C channels, d = C / h.

import { type Generator, nn, type Tensor, tidy } from '@maskrank/torch';
import { attend } from '../sam/attention.ts';
import { rows } from '../sam/layers.ts';

/** A place inside a vision tower: a block's output, its two norms, or a stage of a ResNet. */
export type VisionSite =
  | `blocks.${number}`
  | `blocks.${number}.norm1`
  | `blocks.${number}.norm2`
  | `layer${1 | 2 | 3 | 4}`;

/** Looks into a forward pass. What a function returns is what the pass goes on with. */
export type Tap = {
  /** Tokens [B, 1 + cells, C] of a transformer, the class token first; a map [B, C, H, W] of a ResNet. */
  readonly value?: (site: VisionSite, value: Tensor) => Tensor;
  /** Attention weights of a block, [B, h, L, S]. */
  readonly attention?: (block: number, weights: Tensor) => Tensor;
  /** The last block is not looked into: it computes the class token alone, as it does without a tap. */
  readonly endsEarly?: boolean;
};

/** Linear layer of a transformer: starts from a normal distribution of the given deviation, bias 0. */
export class NormalLinear extends nn.Linear {
  readonly #deviation: number;

  constructor(
    inDim: number,
    outDim: number,
    options: { readonly deviation: number; readonly bias?: boolean },
  ) {
    super(inDim, outDim, options);
    this.#deviation = options.deviation;
  }
  override resetParameters(generator: Generator): void {
    nn.init.normal_(this.weight, 0, this.#deviation, generator);
    if (this.bias !== null) nn.init.constant_(this.bias, 0);
  }
  override forward(x: Tensor, then?: nn.LinearThen): Tensor {
    return rows(x, this.weight, this.bias, then);
  }
}

export type MultiHeadOptions = {
  readonly heads: number;
  /** Added to the logits; broadcasts to [B h, L, S]. */
  readonly bias?: Tensor | null;
  /** Sees the weights, [B, h, L, S]; then the engine's fused kernel is not used. */
  readonly look?: ((weights: Tensor) => Tensor) | undefined;
};

/** softmax(q k' / sqrt(d) + bias) v in every head: q [B, L, C], k and v [B, S, C] -> [B, L, C]. */
export function multiHead(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  { heads, bias = null, look }: MultiHeadOptions,
): Tensor {
  const [b, l, c] = q.shape as [number, number, number];
  const quick = look === undefined ? nn.quickAttention(q, k, v, { heads, bias }) : null;
  if (quick !== null) return quick;
  const d = c / heads;
  const split = (x: Tensor) =>
    x
      .reshape([b, -1, heads, d])
      .transpose(1, 2)
      .reshape([b * heads, -1, d]); // [B h, L or S, d]
  const [qs, ks, vs] = [split(q), split(k), split(v)];
  const attended = look === undefined ? attend(qs, ks, vs, bias) : watched(qs, ks, vs, bias, heads, look);
  return attended.view([b, heads, l, d]).transpose(1, 2).reshape([b, l, c]);
}

function watched(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  bias: Tensor | null,
  heads: number,
  look: (weights: Tensor) => Tensor,
): Tensor {
  const products = q.mul(1 / Math.sqrt(q.size(-1))).bmm(k.transpose(1, 2)); // [B h, L, S]
  const weights = (bias === null ? products : products.add(bias)).softmax(-1);
  const [bh, l, s] = weights.shape as [number, number, number];
  return look(weights.view([bh / heads, heads, l, s]))
    .reshape([bh, l, s])
    .bmm(v);
}

/** Rows of unit length along the last dimension. */
export function unitRows(x: Tensor): Tensor {
  return x.div(x.mul(x).sum(-1, true).sqrt().clamp(1e-12));
}

/** Whose attention is computed: of all tokens, or of the first, which still looks at all. */
export type Queries = 'all' | 'first';

/** Queries [B, N or 1, C], keys and values [B, N, C] of x [B, N, C], from one weight [3 C, C] and bias. */
export function packedProjections(
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  queries: Queries,
): [Tensor, Tensor, Tensor] {
  if (queries === 'all') return rows(x, weight, bias).chunk(3, -1) as [Tensor, Tensor, Tensor];
  const dim = x.size(-1);
  const part = (start: number, end: number | null) =>
    [weight.slice(0, start, end), bias === null ? null : bias.slice(0, start, end)] as const;
  const [k, v] = rows(x, ...part(dim, null)).chunk(2, -1) as [Tensor, Tensor];
  return [rows(x.slice(1, 0, 1), ...part(0, dim)), k, v];
}

/** A block of a transformer whose class token is pooled. */
export type PooledBlock = {
  /** x [B, N, C] -> [B, N, C]; `i` is the block's number for the tap. */
  forward(x: Tensor, i: number, tap: Tap): Tensor;
  /** The first token alone, [B, 1, C]. */
  first(x: Tensor): Tensor;
};

/**
 * The class token after all blocks, [B, C]. Without a tap the last block computes that token alone, and each block's
 * intermediate results are freed as soon as it is through.
 */
export function classToken(blocks: readonly PooledBlock[], start: Tensor, tap: Tap | undefined): Tensor {
  const last = blocks.length - 1;
  const run = (block: PooledBlock, x: Tensor, i: number): Tensor => {
    if (tap?.endsEarly && i === last) return block.first(x);
    if (tap !== undefined) return block.forward(x, i, tap);
    return tidy(() => (i === last ? block.first(x) : block.forward(x, i, {})));
  };
  return blocks.reduce((x, block, i) => run(block, x, i), start).select(1, 0);
}
