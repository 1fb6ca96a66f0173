// Multi-head attention of the image encoder with decomposed relative positions, over the whole grid or in windows.
// In a window that hangs over the edge of the grid the reference pads with zero rows, which turn into keys and values equal
// to the projection's bias and stay in the softmax. Only real tokens are computed here: all padded keys of a window share one
// key and one value vector, so they act as one more key whose logit carries the logarithm of their joint weight (exact,
// relative-positions.ts). `windowing: 'padded'` is the reference's own way, kept to compare numbers and speed.
// Shapes: B images, H W grid, C channels, n real tokens of a window, b windows times heads, d channels of a head.

import { cat, hasOperator, nn, op, type Tensor, zeros } from '@maskrank/torch';
import { QkvLora } from '../lora.ts';
import { VitLinear } from './layers.ts';
import {
  paddedBias,
  type RelativeTables,
  realBias,
  relativeTables,
  relativeTerms,
} from './relative-positions.ts';
import { joinGroups, partition, unpartition, type WindowGroup, windowGroups } from './windows.ts';

const baddbmm = op('aten::baddbmm');
const fusedAttention = op('aten::scaled_dot_product_attention');

export type Windowing = 'exact' | 'padded';

/** softmax(q k' / sqrt(d) + bias) v for q [b, n, d], k and v [b, m, d], bias [b, n, m]; a fused kernel where there is one. */
export function attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | null): Tensor {
  const quick = nn.quickAttention(q, k, v, { heads: 1, bias });
  if (quick !== null) return quick;
  if (hasFused()) {
    const heads = [q, k, v].map((t) => t.unsqueeze(0)) as [Tensor, Tensor, Tensor];
    return fusedAttention(...heads, bias?.unsqueeze(0) ?? null, 0, false).squeeze(0); // [b, n, d]
  }
  const scale = 1 / Math.sqrt(q.size(-1));
  const keys = k.transpose(1, 2); // [b, d, m]
  const logits = bias === null ? q.mul(scale).bmm(keys) : baddbmm(bias, q, keys, 1, scale); // [b, n, m]
  return logits.softmax(-1).bmm(v);
}

let fused: boolean | undefined;
function hasFused(): boolean {
  fused ??= hasOperator('aten::scaled_dot_product_attention');
  return fused;
}

export type AttentionOptions = {
  readonly heads: number;
  readonly qkvBias: boolean;
  /** Rank of the low-rank updates of queries and values; 0: none. */
  readonly loraRank?: number;
  /** Tokens along each side for which the tables of relative positions are made; null: none. */
  readonly relativeSide: number | null;
};

export class Attention extends nn.Module {
  readonly qkv: VitLinear;
  readonly proj: VitLinear;
  readonly rel_pos_h: nn.Parameter | null; // [2 side - 1, d]
  readonly rel_pos_w: nn.Parameter | null;
  /** Low-rank updates of the queries' and values' projection. */
  lora: QkvLora | null;
  readonly #heads: number;

  constructor(dim: number, { heads, qkvBias, relativeSide, loraRank = 0 }: AttentionOptions) {
    super();
    this.#heads = heads;
    this.qkv = new VitLinear(dim, 3 * dim, { bias: qkvBias });
    this.proj = new VitLinear(dim, dim);
    const table = () =>
      relativeSide === null ? null : new nn.Parameter(zeros([2 * relativeSide - 1, dim / heads]));
    this.rel_pos_h = table();
    this.rel_pos_w = table();
    this.lora = loraRank > 0 ? new QkvLora(dim, loraRank) : null;
  }

