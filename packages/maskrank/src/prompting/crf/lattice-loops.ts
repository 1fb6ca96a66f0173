// The three passes of a lattice filter over flat arrays. One channel is the common case (two labels) and is unrolled for the
// simplices of grey images and colours: it is most of a CRF's time.
// N points, S = D + 1 corners of a simplex, M vertices numbered from 1, C channels. Vertex 0 is no vertex and stays 0.

/** Where points lie: corners and their weights, both [N, S]. */
export type Placement = {
  readonly corners: number;
  readonly vertexOf: Int32Array;
  readonly weights: Float32Array;
};

/** Sums, kept in float64: adding up in place is quicker without a conversion. [M + 1, C] */
export type VertexValues = Float64Array;

/** Spreads the values of points onto vertices: to += W^T (scale values). */
type Splat = (to: VertexValues, values: Float32Array, scale: Float32Array, placement: Placement) => void;

/** Reads points back: out = gain scale (W from). */
type Slice = (
  out: Float32Array,
  from: VertexValues,
  scale: Float32Array,
  placement: Placement,
  gain: number,
) => void;

const splat3: Splat = (to, values, scale, { vertexOf: v, weights: w }) => {
  for (let k = 0, at = 0; at < v.length; k++, at += 3) {
    const value = scale[k]! * values[k]!;
    to[v[at]!]! += w[at]! * value;
    to[v[at + 1]!]! += w[at + 1]! * value;
    to[v[at + 2]!]! += w[at + 2]! * value;
  }
};

const splat4: Splat = (to, values, scale, { vertexOf: v, weights: w }) => {
  for (let k = 0, at = 0; at < v.length; k++, at += 4) {
    const value = scale[k]! * values[k]!;
    to[v[at]!]! += w[at]! * value;
    to[v[at + 1]!]! += w[at + 1]! * value;
    to[v[at + 2]!]! += w[at + 2]! * value;
    to[v[at + 3]!]! += w[at + 3]! * value;
  }
};

const splat6: Splat = (to, values, scale, { vertexOf: v, weights: w }) => {
  for (let k = 0, at = 0; at < v.length; k++, at += 6) {
    const value = scale[k]! * values[k]!;
    to[v[at]!]! += w[at]! * value;
    to[v[at + 1]!]! += w[at + 1]! * value;
    to[v[at + 2]!]! += w[at + 2]! * value;
    to[v[at + 3]!]! += w[at + 3]! * value;
    to[v[at + 4]!]! += w[at + 4]! * value;
    to[v[at + 5]!]! += w[at + 5]! * value;
  }
};

const slice3: Slice = (out, from, scale, { vertexOf: v, weights: w }, gain) => {
  for (let k = 0, at = 0; at < v.length; k++, at += 3) {
    const sum = w[at]! * from[v[at]!]! + w[at + 1]! * from[v[at + 1]!]! + w[at + 2]! * from[v[at + 2]!]!;
    out[k] = gain * scale[k]! * sum;
  }
};

const slice4: Slice = (out, from, scale, { vertexOf: v, weights: w }, gain) => {
  for (let k = 0, at = 0; at < v.length; k++, at += 4) {
    const left = w[at]! * from[v[at]!]! + w[at + 1]! * from[v[at + 1]!]!;
    const right = w[at + 2]! * from[v[at + 2]!]! + w[at + 3]! * from[v[at + 3]!]!;
    out[k] = gain * scale[k]! * (left + right);
  }
};

const slice6: Slice = (out, from, scale, { vertexOf: v, weights: w }, gain) => {
  for (let k = 0, at = 0; at < v.length; k++, at += 6) {
    const left = w[at]! * from[v[at]!]! + w[at + 1]! * from[v[at + 1]!]! + w[at + 2]! * from[v[at + 2]!]!;
    const right =
      w[at + 3]! * from[v[at + 3]!]! + w[at + 4]! * from[v[at + 4]!]! + w[at + 5]! * from[v[at + 5]!]!;
    out[k] = gain * scale[k]! * (left + right);
  }
};

/** Unrolled forms for one channel, by the number of corners. */
const UNROLLED: Readonly<Record<number, { readonly splat: Splat; readonly slice: Slice }>> = {
  3: { splat: splat3, slice: slice3 },
  4: { splat: splat4, slice: slice4 },
  6: { splat: splat6, slice: slice6 },
};

export function splat(
  to: VertexValues,
  values: Float32Array,
  scale: Float32Array,
  placement: Placement,
  channels: number,
): void {
  const unrolled = channels === 1 ? UNROLLED[placement.corners] : undefined;
  if (unrolled !== undefined) {
    unrolled.splat(to, values, scale, placement);
    return;
  }
  const { corners, vertexOf, weights } = placement;
  for (let k = 0, from = 0, at = 0; at < vertexOf.length; k++, from += channels) {
    for (const end = at + corners; at < end; at++) {
      const vertex = vertexOf[at]! * channels;
      const weight = scale[k]! * weights[at]!;
      for (let c = 0; c < channels; c++) to[vertex + c]! += weight * values[from + c]!;
    }
  }
}

export function slice(
  out: Float32Array,
  from: VertexValues,
  scale: Float32Array,
  placement: Placement,
  channels: number,
  gain: number,
): void {
  const unrolled = channels === 1 ? UNROLLED[placement.corners] : undefined;
  if (unrolled !== undefined) {
    unrolled.slice(out, from, scale, placement, gain);
    return;
  }
  const { corners, vertexOf, weights } = placement;
  for (let k = 0, to = 0, at = 0; at < vertexOf.length; k++, to += channels) {
    for (let c = 0; c < channels; c++) out[to + c] = 0;
    for (const end = at + corners; at < end; at++) {
      const vertex = vertexOf[at]! * channels;
      const weight = gain * scale[k]! * weights[at]!;
      for (let c = 0; c < channels; c++) out[to + c]! += weight * from[vertex + c]!;
    }
  }
}

/** One axis: every vertex takes half of what the vertices before and after it hold. Neighbours are [M, 2]. */
export function blur(to: VertexValues, from: VertexValues, neighbours: Int32Array, channels: number): void {
  if (channels === 1) {
    for (let at = 0, vertex = 1; at < neighbours.length; at += 2, vertex++) {
      to[vertex] = from[vertex]! + 0.5 * (from[neighbours[at]!]! + from[neighbours[at + 1]!]!);
    }
    return;
  }
  for (let at = 0, vertex = channels; at < neighbours.length; at += 2) {
    const before = neighbours[at]! * channels;
    const after = neighbours[at + 1]! * channels;
    for (let c = 0; c < channels; c++, vertex++) {
      to[vertex] = from[vertex]! + 0.5 * (from[before + c]! + from[after + c]!);
    }
  }
}
