// Changes of grey values that leave every pixel where it is: one table for brightness, contrast and gamma; noise; blur;
// simulated low resolution. Not here: how often and how much (augment.ts).

import type { Random } from '../util/random.ts';
import { resize } from './resample.ts';
import type { Image } from './types.ts';

export type Tone = {
  /** Factor on the values. */
  readonly brightness: number;
  /** Factor on the distance from the image's mean. */
  readonly contrast: number;
  /** Exponent on value / 255: above 1 darkens the middle. */
  readonly gamma: number;
};

/** Gamma, then contrast about the mean, then brightness; cut to 0..255. */
export function applyTone(image: Image, { brightness, contrast, gamma }: Tone): Image {
  const curve = Float64Array.from({ length: 256 }, (_, v) => 255 * (v / 255) ** gamma);
  let sum = 0;
  for (let i = 0; i < image.data.length; i++) sum += curve[image.data[i]!]!;
  const mean = sum / image.data.length;
  const table = Uint8Array.from(curve, (v) => clampByte(((v - mean) * contrast + mean) * brightness));
  const data = new Uint8Array(image.data.length);
  for (let i = 0; i < data.length; i++) data[i] = table[image.data[i]!]!;
  return { ...image, data };
}

/** Independent normal noise on every value. @param sd standard deviation, grey levels of 0..255 */
export function addNoise(image: Image, sd: number, random: Random): Image {
  const data = new Uint8Array(image.data.length);
  for (let i = 0; i < data.length; i++) data[i] = clampByte(image.data[i]! + sd * random.normal());
  return { ...image, data };
}

/** Gaussian blur, cut at three standard deviations; the outermost pixels continue beyond the edge. */
export function blur(image: Image, sigmaPx: number): Image {
  const radius = Math.max(1, Math.ceil(3 * sigmaPx));
  const half = Float64Array.from({ length: radius + 1 }, (_, d) =>
    Math.exp((-d * d) / (2 * sigmaPx * sigmaPx)),
  );
  const sum = half.reduce((a, b) => a + b) * 2 - half[0]!;
  const weights = half.map((w) => w / sum);
  const { width, height, channels, data } = image;
  const first = new Float32Array(data.length);
  const padded = new Float64Array((Math.max(width * channels, height) + 2 * radius * channels) | 0);
  for (let y = 0; y < height; y++) {
    const row = y * width * channels;
    const margin = radius * channels;
    for (let i = 0; i < width * channels; i++) padded[margin + i] = data[row + i]!;
    for (let i = 0; i < margin; i++) {
      padded[i] = data[row + (i % channels)]!;
      padded[margin + width * channels + i] = data[row + (width - 1) * channels + (i % channels)]!;
    }
    for (let i = 0; i < width * channels; i++) {
      let value = weights[0]! * padded[margin + i]!;
      for (let d = 1; d <= radius; d++) {
        value += weights[d]! * (padded[margin + i - d * channels]! + padded[margin + i + d * channels]!);
      }
      first[row + i] = value;
    }
  }
  return { ...image, data: blurColumns(first, width * channels, height, weights) };
}

function blurColumns(
  values: Float32Array,
  rowLength: number,
  height: number,
  weights: Float64Array,
): Uint8Array {
  const out = new Uint8Array(values.length);
  const sums = new Float64Array(rowLength);
  for (let y = 0; y < height; y++) {
    for (let i = 0; i < rowLength; i++) sums[i] = weights[0]! * values[y * rowLength + i]!;
    for (let d = 1; d < weights.length; d++) {
      const weight = weights[d]!;
      const above = Math.max(0, y - d) * rowLength;
      const below = Math.min(height - 1, y + d) * rowLength;
      for (let i = 0; i < rowLength; i++) sums[i]! += weight * (values[above + i]! + values[below + i]!);
    }
    for (let i = 0; i < rowLength; i++) out[y * rowLength + i] = sums[i]! + 0.5;
  }
  return out;
}

/** The image as a scanner of `factor` (below 1) times the resolution would have given it, at its old size. */
export function lowerResolution(image: Image, factor: number): Image {
  const shrink = (side: number): number => Math.max(1, Math.round(side * factor));
  const small = resize(
    image,
    { width: shrink(image.width), height: shrink(image.height) },
    { filter: 'area' },
  );
  return resize(small, image);
}

function clampByte(value: number): number {
  return value >= 255 ? 255 : value > 0 ? Math.floor(value + 0.5) : 0;
}