  /** x [B, H, W, C] -> [B, H, W, C]. `windowSide` null: every token attends to every other. */
  forward(x: Tensor, windowSide: number | null = null, windowing: Windowing = 'exact'): Tensor {
    if (windowSide !== null && windowing === 'padded') return this.#padded(x, windowSide);
    const [, height, width] = x.shape as [number, number, number];
    const lora = this.lora?.forward(x) ?? null;
    const projected = this.qkv.forward(x); // [B, H, W, 3 C]
    const qkv = lora === null ? projected : projected.add(lora);
    const whole: WindowGroup = { y: 0, x: 0, rows: 1, columns: 1, height, width };
    const groups = windowSide === null ? [[whole]] : windowGroups(height, width, windowSide);
    const sides = windowSide === null ? ([height, width] as const) : ([windowSide, windowSide] as const);
    const window: Window = { sides, tables: this.#tables(sides), padded: this.#paddedKeyValue(qkv) };
    const parts = groups.map((row) => row.map((group) => this.#group(qkv, group, window)));
    return this.proj.forward(joinGroups(parts));
  }

  #padded(x: Tensor, side: number): Tensor {
    const { windows, paddedSize } = partition(x, side);
    return unpartition(this.forward(windows), paddedSize, [x.size(1), x.size(2)]);
  }

  #tables(sides: readonly [number, number]): RelativeTables | null {
    if (this.rel_pos_h === null || this.rel_pos_w === null) return null;
    return relativeTables(this.rel_pos_h, this.rel_pos_w, sides);
  }

  /** Key and value of a row of zeros: [1, heads, 1, d] each. */
  #paddedKeyValue(qkv: Tensor): Window['padded'] {
    const heads = this.#heads;
    const shape = [3, 1, heads, 1, qkv.size(-1) / 3 / heads];
    const { bias } = this.qkv;
    const row = bias === null ? zeros(shape, like(qkv)) : bias.to(qkv.dtype).view(shape);
    const [, key, value] = row.unbind(0) as [Tensor, Tensor, Tensor];
    return { key, value };
  }

  /** Attention inside the equal windows of one group, before the output projection: [B, rows h, columns w, C]. */
  #group(qkv: Tensor, group: WindowGroup, window: Window): Tensor {
    const heads = this.#heads;
    const { rows, columns, height: h, width: w } = group;
    const [batch, , , threeC] = qkv.shape as [number, number, number, number];
    const d = threeC / 3 / heads;
    const b = batch * rows * columns * heads;
    const [q, k, v] = qkv
      .slice(1, group.y, group.y + rows * h)
      .slice(2, group.x, group.x + columns * w)
      .view([batch, rows, h, columns, w, 3, heads, d])
      .permute([5, 0, 1, 3, 6, 2, 4, 7]) // [3, B, rows, columns, heads, h, w, d]
      .reshape([3, b, h * w, d])
      .unbind(0) as [Tensor, Tensor, Tensor];
    return attendInWindow({ q, k, v, height: h, width: w }, window)
      .view([batch, rows, columns, heads, h, w, d])
      .permute([0, 1, 4, 2, 5, 3, 6]) // [B, rows, h, columns, w, heads, d]
      .reshape([batch, rows * h, columns * w, heads * d]);
  }
}

/** What all windows of a block share. */
type Window = {
  /** Rows and columns of tokens, real and padded. */
  readonly sides: readonly [number, number];
  readonly tables: RelativeTables | null;
  /** Of a padded token: [1, heads, 1, d] each. */
  readonly padded: { readonly key: Tensor; readonly value: Tensor };
};

/** Real tokens of equal windows: [b, height width, d] each. */
type WindowTokens = {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  readonly height: number;
  readonly width: number;
};

/** Attention in windows whose tokens beyond `height` x `width` are padded: those are the last key. [b, n, d] */
function attendInWindow({ q, k, v, height, width }: WindowTokens, { sides, tables, padded }: Window): Tensor {
  const [b, n, d] = q.shape as [number, number, number];
  const missing = sides[0] * sides[1] - n;
  const terms = tables && relativeTerms(q.view([b, height, width, d]), tables);
  const bias = terms && realBias(terms); // [b, n, n]
  if (missing === 0) return attend(q, k, v, bias);
  const heads = padded.key.size(1);
  const withPadded = (real: Tensor, one: Tensor) =>
    cat([real, one.expand([b / heads, heads, 1, d]).reshape([b, 1, d])], 1); // [b, n + 1, d]
  const lastBias = terms ? paddedBias(terms) : zeros([b, n, 1], like(q)).add(Math.log(missing));
  const wholeBias = cat([bias ?? zeros([b, n, n], like(q)), lastBias], 2); // [b, n, n + 1]
  return attend(q, withPadded(k, padded.key), withPadded(v, padded.value), wholeBias);
}

const like = (t: Tensor) => ({ dtype: t.dtype, device: t.device });
