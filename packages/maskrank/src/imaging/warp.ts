// Moves an image and its masks through one map of coordinates: affine, plus a smooth displacement if wanted. The image is
// read bilinearly, the masks at the nearest pixel, from the very same places. Not here: how much to move (augment.ts).

import { UsageError } from '@maskrank/torch/errors';
import type { Random } from '../util/random.ts';
import type { Image, Mask, Size } from './types.ts';

/** From output to source, both counted from the image's centre, px: `source = [a b; c d] output + shift`. */
export type Affine = {
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly d: number;
  readonly shiftX: number;
  readonly shiftY: number;
};

export type AffineParts = {
  /** Turn of the content, counter-clockwise as seen, degrees. */
  readonly rotationDegrees: number;
  /** Larger than 1 enlarges the content. */
  readonly scale: number;
  /** Movement of the content to the right and down, px. */
  readonly translationPx: readonly [number, number];
  readonly flipHorizontal: boolean;
  readonly flipVertical: boolean;
};

/** The map that turns, scales, moves and mirrors the content about the image's centre. */
export function makeAffine({
  rotationDegrees,
  scale,
  translationPx,
  flipHorizontal,
  flipVertical,
}: AffineParts): Affine {
  const angle = (rotationDegrees * Math.PI) / 180;
  const [cos, sin] = [Math.cos(angle) / scale, Math.sin(angle) / scale];
  const [mirrorX, mirrorY] = [flipHorizontal ? -1 : 1, flipVertical ? -1 : 1];
  // Content moves by t: the source of output p is the inverse turn of p - t, then mirrored.
  const [tx, ty] = translationPx;
  return {
    a: mirrorX * cos,
    b: -mirrorX * sin,
    c: mirrorY * sin,
    d: mirrorY * cos,
    shiftX: mirrorX * (-cos * tx + sin * ty),
    shiftY: mirrorY * (-sin * tx - cos * ty),
  };
}

/** A smooth random displacement: normal at the nodes of a coarse grid, cubic B-spline in between. */
export type Displacement = {
  readonly nodes: number;
  /** Per node (rows first), px. */
  readonly x: Float64Array;
  readonly y: Float64Array;
};

/** @param nodes cells along each side between control points; fewer are smoother */
export function makeDisplacement(nodes: number, sdPx: number, random: Random): Displacement {
  const count = (nodes + 3) ** 2;
  // A B-spline of independent nodes is smoother and smaller than they are: about 0.48 of their deviation.
  const draw = (): Float64Array =>
    Float64Array.from({ length: count }, () => (random.normal() * sdPx) / 0.48);
  return { nodes, x: draw(), y: draw() };
}

export type Sample = { readonly image: Image; readonly masks: readonly Mask[] };

/** Larger images would overflow the fixed-point coordinates below. */
const MAX_SIDE_PX = 10_000;

/** The moved sample, of the same size. Where the source lies outside, the image is `fill` and masks are background. */
export function warp(
  { image, masks }: Sample,
  affine: Affine,
  displacement: Displacement | undefined,
  fill = 0,
): Sample {
  const { width, height } = image;
  if (Math.max(width, height) > MAX_SIDE_PX) {
    throw new UsageError(`warp: ${width} x ${height} px; allowed up to ${MAX_SIDE_PX} a side: resize first.`);
  }
  const moved = { ...image, data: new Uint8Array(image.data.length) };
  const movedMasks = masks.map((mask) => ({ ...mask, data: new Uint8Array(mask.data.length) }));
  const framed = withFrame(image);
  const places = new SourcePlaces(image, affine, displacement);
  for (let y = 0; y < height; y++) {
    places.goToRow(y);
    readBilinear(framed, image, places, moved.data, y * width * image.channels, fill);
    for (let k = 0; k < masks.length; k++) readNearest(masks[k]!, places, movedMasks[k]!.data, y * width);
  }
  return { image: moved, masks: movedMasks };
}

/** Fixed-point coordinates: 16 bits behind the point. */
const ONE = 65536;
const HALF = 32768;

/** Source coordinates of one output row at a time: pixel indices (a centre is a whole number), in units of 1 / ONE px. */
class SourcePlaces {
  readonly x: Int32Array;
  readonly y: Int32Array;
  private readonly size: Size;
  private readonly affine: Affine;
  private readonly bend: Bend | undefined;

  constructor({ width, height }: Size, affine: Affine, displacement: Displacement | undefined) {
    this.x = new Int32Array(width);
    this.y = new Int32Array(width);
    this.size = { width, height };
    this.affine = affine;
    this.bend = displacement && new Bend(this.size, displacement);
  }

  goToRow(y: number): void {
    const { a, b, c, d, shiftX, shiftY } = this.affine;
    const centerX = (this.size.width - 1) / 2;
    const centerY = (this.size.height - 1) / 2;
    const fromX = b * (y - centerY) + shiftX + centerX - a * centerX;
    const fromY = d * (y - centerY) + shiftY + centerY - c * centerX;
    // Half a unit more, so that cutting to integers does not turn 3 - epsilon into the pixel before.
    for (let i = 0; i < this.x.length; i++) {
      this.x[i] = (a * i + fromX) * ONE + 0.5;
      this.y[i] = (c * i + fromY) * ONE + 0.5;
    }
    this.bend?.add(y, this.x, this.y);
  }
}

/** Evaluates a displacement row by row. */
class Bend {
  private readonly size: Size;
  private readonly displacement: Displacement;
  private readonly firsts: Int32Array;
  private readonly weights: Float64Array;

