// Decomposed relative positions (Li 2022, MViTv2): to the logit of query (qy, qx) and key (ky, kx) come q.Rh[qy - ky] and
// q.Rw[qx - kx], with the query before scaling. Here the two terms are kept apart: what padded keys add to a softmax follows
// from them without a logit for each of those keys.
// Shapes: b windows times heads, h w rows and columns of real tokens, S side of the window, d channels of a head.

import { fromTypedArray, nn, op, type Tensor } from '@maskrank/torch';

const unfold = op('aten::unfold');
const logsumexp = op('aten::logsumexp');
const logaddexp = op('aten::logaddexp');

/** A table of `length` rows: as it is, or interpolated linearly along its rows as SAM does for another image size. */
function tableOfLength(table: Tensor, length: number): Tensor {
  if (table.size(0) === length) return table; // [L, d]
  const resized = nn.F.interpolate(table.t().unsqueeze(0), [length], { mode: 'linear' }); // [1, d, length]
  return resized.squeeze(0).t(); // [length, d]
}

/** SAM's `get_rel_pos`: the table's row for every pair of query and key place; sizes may differ. [q, k, d] */
export function relativePositions(querySize: number, keySize: number, table: Tensor): Tensor {
  const resized = tableOfLength(table, 2 * Math.max(querySize, keySize) - 1);
  const queryStep = Math.max(keySize / querySize, 1);
  const keyStep = Math.max(querySize / keySize, 1);
  const places = BigInt64Array.from({ length: querySize * keySize }, (_, i) => {
    const query = Math.floor(i / keySize);
    const key = i % keySize;
    return BigInt(Math.trunc(query * queryStep - key * keyStep + (keySize - 1) * keyStep));
  });
  const index = fromTypedArray(places, [querySize * keySize], { device: table.device });
  return resized.indexSelect(0, index).view([querySize, keySize, table.size(1)]);
}

/** As `relativePositions` for equal sizes, channels before keys: row y is the table from y on, backwards. [S, d, S] */
export function tableByQuery(table: Tensor, size: number): Tensor {
  return unfold(tableOfLength(table, 2 * size - 1), 0, size, 1).flip([2]);
}

/** Tables of both axes by query place: rows [S, d, S] and columns [S, d, S]. */
export type RelativeTables = { readonly rows: Tensor; readonly columns: Tensor };

/** From the learned tables h, w [2 S - 1, d] for windows of `sides` (rows, columns) tokens. */
export function relativeTables(h: Tensor, w: Tensor, sides: readonly [number, number]): RelativeTables {
  return { rows: tableByQuery(h, sides[0]), columns: tableByQuery(w, sides[1]) };
}

export type RelativeTerms = {
  /** q.Rh for every row of keys: [b, h, w, S]. */
  readonly rows: Tensor;
  /** q.Rw for every column of keys: [b, h, w, S]. */
  readonly columns: Tensor;
};

/** The two terms for the queries q [b, h, w, d] in the upper left corner of a window. */
export function relativeTerms(q: Tensor, tables: RelativeTables): RelativeTerms {
  const [b, h, w, d] = q.shape as [number, number, number, number];
  const byRow = q
    .transpose(0, 1)
    .reshape([h, b * w, d])
    .bmm(tables.rows.slice(0, 0, h)); // [h, b w, S]
  const byColumn = q
    .permute([2, 0, 1, 3])
    .reshape([w, b * h, d])
    .bmm(tables.columns.slice(0, 0, w)); // [w, b h, S]
  return {
    rows: byRow.view([h, b, w, -1]).transpose(0, 1).contiguous(), // [b, h, w, S]
    columns: byColumn.view([w, b, h, -1]).permute([1, 2, 0, 3]).contiguous(), // [b, h, w, S]
  };
}

/** What is added to the logits of the real keys: [b, h w, h w]. */
export function realBias({ rows, columns }: RelativeTerms): Tensor {
  const [b, h, w] = rows.shape as [number, number, number];
  const real = rows
    .slice(3, 0, h)
    .unsqueeze(4)
    .add(columns.slice(3, 0, w).unsqueeze(3)); // [b, h, w, h, w]
  return real.reshape([b, h * w, h * w]);
}

/**
 * Log of the sum over all padded keys of exp(row term + column term), [b, h w, 1]: padded keys share one key vector, so
 * together they weigh as much as one key with this bias. With P padded rows and Q padded columns the sum runs over
 * (P, all columns) and (real rows, Q), each a product of two sums.
 */
export function paddedBias({ rows, columns }: RelativeTerms): Tensor {
  const [b, h, w, height] = rows.shape as [number, number, number, number];
  const width = columns.size(3);
  const total = (terms: Tensor, from: number, to: number) => logsumexp(terms.slice(3, from, to), [3]); // [b, h, w]
  const parts: Tensor[] = [];
  if (h < height) parts.push(total(rows, h, height).add(total(columns, 0, width)));
  if (w < width) parts.push(total(rows, 0, h).add(total(columns, w, width)));
  return parts.reduce((sum, part) => logaddexp(sum, part)).reshape([b, h * w, 1]);
}
