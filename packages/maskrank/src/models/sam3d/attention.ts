// Multi-head attention over a cubic grid of tokens, whole or in cubic windows, with relative positions.
// Relative positions are the released code's, not those of its paper: there the three terms meet the wrong axes when they are
// broadcast, and the released weights were trained with that. To the logit of query (d, h, w) and key (d', h', w') come
//   q(d, h, w).Rd[d - w'] + q(d, h, d').Rh[h - w'] + q(d, h, h').Rw[h' - w']
// where q(d, h, x) is the query at place x of the same row, also of a padded token.
// The reference pads the grid with zero rows to whole windows: the released model has windows of 14 on a grid of 8, so of 2744
// keys 2232 are padding, equal to the projection's bias. As in two dimensions (sam/attention.ts) only real tokens are computed
// here, and a window's padded keys are one key whose logit carries the logarithm of their joint weight: exact, and a
// thirtieth of the work in the released model.
// Shapes: B volumes, D H W grid, C channels, n real tokens of a window, b windows times heads, c channels of a head, S side.

import { cat, nn, op, type Tensor, zeros } from '@maskrank/torch';
import { attend } from '../sam/attention.ts';
import { VitLinear } from '../sam/layers.ts';
import { tableByQuery } from '../sam/relative-positions.ts';
import { type Band, bands } from '../sam/windows.ts';

const logsumexp = op('aten::logsumexp');
const logaddexp = op('aten::logaddexp');

/** One value for each of the axes D, H, W. */
type Axes<T> = readonly [T, T, T];

export type VolumeAttentionOptions = {
  readonly heads: number;
  readonly qkvBias: boolean;
  /** Tokens along each side for which the tables of relative positions are made; null: none. */
  readonly relativeSide: number | null;
};

export class VolumeAttention extends nn.Module {
  readonly qkv: VitLinear;
  readonly proj: VitLinear;
  readonly rel_pos_d: nn.Parameter | null; // [2 S - 1, c]
  readonly rel_pos_h: nn.Parameter | null;
  readonly rel_pos_w: nn.Parameter | null;
  readonly #heads: number;

  constructor(dim: number, { heads, qkvBias, relativeSide }: VolumeAttentionOptions) {
    super();
    this.#heads = heads;
    this.qkv = new VitLinear(dim, 3 * dim, { bias: qkvBias });
    this.proj = new VitLinear(dim, dim);
    const table = () =>
      relativeSide === null ? null : new nn.Parameter(zeros([2 * relativeSide - 1, dim / heads]));
    this.rel_pos_d = table();
    this.rel_pos_h = table();
    this.rel_pos_w = table();
  }

  /** x [B, D, H, W, C] -> [B, D, H, W, C]. `windowSide` null: every token attends to every other. */
  forward(x: Tensor, windowSide: number | null = null): Tensor {
    const [, ...sizes] = x.shape.slice(0, 4) as [number, number, number, number];
    const qkv = this.qkv.forward(x); // [B, D, H, W, 3 C]
    const side = windowSide ?? Math.max(...sizes);
    const window: Window = { side, tables: this.#tables(side), padded: this.#paddedToken(qkv) };
    const [down, across, along] = sizes.map((size) => bands(size, side)) as [Band[], Band[], Band[]];
    const joined = join(
      down.map((d) =>
        join(
          across.map((h) =>
            join(
              along.map((w) => this.#group(qkv, [d, h, w], window)),
              3,
            ),
          ),
          2,
        ),
      ),
      1,
    );
    return this.proj.forward(joined);
  }

  #tables(side: number): Axes<Tensor> | null {
    const { rel_pos_d: d, rel_pos_h: h, rel_pos_w: w } = this;
    if (d === null || h === null || w === null) return null;
    return [tableByQuery(d, side), tableByQuery(h, side), tableByQuery(w, side)];
  }

  /** Query, key and value of a row of zeros: [1, heads, 1, c] each. */
  #paddedToken(qkv: Tensor): Window['padded'] {
    const heads = this.#heads;
    const shape = [3, 1, heads, 1, qkv.size(-1) / 3 / heads];
    const { bias } = this.qkv;
    const row = bias === null ? zeros(shape, like(qkv)) : bias.to(qkv.dtype).view(shape);
    const [query, key, value] = row.unbind(0) as [Tensor, Tensor, Tensor];
    return { query, key, value };
  }

