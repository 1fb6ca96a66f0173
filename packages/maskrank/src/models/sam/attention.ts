// Multi-head attention of the image encoder with decomposed relative positions, over the whole grid or in windows.
// In a window that hangs over the edge of the grid the reference pads with zero rows, which turn into keys and values equal
// to the projection's bias and stay in the softmax. Only real tokens are computed here: all padded keys of a window share one
// key and one value vector, so they act as one more key whose logit carries the logarithm of their joint weight (exact,
// relative-positions.ts). `windowing: 'padded'` is the reference's own way, kept to compare numbers and speed.
// Shapes: B images, H W grid, C channels, n real tokens of a window, b windows times heads, d channels of a head.

import { cat, hasOperator, nn, op, type Tensor, zeros } from '@maskrank/torch';
import { QkvLora } from '../lora.ts';
import { VitLinear } from './layers.ts';
import { paddedBias, realBias, relativeTerms } from './relative-positions.ts';
import { joinGroups, partition, unpartition, type WindowGroup, windowGroups } from './windows.ts';

const baddbmm = op('aten::baddbmm');
const fusedAttention = op('aten::scaled_dot_product_attention');

export type Windowing = 'exact' | 'padded';

/** softmax(q k' / sqrt(d) + bias) v for q [b, n, d], k and v [b, m, d], bias [b, n, m]; the engine's fused kernel where it has one. */
export function attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor | null): Tensor {
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
    const parts = groups.map((row) => row.map((group) => this.#group(qkv, group, sides)));
    return this.proj.forward(joinGroups(parts));
  }

  #padded(x: Tensor, side: number): Tensor {
    const { windows, paddedSize } = partition(x, side);
    return unpartition(this.forward(windows), paddedSize, [x.size(1), x.size(2)]);
  }

  /** Attention inside the equal windows of one group, before the output projection: [B, rows h, columns w, C]. */
  #group(qkv: Tensor, group: WindowGroup, sides: readonly [number, number]): Tensor {
    const heads = this.#heads;
    const { rows, columns, height: h, width: w } = group;
    const [batch, , , threeC] = qkv.shape as [number, number, number, number];
    const d = threeC / 3 / heads;
    const b = batch * rows * columns * heads;
    const n = h * w;
    const [q, k, v] = qkv
      .slice(1, group.y, group.y + rows * h)
      .slice(2, group.x, group.x + columns * w)
      .view([batch, rows, h, columns, w, 3, heads, d])
      .permute([5, 0, 1, 3, 6, 2, 4, 7]) // [3, B, rows, columns, heads, h, w, d]
      .reshape([3, b, n, d])
      .unbind(0) as [Tensor, Tensor, Tensor];
    const isCut = h < sides[0] || w < sides[1];
    const out = isCut ? this.#attendCut(q, k, v, [h, w], sides) : attend(q, k, v, this.#bias(q, [h, w]));
    return out
      .view([batch, rows, columns, heads, h, w, d])
      .permute([0, 1, 4, 2, 5, 3, 6]) // [B, rows, h, columns, w, heads, d]
      .reshape([batch, rows * h, columns * w, heads * d]);
  }

  #terms(q: Tensor, [h, w]: readonly [number, number], sides: readonly [number, number]) {
    if (this.rel_pos_h === null || this.rel_pos_w === null) return null;
    const spatial = q.view([q.size(0), h, w, q.size(-1)]);
    return relativeTerms(spatial, { h: this.rel_pos_h, w: this.rel_pos_w }, sides);
  }

  #bias(q: Tensor, size: readonly [number, number]): Tensor | null {
    const terms = this.#terms(q, size, size);
    return terms === null ? null : realBias(terms);
  }

  /** As `attend` in windows with `size` real tokens out of `sides`; the padded ones are the last key. */
  #attendCut(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    size: readonly [number, number],
    sides: readonly [number, number],
  ): Tensor {
    const [b, n] = q.shape as [number, number];
    const [key, value] = this.#paddedKeyValue(b, q);
    const terms = this.#terms(q, size, sides);
    const bias =
      terms === null
        ? cat(
            [zeros([b, n, n], like(q)), zeros([b, n, 1], like(q)).add(Math.log(sides[0] * sides[1] - n))],
            2,
          )
        : cat([realBias(terms), paddedBias(terms)], 2);
    return attend(q, cat([k, key], 1), cat([v, value], 1), bias); // [b, n, d]
  }

  /** Key and value of a row of zeros, for every window and head: [b, 1, d] each. */
  #paddedKeyValue(b: number, q: Tensor): [Tensor, Tensor] {
    const heads = this.#heads;
    const d = q.size(-1);
    if (this.qkv.bias === null) {
      const none = zeros([b, 1, d], like(q));
      return [none, none];
    }
    const [, key, value] = this.qkv.bias.to(q.dtype).view([3, 1, heads, d]).unbind(0) as [
      Tensor,
      Tensor,
      Tensor,
    ];
    const spread = (t: Tensor) => t.expand([b / heads, heads, d]).reshape([b, 1, d]);
    return [spread(key), spread(value)];
  }
}

const like = (t: Tensor) => ({ dtype: t.dtype, device: t.device });