  constructor(size: Size, displacement: Displacement) {
    const { nodes } = displacement;
    const along = Array.from({ length: size.width }, (_, x) =>
      splineAt(((x + 0.5) / size.width) * nodes, nodes),
    );
    this.size = size;
    this.displacement = displacement;
    this.firsts = Int32Array.from(along, ({ first }) => first);
    this.weights = Float64Array.from(along.flatMap(({ weights }) => weights));
  }

  /** Adds row y's displacement to fixed-point coordinates. */
  add(y: number, xs: Int32Array, ys: Int32Array): void {
    const { firsts, weights } = this;
    const nodesX = this.alongRow(y, this.displacement.x);
    const nodesY = this.alongRow(y, this.displacement.y);
    for (let i = 0; i < xs.length; i++) {
      const k = firsts[i]!;
      const w0 = weights[4 * i]!;
      const w1 = weights[4 * i + 1]!;
      const w2 = weights[4 * i + 2]!;
      const w3 = weights[4 * i + 3]!;
      xs[i]! += w0 * nodesX[k]! + w1 * nodesX[k + 1]! + w2 * nodesX[k + 2]! + w3 * nodesX[k + 3]!;
      ys[i]! += w0 * nodesY[k]! + w1 * nodesY[k + 1]! + w2 * nodesY[k + 2]! + w3 * nodesY[k + 3]!;
    }
  }

  /** The control points seen from row y: the columns' splines evaluated there, fixed-point. */
  private alongRow(y: number, values: Float64Array): Float64Array {
    const { nodes } = this.displacement;
    const stride = nodes + 3;
    const { first, weights } = splineAt(((y + 0.5) / this.size.height) * nodes, nodes);
    return Float64Array.from({ length: stride }, (_, k) =>
      weights.reduce((sum, w, t) => sum + w * values[(first + t) * stride + k]! * ONE, 0),
    );
  }
}

/** The displacement at a place (pixel centres are whole numbers) of an image of that size, px; outside as at its edge. */
export function displacementAt(
  { nodes, x, y }: Displacement,
  size: Size,
  place: { readonly x: number; readonly y: number },
): { x: number; y: number } {
  const along = (at: number, side: number) =>
    splineAt(Math.min(Math.max(((at + 0.5) / side) * nodes, 0), nodes), nodes);
  const [column, row] = [along(place.x, size.width), along(place.y, size.height)];
  const read = (values: Float64Array): number =>
    row.weights.reduce((sum, v, j) => {
      const start = (row.first + j) * (nodes + 3) + column.first;
      return sum + v * column.weights.reduce((part, w, i) => part + w * values[start + i]!, 0);
    }, 0);
  return { x: read(x), y: read(y) };
}

/** Uniform cubic B-spline at `place` (0..nodes): four weights from node `first`. */
function splineAt(place: number, nodes: number): { first: number; weights: number[] } {
  const first = Math.min(Math.floor(place), nodes - 1);
  const t = place - first;
  const s = 1 - t;
  const inner = (u: number): number => (3 * u * u * u - 6 * u * u + 4) / 6;
  return { first, weights: [(s * s * s) / 6, inner(t), inner(s), (t * t * t) / 6] };
}

/** The image with its outermost pixels repeated once on every side, so that bilinear reading needs no edge cases. */
function withFrame({ width, height, channels, data }: Image): Uint8Array {
  const rowLength = width * channels;
  const framedLength = rowLength + 2 * channels;
  const out = new Uint8Array(framedLength * (height + 2));
  for (let y = 0; y < height + 2; y++) {
    const from = Math.min(Math.max(y - 1, 0), height - 1) * rowLength;
    const to = y * framedLength;
    out.set(data.subarray(from, from + rowLength), to + channels);
    out.set(data.subarray(from, from + channels), to);
    out.set(data.subarray(from + rowLength - channels, from + rowLength), to + rowLength + channels);
  }
  return out;
}

function readBilinear(
  framed: Uint8Array,
  { width, height, channels }: Image,
  { x: xs, y: ys }: SourcePlaces,
  out: Uint8Array,
  start: number,
  fill: number,
): void {
  const right = width * ONE - HALF;
  const bottom = height * ONE - HALF;
  const rowLength = (width + 2) * channels;
  for (let i = 0; i < width; i++) {
    const x = xs[i]!;
    const y = ys[i]!;
    const to = start + i * channels;
    if (x <= -HALF || y <= -HALF || x >= right || y >= bottom) {
      for (let c = 0; c < channels; c++) out[to + c] = fill;
      continue;
    }
    // The frame shifts everything by one pixel; eight bits of the fraction are weight enough for bytes.
    const column = (x + ONE) >> 16;
    const row = (y + ONE) >> 16;
    const fx = (x >> 8) & 255;
    const fy = (y >> 8) & 255;
    const from = row * rowLength + column * channels;
    for (let c = 0; c < channels; c++) {
      const upperLeft = framed[from + c]!;
      const lowerLeft = framed[from + rowLength + c]!;
      const upper = (upperLeft << 8) + (framed[from + channels + c]! - upperLeft) * fx;
      const lower = (lowerLeft << 8) + (framed[from + rowLength + channels + c]! - lowerLeft) * fx;
      out[to + c] = ((upper << 8) + (lower - upper) * fy + HALF) >> 16;
    }
  }
}

function readNearest(
  { width, height, data }: Mask,
  { x: xs, y: ys }: SourcePlaces,
  out: Uint8Array,
  start: number,
): void {
  for (let i = 0; i < width; i++) {
    const x = (xs[i]! + HALF) >> 16;
    const y = (ys[i]! + HALF) >> 16;
    if (x >= 0 && y >= 0 && x < width && y < height) out[start + i] = data[y * width + x]!;
  }
}
