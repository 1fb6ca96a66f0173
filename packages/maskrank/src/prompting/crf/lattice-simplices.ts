// Simplices of points in 2, 3 and 5 dimensions (places; places and grey; places and colours), written out: the numbers of a
// point stay in registers, which halves the time of the general form in lattice-placement.ts. The steps are explained there.
// p parts of the features, m their running sums, e lattice coordinates, n their nearest multiples of S (in units of S),
// a what is left, b comparisons, r ranks, w moves by S. N points, D features, S = D + 1 corners, B points of a block.

import type { Axes } from './lattice-axes.ts';

/**
 * Weights and codes of the corners of `size` points, from point `first` on.
 * @param data features of all points [N, D]
 * @param weights of all points [N, S]
 * @param codes of this block [B, S]
 */
export type PlaceBlock = (
  data: Float32Array,
  axes: Axes,
  first: number,
  size: number,
  weights: Float32Array,
  codes: Float64Array,
) => void;

const f32 = Math.fround;
/** Adding and subtracting it rounds to a whole number, ties to even. */
const ROUNDING = 1.5 * 2 ** 52;

/** By how much a rank has to move to lie in 0..S - 1. */
const wrap = (rank: number, corners: number): number =>
  ((rank >> 31) & corners) - (((corners - 1 - rank) >> 31) & corners);

type Parts2 = readonly [number, number];
type Parts3 = readonly [number, number, number];
type Parts5 = readonly [number, number, number, number, number];

/** Places. */
const place2: PlaceBlock = (data, { scales, strides }, first, size, weights, codes) => {
  const [q0, q1] = scales as unknown as Parts2;
  const [s0, s1] = strides as unknown as Parts2;
  const inverse = f32(1 / 3);
  const share = 1 / 3;
  const rest = new Float64Array(3);
  const stride = new Float64Array(3);
  for (let from = 2 * first, at = 3 * first, c = 0; c < 3 * size; from += 2, at += 3, c += 3) {
    const p0 = f32(data[from]! * q0);
    const p1 = f32(data[from + 1]! * q1);
    const e2 = -f32(2 * p1);
    const e1 = f32(p1 - p0);
    const e0 = f32(p1 + p0);
    const n0 = f32(e0 * inverse) + ROUNDING - ROUNDING;
    const n1 = f32(e1 * inverse) + ROUNDING - ROUNDING;
    const n2 = f32(e2 * inverse) + ROUNDING - ROUNDING;
    const a0 = f32(e0 - 3 * n0);
    const a1 = f32(e1 - 3 * n1);
    const a2 = f32(e2 - 3 * n2);
    const b01 = Number(a0 < a1);
    const b02 = Number(a0 < a2);
    const b12 = Number(a1 < a2);
    const excess = (n0 + n1 + n2) | 0;
    const r0 = (excess + b01 + b02) | 0;
    const r1 = (excess + 1 - b01 + b12) | 0;
    const r2 = (excess + 2 - b02 - b12) | 0;
    const w0 = wrap(r0, 3);
    const w1 = wrap(r1, 3);
    const w2 = wrap(r2, 3);
    rest[r0 + w0] = a0 - w0;
    stride[r0 + w0] = s0;
    rest[r1 + w1] = a1 - w1;
    stride[r1 + w1] = s1;
    rest[r2 + w2] = a2 - w2;
    stride[r2 + w2] = 0;
    let code = (n0 + share * w0) * s0 + (n1 + share * w1) * s1;
    const v0 = rest[0]!;
    const v1 = rest[1]!;
    const v2 = rest[2]!;
    weights[at] = share * (v2 - v0 + 3);
    codes[c] = code;
    weights[at + 1] = share * (v1 - v2);
    code += 1 - stride[2]!;
    codes[c + 1] = code;
    weights[at + 2] = share * (v0 - v1);
    code += 1 - stride[1]!;
    codes[c + 2] = code;
  }
};

