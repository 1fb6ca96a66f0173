// From an image's own pixels to a model's square canvas and back: one value that says where the image lands, and
// functions that carry images, masks, logits, boxes and points either way. Every model and every prompt goes through here,
// so an offset or a swapped axis cannot differ between training, prediction and evaluation.
// Not here: colour and normalisation constants (normalise.ts), the kernels themselves (resample.ts).

import { UsageError } from '@maskrank/torch/errors';
import { type Normalisation, normaliseInto } from './normalise.ts';
import { type FilterName, nearestIndices, resize, resizeBilinear, resizeNearest } from './resample.ts';
import type { Box, FloatMap, Image, LabelMap, Mask, Point, Size } from './types.ts';

/**
 * - `sammed2d`: SAM-Med2D's loader. Smaller than the canvas on both sides: centred, unscaled. Else stretched.
 * - `stretch`: both axes scaled to fill the canvas, the aspect ratio not kept (SAM-Med2D's predictor, MedSAM).
 * - `longest-side`: the longer side fills the canvas, the rest is padding at the right or bottom (SAM).
 */
export type GeometryRule = 'sammed2d' | 'stretch' | 'longest-side';

/** How an image is resampled on its way to the canvas; filters are Pillow's, with antialiasing. */
export type ImageResampling = 'nearest' | FilterName;

/** Where an original lies on the canvas. Plain JSON: it is stored beside proposals and predictions. */
export type Geometry = {
  readonly rule: GeometryRule;
  readonly original: Size;
  /** Side of the square canvas, px. */
  readonly canvasSize: number;
  /** Whole pixels of the canvas that the image covers; the rest is padding. */
  readonly placed: Box;
  readonly resampling: ImageResampling;
};

type Layout = {
  readonly resampling: ImageResampling;
  readonly place: (original: Size, canvasSize: number) => Box;
};

const LAYOUTS: Record<GeometryRule, Layout> = {
  sammed2d: {
    resampling: 'nearest',
    place: ({ width, height }, side) => {
      if (width >= side || height >= side) return boxAt(0, 0, side, side);
      return boxAt(Math.floor((side - width) / 2), Math.floor((side - height) / 2), width, height);
    },
  },
  stretch: { resampling: 'nearest', place: (_, side) => boxAt(0, 0, side, side) },
  'longest-side': {
    resampling: 'triangle',
    place: (original, side) => {
      const { width, height } = longestSideSize(original, side);
      return boxAt(0, 0, width, height);
    },
  },
};

const boxAt = (x0: number, y0: number, width: number, height: number): Box => ({
  x0,
  y0,
  x1: x0 + width,
  y1: y0 + height,
});

/** Size after SAM's ResizeLongestSide: the longer side becomes `side`, both rounded half up. */
export function longestSideSize({ width, height }: Size, side: number): Size {
  const scale = side / Math.max(width, height);
  return { width: Math.floor(width * scale + 0.5), height: Math.floor(height * scale + 0.5) };
}

export function createGeometry(
  rule: GeometryRule,
  original: Size,
  canvasSize: number,
  options: { /** Replaces the rule's own. */ readonly resampling?: ImageResampling } = {},
): Geometry {
  const sides = [original.width, original.height, canvasSize];
  if (!sides.every((side) => Number.isInteger(side) && side > 0)) {
    throw new UsageError(
      `createGeometry: image ${original.width} x ${original.height}, canvas ${canvasSize}; allowed: positive whole numbers.`,
    );
  }
  const layout = LAYOUTS[rule];
  const placed = layout.place(original, canvasSize);
  if (placed.x1 <= placed.x0 || placed.y1 <= placed.y0) {
    throw new UsageError(
      `createGeometry: an image of ${original.width} x ${original.height} px has no pixel left on a canvas of ${canvasSize} px under the rule ${rule}; crop it or use the rule stretch.`,
    );
  }
  const { width, height } = original;
  return {
    rule,
    original: { width, height },
    canvasSize,
    placed,
    resampling: options.resampling ?? layout.resampling,
  };
}

