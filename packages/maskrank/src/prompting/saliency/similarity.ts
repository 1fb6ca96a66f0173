// How like a text each place of an image is: the cosine of its token with the text's features, as MaskCLIP reads a dense map off a
// CLIP (Zhou 2022, "Extract Free Dense Labels from CLIP"), negative channels cut off on both sides. For networks whose places
// learned beside whole images (pretrain clip with masks), where tokens and texts share their channels; in others a place's token
// means nothing beside a text. One pass, no masked images.
// Shapes: C channels, h w places.

import { UsageError } from '@maskrank/torch/errors';
import type { FloatMap } from '../../imaging/types.ts';
import type { Activations } from './evidence.ts';

/** Keeps a place without a positive channel at 0. */
const FLOOR = 1e-12;

/** Similarities [h, w], 0 to 1, of activations [C, h, w] with text features [C]. */
export function placeSimilarity(
  { channels, width, height, activations }: Activations,
  text: Float32Array,
): FloatMap {
  if (text.length !== channels)
    throw new UsageError(
      `saliency: method similarity compares places of ${channels} channels with texts of ${text.length}; it needs a network whose places learned beside its images (maskrank pretrain clip with clipPretraining.masks). Use gscorecam or gradcam.`,
    );
  const wanted = text.map((x) => Math.max(0, x));
  const length = wanted.reduce((sum, x) => sum + x * x, 0);
  const count = width * height;
  const data = Float32Array.from({ length: count }, (_, i) => {
    let [product, square] = [0, 0];
    for (let c = 0; c < channels; c++) {
      const seen = Math.max(0, activations[c * count + i] as number);
      product += seen * (wanted[c] as number);
      square += seen * seen;
    }
    return product / Math.sqrt(length * square + FLOOR);
  });
  return { width, height, data };
}
