// The pure parts of SAM's "segment everything" (segment-anything, utils/amg.py): a grid of points, overlapping crops, and
// the stability of a thresholded mask. Not here: running a model on them.

import type { Box, FloatMap, Size } from './types.ts';

/** `perSide` x `perSide` points in the middle of equal cells, as shares of width and height; rows from the top. */
export function pointGrid(perSide: number): { readonly x: number; readonly y: number }[] {
  return Array.from({ length: perSide * perSide }, (_, i) => ({
    x: ((i % perSide) + 0.5) / perSide,
    y: (Math.floor(i / perSide) + 0.5) / perSide,
  }));
}

/**
 * The whole image (layer 0), then for layer k a grid of 2^k by 2^k crops.
 * @param overlapRatio share of the shorter side by which crops of the first layer overlap; halved in each further layer
 */
export function cropBoxes(
  { width, height }: Size,
  layers: number,
  overlapRatio: number,
): { readonly layer: number; readonly box: Box }[] {
  const crops = [{ layer: 0, box: { x0: 0, y0: 0, x1: width, y1: height } }];
  for (let layer = 1; layer <= layers; layer++) {
    const perSide = 2 ** layer;
    const overlap = Math.trunc(overlapRatio * Math.min(width, height) * (2 / perSide));
    const cropLength = (side: number): number => Math.ceil((overlap * (perSide - 1) + side) / perSide);
    const [cropWidth, cropHeight] = [cropLength(width), cropLength(height)];
    // Columns outside, rows inside: the reference's order.
    for (let column = 0; column < perSide; column++) {
      for (let row = 0; row < perSide; row++) {
        const [x0, y0] = [(cropWidth - overlap) * column, (cropHeight - overlap) * row];
        const box = { x0, y0, x1: Math.min(x0 + cropWidth, width), y1: Math.min(y0 + cropHeight, height) };
        crops.push({ layer, box });
      }
    }
  }
  return crops;
}

/** IoU of the masks thresholded at `threshold + offset` and `threshold - offset`: near 1 where the border is sharp. NaN if both are empty. */
export function stabilityScore({ data }: Pick<FloatMap, 'data'>, threshold: number, offset: number): number {
  let [strict, loose] = [0, 0];
  for (const value of data) {
    if (value > threshold + offset) strict++;
    if (value > threshold - offset) loose++;
  }
  return strict / loose;
}