/** The image in its place on the canvas, resampled and normalised: [3, S, S], padding 0 (the mean colour). */
export function imageToCanvas(geometry: Geometry, image: Image, normalisation: Normalisation): Float32Array {
  const side = geometry.canvasSize;
  const { x0, y0 } = geometry.placed;
  const data = new Float32Array(3 * side * side);
  normaliseInto({ data, width: side, height: side, x0, y0 }, resampleImage(geometry, image), normalisation);
  return data;
}

/** The image at its size on the canvas, without padding: what a person may look at, or a model's statistics need. */
export function resampleImage(geometry: Geometry, image: Image): Image {
  checkOriginal('resampleImage', geometry, image);
  const size = placedSize(geometry);
  if (size.width === image.width && size.height === image.height) return image;
  if (geometry.resampling === 'nearest') return resizeNearest(image, size);
  return resize(image, size, { filter: geometry.resampling });
}

/**
 * - `nearest`: the reference's rule. A thin or tiny structure can vanish.
 * - `area`: on where at least half of the pixel is covered; if that leaves nothing of a non-empty mask, on where the
 *   cover is largest. Never loses a mask.
 */
export type MaskResampling = 'nearest' | 'area';

/** A mask or label map on the canvas, background outside. */
export function maskToCanvas<M extends Mask | LabelMap>(
  geometry: Geometry,
  mask: M,
  how: MaskResampling = 'nearest',
): M {
  checkOriginal('maskToCanvas', geometry, mask);
  const size = placedSize(geometry);
  const small = how === 'nearest' ? resizeNearest(mask, size) : shrinkMaskByArea(mask, size);
  const side = geometry.canvasSize;
  if (size.width === side && size.height === side) return small;
  const data = new Uint8Array(side * side);
  const { x0, y0 } = geometry.placed;
  for (let y = 0; y < size.height; y++) {
    data.set(small.data.subarray(y * size.width, (y + 1) * size.width), (y0 + y) * side + x0);
  }
  return { ...mask, width: side, height: side, data };
}

/** True if the mask has foreground that nearest resampling would lose entirely on the canvas. */
export function vanishesOnCanvas(geometry: Geometry, mask: Mask): boolean {
  return mask.data.includes(1) && !maskToCanvas(geometry, mask).data.includes(1);
}

/**
 * A mask or label map of the canvas at the original's size. Undoes `maskToCanvas` exactly wherever its nearest rule kept a
 * pixel: enlarged masks come back bit for bit.
 */
export function maskToOriginal<M extends Mask | LabelMap>(geometry: Geometry, mask: M): M {
  checkCanvas('maskToOriginal', geometry, mask);
  const { placed, original, canvasSize } = geometry;
  const columns = inverseIndices(original.width, placed.x1 - placed.x0);
  const rows = inverseIndices(original.height, placed.y1 - placed.y0);
  const data = new Uint8Array(original.width * original.height);
  for (let y = 0; y < original.height; y++) {
    const from = (placed.y0 + rows[y]!) * canvasSize + placed.x0;
    const to = y * original.width;
    for (let x = 0; x < original.width; x++) data[to + x] = mask.data[from + columns[x]!]!;
  }
  return { ...mask, width: original.width, height: original.height, data };
}

/**
 * Logits (or any float map) of the canvas, at its size or lower, at the original's size, as the reference does it:
 * bilinear to the canvas, padding cut off, bilinear to the original.
 */
export function logitsToOriginal(geometry: Geometry, logits: FloatMap): FloatMap {
  if (logits.width !== logits.height) {
    throw new UsageError(
      `logitsToOriginal: logits are ${logits.width} x ${logits.height}; allowed: square, as the canvas.`,
    );
  }
  const side = geometry.canvasSize;
  const full = logits.width === side ? logits : resizeBilinear(logits, { width: side, height: side });
  return resizeBilinear(crop(full, geometry.placed), geometry.original);
}

/** Canvas pixels per original pixel, and the shift, px. */
function affine({ placed, original }: Geometry) {
  return {
    scaleX: (placed.x1 - placed.x0) / original.width,
    scaleY: (placed.y1 - placed.y0) / original.height,
    shiftX: placed.x0,
    shiftY: placed.y0,
  };
}

