// Places of a feature map as sines and cosines (Vaswani 2017 in two directions, as DETR's, Carion 2020): the first half of the
// channels tells the row, the second the column. No parameters.
// Shapes: H W places of the map, C channels.

import { fromTypedArray, type Tensor } from '@maskrank/torch';

/** Longest wavelength over the shortest. Maps have few places: longer waves would tell nothing new. */
const SPREAD = 100;

/** [H W, C], rows first; C a multiple of 4. */
export function sinePositions(
  height: number,
  width: number,
  channels: number,
  like: Pick<Tensor, 'dtype' | 'device'>,
): Tensor {
  const waves = channels / 4; // each with a sine and a cosine, in each direction
  const data = new Float32Array(height * width * channels);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let i = 0; i < waves; i++) {
        const turn = SPREAD ** (-i / waves); // radians a place
        const at = (y * width + x) * channels + i;
        data[at] = Math.sin(y * turn);
        data[at + waves] = Math.cos(y * turn);
        data[at + 2 * waves] = Math.sin(x * turn);
        data[at + 3 * waves] = Math.cos(x * turn);
      }
  return fromTypedArray(data, [height * width, channels], { device: like.device }).to(like.dtype);
}
