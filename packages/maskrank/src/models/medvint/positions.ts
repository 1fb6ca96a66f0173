// Places of a feature map as sines and cosines (Vaswani 2017 in two directions, as DETR's, Carion 2020): the first half of the
// channels tells the row, the second the column. No parameters.
// Shapes: H W places of the map, C channels.

import { fromTypedArray, type Tensor } from '@maskrank/torch';

/** Longest wavelength over the shortest. Maps have few places: longer waves would tell nothing new. */
const SPREAD = 100;

/** [C, H, W]; C a multiple of 4. */
export function sinePositions(
  height: number,
  width: number,
  channels: number,
  like: Pick<Tensor, 'dtype' | 'device'>,
): Tensor {
  const waves = channels / 4; // each with a sine and a cosine, in each direction
  const data = new Float32Array(channels * height * width);
  for (let i = 0; i < waves; i++) {
    const turn = SPREAD ** (-i / waves); // radians a place
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++) {
        const told = [Math.sin(y * turn), Math.cos(y * turn), Math.sin(x * turn), Math.cos(x * turn)];
        for (const [k, value] of told.entries()) data[((i + k * waves) * height + y) * width + x] = value;
      }
  }
  return fromTypedArray(data, [channels, height, width], { device: like.device }).to(like.dtype);
}
