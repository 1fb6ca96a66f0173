// Features of pixels for a CRF's kernels, in units of their standard deviations (Krähenbühl and Koltun 2011, eq. 3).
// Coordinates are pixel indices, colours the image's own values. Not here: colour spaces.

import { UsageError } from '@maskrank/torch/errors';
import type { Image, Size } from '../../imaging/types.ts';
import type { Features } from './filter.ts';

/** Standard deviation along x and y, px; one number for both. */
export type SigmaPx = number | readonly [x: number, y: number];

/** Standard deviation of every channel, in the image's own values (0..255 for 8 bits); one number for all. */
export type SigmaColour = number | readonly number[];

/** Images of every kind that a kernel can look at: grey or colour, 8-bit, 16-bit or float. */
export type CrfImage = Image<Uint8Array | Uint16Array | Float32Array>;

/** Place alone: (x / sx, y / sy). [N, 2] */
export function gaussianFeatures({ width, height }: Size, sigmaPx: SigmaPx): Features {
  const [sx, sy] = perAxis('gaussianFeatures', 'sigmaPx', sigmaPx, 2) as [number, number];
  const data = new Float32Array(2 * width * height);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      data[at++] = x / sx;
      data[at++] = y / sy;
    }
  }
  return { points: width * height, dimensions: 2, data, spans: [(width - 1) / sx, (height - 1) / sy] };
}

/**
 * Place and colour: (x / sx, y / sy, r / sr, g / sg, b / sb), or (x / sx, y / sy, grey / s) for one channel. [N, 5] or [N, 3]
 *
 * A grey image that is stored as three equal channels has three times the squared colour distance: it behaves as one
 * channel with `sigmaColour` divided by sqrt(3).
 */
export function bilateralFeatures(image: CrfImage, sigmaPx: SigmaPx, sigmaColour: SigmaColour): Features {
  const { width, height, channels } = image;
  const [sx, sy] = perAxis('bilateralFeatures', 'sigmaPx', sigmaPx, 2) as [number, number];
  const colours = perAxis('bilateralFeatures', 'sigmaColour', sigmaColour, channels);
  const points = width * height;
  if (image.data.length !== points * channels) {
    throw new UsageError(
      `bilateralFeatures: image has ${image.data.length} values; expected ${width} * ${height} * ${channels} = ${points * channels}.`,
    );
  }
  const data = new Float32Array(points * (2 + channels));
  for (let y = 0, at = 0, from = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      data[at++] = x / sx;
      data[at++] = y / sy;
      for (let c = 0; c < channels; c++) data[at++] = image.data[from++]! / colours[c]!;
    }
  }
  const colourSpan = spanOf(image.data);
  const spans = [(width - 1) / sx, (height - 1) / sy, ...colours.map((s) => colourSpan / s)];
  return { points, dimensions: 2 + channels, data, spans };
}

/** Largest less smallest value, NaN where one is no number; 8 bits are not looked at. */
function spanOf(data: CrfImage['data']): number {
  if (data instanceof Uint8Array) return 255;
  let [low, high] = [Infinity, -Infinity];
  for (let i = 0; i < data.length; i++) {
    const v = data[i]!;
    if (Number.isNaN(v)) return v;
    if (v < low) low = v;
    if (v > high) high = v;
  }
  return high - low;
}

function perAxis(who: string, name: string, sigma: number | readonly number[], count: number): number[] {
  const all = typeof sigma === 'number' ? new Array<number>(count).fill(sigma) : [...sigma];
  if (all.length !== count || !all.every((s) => s > 0 && Number.isFinite(s))) {
    throw new UsageError(
      `${who}: ${name} = ${JSON.stringify(sigma)}; allowed: one positive number, or ${count} of them.`,
    );
  }
  return all;
}