/** Coordinates are scaled as SAM scales them: multiplied, without a shift by half a pixel and without rounding. */
export function pointToCanvas<P extends { readonly x: number; readonly y: number }>(
  geometry: Geometry,
  point: P,
): P {
  const { scaleX, scaleY, shiftX, shiftY } = affine(geometry);
  return { ...point, x: point.x * scaleX + shiftX, y: point.y * scaleY + shiftY };
}

export function pointToOriginal<P extends Pick<Point, 'x' | 'y'>>(geometry: Geometry, point: P): P {
  const { scaleX, scaleY, shiftX, shiftY } = affine(geometry);
  return { ...point, x: (point.x - shiftX) / scaleX, y: (point.y - shiftY) / scaleY };
}

export function boxToCanvas(geometry: Geometry, box: Box): Box {
  return mapCorners(box, (corner) => pointToCanvas(geometry, corner));
}

export function boxToOriginal(geometry: Geometry, box: Box): Box {
  return mapCorners(box, (corner) => pointToOriginal(geometry, corner));
}

type Corner = { readonly x: number; readonly y: number };

function mapCorners(box: Box, map: (corner: Corner) => Corner): Box {
  const first = map({ x: box.x0, y: box.y0 });
  const last = map({ x: box.x1, y: box.y1 });
  return { x0: first.x, y0: first.y, x1: last.x, y1: last.y };
}

/** For every original index the index of the placed image that shows it: one that was copied from it, if there is one. */
function inverseIndices(original: number, placed: number): Int32Array {
  const out = Int32Array.from({ length: original }, (_, i) => Math.floor(((i + 0.5) * placed) / original));
  const forward = nearestIndices(original, placed);
  for (let j = 0; j < placed; j++) {
    const i = forward[j]!;
    if (forward[out[i]!] !== i) out[i] = j;
  }
  return out;
}

function shrinkMaskByArea<M extends Mask | LabelMap>(mask: M, size: Size): M {
  const data = new Uint8Array(size.width * size.height);
  const best = new Float32Array(data.length);
  const ids = [...new Set(mask.data)].filter((id) => id !== 0);
  for (const id of ids) {
    const cover = resize(
      {
        width: mask.width,
        height: mask.height,
        data: Float32Array.from(mask.data, (v) => (v === id ? 1 : 0)),
      },
      size,
      { filter: 'area' },
    ).data;
    const largest = cover.reduce((a, b) => Math.max(a, b), 0);
    const threshold = Math.min(0.5, largest) - 1e-6;
    for (let i = 0; i < data.length; i++) {
      if (cover[i]! < threshold || cover[i]! <= best[i]!) continue;
      data[i] = id;
      best[i] = cover[i]!;
    }
  }
  return { ...mask, width: size.width, height: size.height, data };
}

function crop(map: FloatMap, { x0, y0, x1, y1 }: Box): FloatMap {
  const [width, height] = [x1 - x0, y1 - y0];
  if (width === map.width && height === map.height) return map;
  const data = new Float32Array(width * height);
  for (let y = 0; y < height; y++) {
    const from = (y0 + y) * map.width + x0;
    data.set(map.data.subarray(from, from + width), y * width);
  }
  return { width, height, data };
}

const placedSize = ({ placed }: Geometry): Size => ({
  width: placed.x1 - placed.x0,
  height: placed.y1 - placed.y0,
});

function checkOriginal(who: string, { original }: Geometry, { width, height }: Size): void {
  if (width === original.width && height === original.height) return;
  throw new UsageError(
    `${who}: got ${width} x ${height}; this geometry belongs to ${original.width} x ${original.height} px.`,
  );
}

function checkCanvas(who: string, { canvasSize }: Geometry, { width, height }: Size): void {
  if (width === canvasSize && height === canvasSize) return;
  throw new UsageError(
    `${who}: got ${width} x ${height}; this geometry's canvas is ${canvasSize} x ${canvasSize} px.`,
  );
}