/** Places and grey. */
const place3: PlaceBlock = (data, { scales, strides }, first, size, weights, codes) => {
  const [q0, q1, q2] = scales as unknown as Parts3;
  const [s0, s1, s2] = strides as unknown as Parts3;
  const inverse = f32(1 / 4);
  const share = 1 / 4;
  const rest = new Float64Array(4);
  const stride = new Float64Array(4);
  for (let from = 3 * first, at = 4 * first, c = 0; c < 4 * size; from += 3, at += 4, c += 4) {
    const p0 = f32(data[from]! * q0);
    const p1 = f32(data[from + 1]! * q1);
    const p2 = f32(data[from + 2]! * q2);
    const e3 = -f32(3 * p2);
    const e2 = f32(p2 - f32(2 * p1));
    const m1 = f32(p2 + p1);
    const e1 = f32(m1 - p0);
    const e0 = f32(m1 + p0);
    const n0 = f32(e0 * inverse) + ROUNDING - ROUNDING;
    const n1 = f32(e1 * inverse) + ROUNDING - ROUNDING;
    const n2 = f32(e2 * inverse) + ROUNDING - ROUNDING;
    const n3 = f32(e3 * inverse) + ROUNDING - ROUNDING;
    const a0 = f32(e0 - 4 * n0);
    const a1 = f32(e1 - 4 * n1);
    const a2 = f32(e2 - 4 * n2);
    const a3 = f32(e3 - 4 * n3);
    const b01 = Number(a0 < a1);
    const b02 = Number(a0 < a2);
    const b03 = Number(a0 < a3);
    const b12 = Number(a1 < a2);
    const b13 = Number(a1 < a3);
    const b23 = Number(a2 < a3);
    const excess = (n0 + n1 + n2 + n3) | 0;
    const r0 = (excess + b01 + b02 + b03) | 0;
    const r1 = (excess + 1 - b01 + b12 + b13) | 0;
    const r2 = (excess + 2 - b02 - b12 + b23) | 0;
    const r3 = (excess + 3 - b03 - b13 - b23) | 0;
    const w0 = wrap(r0, 4);
    const w1 = wrap(r1, 4);
    const w2 = wrap(r2, 4);
    const w3 = wrap(r3, 4);
    rest[r0 + w0] = a0 - w0;
    stride[r0 + w0] = s0;
    rest[r1 + w1] = a1 - w1;
    stride[r1 + w1] = s1;
    rest[r2 + w2] = a2 - w2;
    stride[r2 + w2] = s2;
    rest[r3 + w3] = a3 - w3;
    stride[r3 + w3] = 0;
    let code = (n0 + share * w0) * s0 + (n1 + share * w1) * s1 + (n2 + share * w2) * s2;
    const v0 = rest[0]!;
    const v1 = rest[1]!;
    const v2 = rest[2]!;
    const v3 = rest[3]!;
    weights[at] = share * (v3 - v0 + 4);
    codes[c] = code;
    weights[at + 1] = share * (v2 - v3);
    code += 1 - stride[3]!;
    codes[c + 1] = code;
    weights[at + 2] = share * (v1 - v2);
    code += 1 - stride[2]!;
    codes[c + 2] = code;
    weights[at + 3] = share * (v0 - v1);
    code += 1 - stride[1]!;
    codes[c + 3] = code;
  }
};

