// 8-bit pixels to a network's input: (value - mean) / std per channel, on the 0..255 scale, planes instead of interleaved
// channels. Not here: resizing and padding (geometry.ts), 16-bit and float sources (formats/intensity.ts).

import { UsageError } from '@maskrank/torch/errors';
import type { Image } from './types.ts';

export type Normalisation = {
  /** Subtracted from the 0..255 value, one per output channel. */
  readonly mean: readonly [number, number, number];
  /** Divides, one per output channel. */
  readonly std: readonly [number, number, number];
  /**
   * Order of the output's channels. `bgr` is a quirk of SAM-Med2D's training: its loader read BGR and used the RGB
   * constants on it as they are, so its first channel is blue with the mean of red. Grey images don't notice.
   */
  readonly order: 'rgb' | 'bgr';
};

const SAM_MEAN = [123.675, 116.28, 103.53] as const;
const SAM_STD = [58.395, 57.12, 57.375] as const;

/** Constants of the SAM family (ImageNet's on the 0..255 scale). */
export const NORMALISATIONS = {
  /** SAM and SAM-Med2D's predictor: an RGB image in its nominal order. */
  sam: { mean: SAM_MEAN, std: SAM_STD, order: 'rgb' },
  /** SAM-Med2D's training and test loader. */
  sammed2d: { mean: SAM_MEAN, std: SAM_STD, order: 'bgr' },
} as const satisfies Record<string, Normalisation>;

/** Where the planes go when the target is larger than the image. */
export type PlaneTarget = {
  /** [3, height, width] of the canvas; pixels outside the image stay as they are. */
  readonly data: Float32Array;
  readonly width: number;
  readonly height: number;
  /** Left and top edge of the image on the canvas, px. */
  readonly x0: number;
  readonly y0: number;
};

/** Normalised planes [3, height, width]; a grey image fills all three. */
export function normaliseToPlanes(image: Image, normalisation: Normalisation): Float32Array {
  const { width, height } = image;
  const data = new Float32Array(3 * width * height);
  normaliseInto({ data, width, height, x0: 0, y0: 0 }, image, normalisation);
  return data;
}

/** Writes the normalised image into a part of the target's planes. */
export function normaliseInto(target: PlaneTarget, image: Image, { mean, std, order }: Normalisation): void {
  const { width, height, channels, data } = image;
  const fits =
    target.x0 >= 0 &&
    target.y0 >= 0 &&
    target.x0 + width <= target.width &&
    target.y0 + height <= target.height;
  if (!fits || target.data.length !== 3 * target.width * target.height) {
    throw new UsageError(
      `normaliseInto: ${width} x ${height} at (${target.x0}, ${target.y0}) does not fit into 3 planes of ${target.width} x ${target.height} (${target.data.length} values).`,
    );
  }
  const plane = target.width * target.height;
  for (let c = 0; c < 3; c++) {
    const from = channels === 1 ? 0 : order === 'rgb' ? c : 2 - c;
    // In float64 and then rounded once, as the reference does.
    const lookup = Float32Array.from({ length: 256 }, (_, v) => (v - mean[c]!) / std[c]!);
    for (let y = 0; y < height; y++) {
      const to = c * plane + (target.y0 + y) * target.width + target.x0;
      const row = y * width * channels + from;
      for (let x = 0; x < width; x++) target.data[to + x] = lookup[data[row + x * channels]!]!;
    }
  }
}
