// Pictures for people: masks as translucent colour with a contour, boxes and points, drawn on an image at the size it is
// shown at; and tiles side by side. Lines have a dark rim, so they stand out on bright and dark ground alike.
// Not here: text (the pages that show these have their own), file formats, which cases are shown.

import { UsageError } from '@maskrank/torch/errors';
import { squaredDistanceTransform } from './distance-transform.ts';
import { invert } from './morphology.ts';
import { resize } from './resample.ts';
import type { Box, Image, Mask, Point, Size } from './types.ts';

export type Colour = readonly [red: number, green: number, blue: number];

/** Told apart also with the common forms of colour blindness, and on grey (after Okabe and Ito 2008). */
export const COLOURS = {
  orange: [255, 159, 28],
  sky: [86, 190, 245],
  green: [20, 200, 140],
  yellow: [245, 230, 70],
  vermilion: [240, 90, 40],
  purple: [220, 125, 190],
  blue: [60, 130, 246],
  white: [255, 255, 255],
} as const satisfies Record<string, Colour>;

/** Colours for classes 1, 2, ...; they repeat after the last. */
export const CLASS_COLOURS: readonly Colour[] = Object.values(COLOURS).slice(0, -1);

/** What is drawn, in the image's own pixels. */
export type Layer =
  | {
      readonly kind: 'mask';
      readonly mask: Mask;
      readonly colour: Colour;
      readonly opacity?: number;
      readonly contourPx?: number;
    }
  | { readonly kind: 'box'; readonly box: Box; readonly colour: Colour; readonly linePx?: number }
  | { readonly kind: 'point'; readonly point: Point; readonly colour: Colour; readonly radiusPx?: number };

export type OverlayOptions = {
  /** Longer side of the picture, px. Default: the image's own. Line widths are in the picture's pixels. */
  readonly longestSidePx?: number;
};

/** The image in RGB with the layers on it, later ones on top. */
export function drawOverlay(
  image: Image,
  layers: readonly Layer[],
  { longestSidePx }: OverlayOptions = {},
): Image {
  const scale = (longestSidePx ?? Math.max(image.width, image.height)) / Math.max(image.width, image.height);
  const side = (px: number): number => Math.max(1, Math.round(px * scale));
  const size = { width: side(image.width), height: side(image.height) };
  const canvas = toRgb(resize(image, size, { filter: scale < 1 ? 'area' : 'triangle' }));
  for (const layer of layers)
    drawLayer(canvas, layer, { x: size.width / image.width, y: size.height / image.height }, image);
  return canvas;
}

type Scale = { readonly x: number; readonly y: number };

function drawLayer(canvas: Image, layer: Layer, scale: Scale, image: Size): void {
  switch (layer.kind) {
    case 'mask': {
      const { mask, colour, opacity = 0.22, contourPx = 2 } = layer;
      if (mask.width !== image.width || mask.height !== image.height) {
        throw new UsageError(
          `drawOverlay: mask of ${mask.width} x ${mask.height} on an image of ${image.width} x ${image.height}; allowed: equal sizes.`,
        );
      }
      drawMask(canvas, resizeSmoothly(mask, canvas), colour, opacity, contourPx);
      return;
    }
    case 'box': {
      const { x0, y0, x1, y1 } = layer.box;
      const box = { x0: x0 * scale.x, y0: y0 * scale.y, x1: x1 * scale.x, y1: y1 * scale.y };
      drawBox(canvas, box, layer.colour, layer.linePx ?? 2);
      return;
    }
    case 'point': {
      const { x, y, label } = layer.point;
      // A point names a pixel: it is drawn at that pixel's centre.
      drawPoint(canvas, (x + 0.5) * scale.x, (y + 0.5) * scale.y, label, layer.colour, layer.radiusPx ?? 5);
      return;
    }
    default:
      layer satisfies never;
  }
}

/** For looking at only: enlarged contours run smoothly instead of in steps. */
function resizeSmoothly(mask: Mask, size: Size): Mask {
  const { width, height } = size;
  const cover = resize(
    { width: mask.width, height: mask.height, data: Float32Array.from(mask.data) },
    { width, height },
  );
  return { width, height, data: Uint8Array.from(cover.data, (v) => (v >= 0.5 ? 1 : 0)) };
}

export function toRgb(image: Image): Image {
  if (image.channels === 3) return { ...image, data: image.data.slice() };
  const data = new Uint8Array(image.data.length * 3);
  for (let i = 0; i < image.data.length; i++) data.fill(image.data[i]!, 3 * i, 3 * i + 3);
  return { ...image, channels: 3, data };
}

const RIM: Colour = [0, 0, 0];
const RIM_OPACITY = 0.55;

function blend({ data }: Image, pixel: number, colour: Colour, opacity: number): void {
  for (let c = 0; c < 3; c++) {
    const at = pixel * 3 + c;
    data[at] = data[at]! + (colour[c]! - data[at]!) * opacity + 0.5;
  }
}