/** Places and colours. */
const place5: PlaceBlock = (data, { scales, strides }, first, size, weights, codes) => {
  const [q0, q1, q2, q3, q4] = scales as unknown as Parts5;
  const [s0, s1, s2, s3, s4] = strides as unknown as Parts5;
  const inverse = f32(1 / 6);
  const share = 1 / 6;
  const rest = new Float64Array(6);
  const stride = new Float64Array(6);
  for (let from = 5 * first, at = 6 * first, c = 0; c < 6 * size; from += 5, at += 6, c += 6) {
    const p0 = f32(data[from]! * q0);
    const p1 = f32(data[from + 1]! * q1);
    const p2 = f32(data[from + 2]! * q2);
    const p3 = f32(data[from + 3]! * q3);
    const p4 = f32(data[from + 4]! * q4);
    const e5 = -f32(5 * p4);
    const e4 = f32(p4 - f32(4 * p3));
    const m3 = f32(p4 + p3);
    const e3 = f32(m3 - f32(3 * p2));
    const m2 = f32(m3 + p2);
    const e2 = f32(m2 - f32(2 * p1));
    const m1 = f32(m2 + p1);
    const e1 = f32(m1 - p0);
    const e0 = f32(m1 + p0);
    const n0 = f32(e0 * inverse) + ROUNDING - ROUNDING;
    const n1 = f32(e1 * inverse) + ROUNDING - ROUNDING;
    const n2 = f32(e2 * inverse) + ROUNDING - ROUNDING;
    const n3 = f32(e3 * inverse) + ROUNDING - ROUNDING;
    const n4 = f32(e4 * inverse) + ROUNDING - ROUNDING;
    const n5 = f32(e5 * inverse) + ROUNDING - ROUNDING;
    const a0 = f32(e0 - 6 * n0);
    const a1 = f32(e1 - 6 * n1);
    const a2 = f32(e2 - 6 * n2);
    const a3 = f32(e3 - 6 * n3);
    const a4 = f32(e4 - 6 * n4);
    const a5 = f32(e5 - 6 * n5);
    const b01 = Number(a0 < a1);
    const b02 = Number(a0 < a2);
    const b03 = Number(a0 < a3);
    const b04 = Number(a0 < a4);
    const b05 = Number(a0 < a5);
    const b12 = Number(a1 < a2);
    const b13 = Number(a1 < a3);
    const b14 = Number(a1 < a4);
    const b15 = Number(a1 < a5);
    const b23 = Number(a2 < a3);
    const b24 = Number(a2 < a4);
    const b25 = Number(a2 < a5);
    const b34 = Number(a3 < a4);
    const b35 = Number(a3 < a5);
    const b45 = Number(a4 < a5);
    const excess = (n0 + n1 + n2 + n3 + n4 + n5) | 0;
    const r0 = (excess + b01 + b02 + b03 + b04 + b05) | 0;
    const r1 = (excess + 1 - b01 + b12 + b13 + b14 + b15) | 0;
    const r2 = (excess + 2 - b02 - b12 + b23 + b24 + b25) | 0;
    const r3 = (excess + 3 - b03 - b13 - b23 + b34 + b35) | 0;
    const r4 = (excess + 4 - b04 - b14 - b24 - b34 + b45) | 0;
    const r5 = (excess + 5 - b05 - b15 - b25 - b35 - b45) | 0;
    const w0 = wrap(r0, 6);
    const w1 = wrap(r1, 6);
    const w2 = wrap(r2, 6);
    const w3 = wrap(r3, 6);
    const w4 = wrap(r4, 6);
    const w5 = wrap(r5, 6);
    rest[r0 + w0] = a0 - w0;
    stride[r0 + w0] = s0;
    rest[r1 + w1] = a1 - w1;
    stride[r1 + w1] = s1;
    rest[r2 + w2] = a2 - w2;
    stride[r2 + w2] = s2;
    rest[r3 + w3] = a3 - w3;
    stride[r3 + w3] = s3;
    rest[r4 + w4] = a4 - w4;
    stride[r4 + w4] = s4;
    rest[r5 + w5] = a5 - w5;
    stride[r5 + w5] = 0;
    let code =
      (n0 + share * w0) * s0 +
      (n1 + share * w1) * s1 +
      (n2 + share * w2) * s2 +
      (n3 + share * w3) * s3 +
      (n4 + share * w4) * s4;
    const v0 = rest[0]!;
    const v1 = rest[1]!;
    const v2 = rest[2]!;
    const v3 = rest[3]!;
    const v4 = rest[4]!;
    const v5 = rest[5]!;
    weights[at] = share * (v5 - v0 + 6);
    codes[c] = code;
    weights[at + 1] = share * (v4 - v5);
    code += 1 - stride[5]!;
    codes[c + 1] = code;
    weights[at + 2] = share * (v3 - v4);
    code += 1 - stride[4]!;
    codes[c + 2] = code;
    weights[at + 3] = share * (v2 - v3);
    code += 1 - stride[3]!;
    codes[c + 3] = code;
    weights[at + 4] = share * (v1 - v2);
    code += 1 - stride[2]!;
    codes[c + 4] = code;
    weights[at + 5] = share * (v0 - v1);
    code += 1 - stride[1]!;
    codes[c + 5] = code;
  }
};

/** By the number of dimensions. */
export const UNROLLED_PLACING: Readonly<Record<number, PlaceBlock>> = { 2: place2, 3: place3, 5: place5 };