  /** Attention inside the equal windows of one group, before the output projection: the group's part of [B, D, H, W, C]. */
  #group(qkv: Tensor, group: Axes<Band>, window: Window): Tensor {
    const heads = this.#heads;
    const batch = qkv.size(0);
    const c = qkv.size(-1) / 3 / heads;
    const [counts, sizes] = [group.map((band) => band.count), group.map((band) => band.size)] as [
      number[],
      number[],
    ];
    const [m0, m1, m2] = counts as [number, number, number];
    const [d, h, w] = sizes as [number, number, number];
    const b = batch * m0 * m1 * m2 * heads;
    const cut = group.reduce(
      (x, { start, count, size }, axis) => x.slice(axis + 1, start, start + count * size),
      qkv,
    );
    const [q, k, v] = cut
      .reshape([batch, m0, d, m1, h, m2, w, 3, heads, c])
      .permute([7, 0, 1, 3, 5, 8, 2, 4, 6, 9]) // [3, B, m0, m1, m2, heads, d, h, w, c]
      .reshape([3, b, d * h * w, c])
      .unbind(0) as [Tensor, Tensor, Tensor];
    return attendInWindow({ q, k, v, sizes: [d, h, w] }, window)
      .view([batch, m0, m1, m2, heads, d, h, w, c])
      .permute([0, 1, 5, 2, 6, 3, 7, 4, 8]) // [B, m0, d, m1, h, m2, w, heads, c]
      .reshape([batch, m0 * d, m1 * h, m2 * w, heads * c]);
  }
}

/** What all windows of a block share. */
type Window = {
  /** Tokens along an axis, real and padded. */
  readonly side: number;
  readonly tables: Axes<Tensor> | null;
  /** Of a padded token: [1, heads, 1, c] each. */
  readonly padded: { readonly query: Tensor; readonly key: Tensor; readonly value: Tensor };
};

/** Real tokens of equal windows, [b, n, c] each; n is the product of `sizes`. */
type WindowTokens = {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  readonly sizes: Axes<number>;
};

/** Attention in windows whose tokens beyond `sizes` are padded: those are the last key. [b, n, c] */
function attendInWindow({ q, k, v, sizes }: WindowTokens, { side, tables, padded }: Window): Tensor {
  const [b, n, c] = q.shape as [number, number, number];
  const heads = padded.key.size(1);
  const every = (one: Tensor) => one.expand([b / heads, heads, 1, c]).reshape([b, 1, c]);
  const terms =
    tables && relativeTerms(q.view([b, ...sizes, c]), every(padded.query).view([b, 1, 1, 1, c]), tables);
  const bias = terms && realBias(terms, sizes); // [b, n, n]
  const missing = side ** 3 - n;
  if (missing === 0) return attend(q, k, v, bias);
  const lastBias = terms
    ? paddedBias(terms, sizes).reshape([b, n, 1])
    : zeros([b, n, 1], like(q)).add(Math.log(missing));
  const wholeBias = cat([bias ?? zeros([b, n, n], like(q)), lastBias], 2); // [b, n, n + 1]
  return attend(q, cat([k, every(padded.key)], 1), cat([v, every(padded.value)], 1), wholeBias);
}