function drawMask(canvas: Image, mask: Mask, colour: Colour, opacity: number, contourPx: number): void {
  const { width, height, data } = mask;
  if (!data.includes(1)) return;
  const inner = data.includes(0) ? squaredDistanceTransform(invert(mask).data, width, height) : undefined;
  const outer = squaredDistanceTransform(data, width, height);
  for (let i = 0; i < data.length; i++) {
    if (data[i] === 0) {
      if (contourPx > 0 && outer[i]! <= 1) blend(canvas, i, RIM, RIM_OPACITY);
    } else {
      const onContour = contourPx > 0 && inner !== undefined && inner[i]! <= contourPx * contourPx;
      blend(canvas, i, colour, onContour ? 1 : opacity);
    }
  }
}

/** Colours every pixel of the rectangle by how far it lies from a line: on it, on its rim, or neither. */
function drawStroke(
  canvas: Image,
  bounds: Box,
  distance: (x: number, y: number) => number,
  linePx: number,
  colour: Colour,
): void {
  const reach = linePx / 2 + 1;
  const [left, right] = [Math.floor(bounds.x0 - reach), Math.ceil(bounds.x1 + reach)];
  const [top, bottom] = [Math.floor(bounds.y0 - reach), Math.ceil(bounds.y1 + reach)];
  for (let y = Math.max(0, top); y < Math.min(canvas.height, bottom); y++) {
    for (let x = Math.max(0, left); x < Math.min(canvas.width, right); x++) {
      // Distance of the pixel's centre from the line's edge; half a pixel of it is smoothed away.
      const beyond = distance(x + 0.5, y + 0.5) - linePx / 2;
      if (beyond >= 1.5) continue;
      const pixel = y * canvas.width + x;
      blend(canvas, pixel, RIM, RIM_OPACITY * Math.min(1, 1.5 - beyond));
      if (beyond < 0.5) blend(canvas, pixel, colour, Math.min(1, 0.5 - beyond));
    }
  }
}

function drawBox(canvas: Image, box: Box, colour: Colour, linePx: number): void {
  const distance = (x: number, y: number): number => {
    const dx = Math.max(box.x0 - x, x - box.x1);
    const dy = Math.max(box.y0 - y, y - box.y1);
    return dx <= 0 && dy <= 0 ? -Math.max(dx, dy) : Math.hypot(Math.max(dx, 0), Math.max(dy, 0));
  };
  drawStroke(canvas, box, distance, linePx, colour);
}

/** Foreground points are filled discs with a white ring; background points are crosses. */
function drawPoint(
  canvas: Image,
  x: number,
  y: number,
  label: 0 | 1,
  colour: Colour,
  radiusPx: number,
): void {
  const bounds = { x0: x - radiusPx, y0: y - radiusPx, x1: x + radiusPx, y1: y + radiusPx };
  if (label === 1) {
    drawStroke(canvas, bounds, (px, py) => Math.hypot(px - x, py - y), 2 * radiusPx, COLOURS.white);
    drawStroke(canvas, bounds, (px, py) => Math.hypot(px - x, py - y) + 1, 2 * (radiusPx - 1) + 1, colour);
    return;
  }
  const cross = (px: number, py: number): number => {
    const [along, across] = [(px - x + (py - y)) / Math.SQRT2, (px - x - (py - y)) / Math.SQRT2];
    const arm = (u: number, v: number): number => Math.hypot(Math.max(Math.abs(u) - radiusPx, 0), v);
    return Math.min(arm(along, across), arm(across, along));
  };
  drawStroke(canvas, bounds, cross, 3, colour);
}

export type PanelOptions = {
  readonly columns: number;
  /** Between tiles, px. Default 6. */
  readonly gapPx?: number;
  readonly background?: Colour;
};

/** Tiles in rows, in reading order; smaller ones are centred in cells of the largest's size. */
export function panel(
  tiles: readonly Image[],
  { columns, gapPx = 6, background = [24, 24, 27] }: PanelOptions,
): Image {
  if (tiles.length === 0 || columns < 1) {
    throw new UsageError(
      `panel: ${tiles.length} tiles in ${columns} columns; allowed: at least one of each.`,
    );
  }
  const across = Math.min(columns, tiles.length);
  const down = Math.ceil(tiles.length / across);
  const cellWidth = Math.max(...tiles.map(({ width }) => width));
  const cellHeight = Math.max(...tiles.map(({ height }) => height));
  const width = across * cellWidth + (across - 1) * gapPx;
  const height = down * cellHeight + (down - 1) * gapPx;
  const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => background[i % 3]!);
  for (const [k, tile] of tiles.entries()) {
    const rgb = toRgb(tile).data;
    const left = (k % across) * (cellWidth + gapPx) + ((cellWidth - tile.width) >> 1);
    const top = Math.floor(k / across) * (cellHeight + gapPx) + ((cellHeight - tile.height) >> 1);
    for (let y = 0; y < tile.height; y++) {
      data.set(rgb.subarray(y * tile.width * 3, (y + 1) * tile.width * 3), ((top + y) * width + left) * 3);
    }
  }
  return { width, height, channels: 3, data };
}
