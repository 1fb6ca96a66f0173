// Large images: a CRF's cost grows with the pixels, and a saliency map knows nothing as fine as a pixel of a large image. So the
// CRF may work on a smaller copy. There a pixel stands for a block of the large image, with the block's mean colour and mean
// energies: what it costs, a pixel, to give the whole block one label. Probabilities come back to full size by bilinear
// interpolation and only then become labels, so that borders are smooth and not made of blocks.
//
// Sigmas in pixels are pixels of the image as the CRF sees it. They are not rescaled: a large image gives the labels of its small
// copy, whatever the scanner's resolution, and the published sigmas (3 and 60 px) keep the meaning that they have at the sizes
// for which they were published. Rescaled ones would fall below a pixel, where the smoothness term does nothing.
// Not here: the CRF (dense-crf.ts), saliency (regions/foreground.ts).

import { UsageError } from '@maskrank/torch/errors';
import { resize, resizeBilinear } from '../../imaging/resample.ts';
import type { Size } from '../../imaging/types.ts';
import type { CrfImage } from './features.ts';
import type { Unary } from './mean-field.ts';

/** The size at which the CRF works: `size` shrunk to a longer side of `sidePx`, never enlarged; null is full size. */
export function workingSize({ width, height }: Size, sidePx: number | null): Size {
  if (sidePx === null) return { width, height };
  if (!Number.isInteger(sidePx) || sidePx < 1)
    throw new UsageError(
      `denseCrf: workingSidePx = ${sidePx}; allowed: whole numbers from 1, or null for full size.`,
    );
  const shrink = Math.min(1, sidePx / Math.max(width, height));
  const shrunk = (side: number): number => Math.max(1, Math.round(side * shrink));
  return { width: shrunk(width), height: shrunk(height) };
}

/** Whether two sizes are equal. */
export const isSize = (a: Size, b: Size): boolean => a.width === b.width && a.height === b.height;

/** The image with the mean colour of every block; bytes stay bytes, all else becomes float. */
export function shrinkImage(image: CrfImage, size: Size): CrfImage {
  if (isSize(image, size)) return image;
  const { width, height, channels, data } = image;
  const raster = data instanceof Uint16Array ? Float32Array.from(data) : data;
  const small = resize({ width, height, data: raster as Float32Array }, size, { filter: 'area' });
  return { ...size, channels, data: small.data };
}

/** The mean energies of every block. */
export function shrinkUnary(unary: Unary, size: Size): Unary {
  if (isSize(unary, size)) return unary;
  const energies = eachLabel(unary.energies, unary, size, (plane) => resize(plane, size, { filter: 'area' }));
  return { ...size, labels: unary.labels, energies };
}

/** Probabilities [L, h, w] at another size; they sum to one there, too: the last label has what the others leave. */
export function growProbabilities(probabilities: Float32Array, from: Size, to: Size): Float32Array {
  if (isSize(from, to)) return probabilities;
  const points = to.width * to.height;
  const others = probabilities.subarray(0, probabilities.length - from.width * from.height);
  const grown = eachLabel(others, from, to, (plane) => resizeBilinear(plane, to));
  const out = new Float32Array(grown.length + points);
  out.set(grown);
  const last = out.subarray(grown.length).fill(1);
  for (let start = 0; start < grown.length; start += points) {
    for (let i = 0; i < points; i++) last[i] = Math.max(0, last[i]! - grown[start + i]!);
  }
  return out;
}

type Plane = Size & { readonly data: Float32Array };

function eachLabel(
  values: Float32Array,
  { width, height }: Size,
  to: Size,
  change: (plane: Plane) => Plane,
): Float32Array {
  const [before, after] = [width * height, to.width * to.height];
  const labels = values.length / before;
  const out = new Float32Array(labels * after);
  for (let l = 0; l < labels; l++) {
    const data = values.subarray(l * before, (l + 1) * before);
    out.set(change({ width, height, data }).data, l * after);
  }
  return out;
}