/** The three terms of the logits (see the head of the file), for windows of S tokens a side of which d h w are real. */
type RelativeTerms = {
  /** By query and key's w: [b, d, h, w, S]. */
  readonly own: Tensor;
  /** By query's d and h, key's d, key's w: [b, d, h, S, S]. */
  readonly byD: Tensor;
  /** By query's d and h, key's h, key's w: [b, d, h, S, S]. */
  readonly byH: Tensor;
};

/** q [b, d, h, w, c], the query of a padded token [b, 1, 1, 1, c]. */
function relativeTerms(
  q: Tensor,
  paddedQuery: Tensor,
  [tableD, tableH, tableW]: Axes<Tensor>,
): RelativeTerms {
  const [b, d, h, w, c] = q.shape as [number, number, number, number, number];
  const side = tableW.size(2);
  const along = w === side ? q : cat([q, paddedQuery.expand([b, d, h, side - w, c])], 3); // [b, d, h, S, c]
  return { own: product(q, tableD, 1), byD: product(along, tableH, 2), byH: product(along, tableW, 3) };
}

/** x [b, .., c] times the table's matrix [c, S] for its place along `axis`: [b, .., S]. */
function product(x: Tensor, table: Tensor, axis: number): Tensor {
  const first = x.transpose(0, axis); // the axis first, the batch in its place
  const size = first.size(0);
  const c = x.size(-1);
  const y = first.reshape([size, -1, c]).bmm(table.slice(0, 0, size)); // [size, b rest, S]
  return y.view([...first.shape.slice(0, 4), -1]).transpose(0, axis);
}

/** What is added to the logits of the real keys: [b, n, n]. */
function realBias({ own, byD, byH }: RelativeTerms, [d, h, w]: Axes<number>): Tensor {
  const keysD = byD.slice(3, 0, d).slice(4, 0, w).unsqueeze(4); // [b, d, h, kd, 1, kw]
  const keysH = byH.slice(3, 0, h).slice(4, 0, w).unsqueeze(3); // [b, d, h, 1, kh, kw]
  const keys = keysD.add(keysH).unsqueeze(3); // [b, d, h, 1, kd, kh, kw]
  const whole = own.slice(4, 0, w).unsqueeze(4).unsqueeze(5).add(keys); // [b, d, h, w, kd, kh, kw]
  return whole.reshape([own.size(0), d * h * w, d * h * w]);
}

/**
 * Log of the sum over all padded keys of exp(the three terms), [b, d, h, w]. For a w that real keys have, padded keys are
 * those beyond them along D with any h, and those real along D but beyond along H; for any other w all keys are padded.
 * Either is a product of a sum over d and a sum over h.
 */
function paddedBias({ own, byD, byH }: RelativeTerms, [d, h, w]: Axes<number>): Tensor {
  const side = byD.size(3);
  const total = (terms: Tensor, from: number, to: number, [first, last]: readonly [number, number]) =>
    logsumexp(terms.slice(3, from, to).slice(4, first, last), [3]); // [b, d, h, kw]
  const parts: Tensor[] = [];
  const real = [0, w] as const;
  if (d < side) parts.push(total(byD, d, side, real).add(total(byH, 0, side, real)));
  if (h < side) parts.push(total(byD, 0, d, real).add(total(byH, h, side, real)));
  const beyond = [w, side] as const;
  const sums: Tensor[] = [];
  if (parts.length > 0)
    sums.push(logsumexp(own.slice(4, 0, w).add(parts.reduce((a, x) => logaddexp(a, x)).unsqueeze(3)), [4]));
  if (w < side) {
    const all = total(byD, 0, side, beyond).add(total(byH, 0, side, beyond));
    sums.push(logsumexp(own.slice(4, w, side).add(all.unsqueeze(3)), [4]));
  }
  return sums.reduce((a, x) => logaddexp(a, x));
}

const join = (parts: readonly Tensor[], dim: number): Tensor =>
  parts.length === 1 ? (parts[0] as Tensor) : cat(parts, dim);

const like = (t: Tensor) => ({ dtype: t.dtype, device: t.device });
