// An image as PMC-VQA's test code prepares it: stretched to the square by Pillow's bicubic filter, ImageNet's mean and deviation.
// Not here: reading files. Shapes: S side of the square in px.

import { fromTypedArray, type Tensor } from '@maskrank/torch';
import { NORMALISATIONS, normaliseToPlanes } from '../../imaging/normalise.ts';
import { resize } from '../../imaging/resample.ts';
import type { Image } from '../../imaging/types.ts';
import type { Medvint } from './network.ts';

/** Colour or grey image of any size -> [1, 3, S, S] where and as the network computes. */
export function imageTensor(image: Image, { config, place }: Pick<Medvint, 'config' | 'place'>): Tensor {
  const side = config.vision.imageSize;
  const square = resize(image, { width: side, height: side }, { filter: 'cubic' });
  const planes = normaliseToPlanes(square, NORMALISATIONS.sam) as Float32Array<ArrayBuffer>; // ImageNet's constants
  return fromTypedArray(planes, [1, 3, side, side], { device: place.device }).to(place.dtype);
}
