// What a trained nnU-Net says of a prepared image: scores of every class at the stored image's size. Not here: postprocessing.
// Shapes: C classes, K logits, S... sizes of the stored image.

import { fromTypedArray, noGrad, type Tensor, tidy } from '@maskrank/torch';
import { type Nnunet, type Sizes, slidingWindow } from '../../models/nnunet/index.ts';
import { type ClassRelation, classScores } from '../baselines/loss.ts';
import { inPrecision, type Precision } from '../descend.ts';
import { normalisedWindow, type PreparedImage, toOriginal } from './prepare.ts';

export type PredictOptions = {
  readonly network: Nnunet;
  /** The training patch. */
  readonly window: Sizes;
  readonly relation: ClassRelation;
  readonly mirror: boolean;
  readonly precision: Precision;
  readonly device: string;
};

/**
 * Scores [C, S...], above 0 where a position has the class (log-odds); minus infinity where the image is zero and was cut off. Puts the
 * network into evaluation mode.
 */
export function predictScores(
  image: PreparedImage,
  { network, window, relation, mirror, precision, device }: PredictOptions,
): Float32Array {
  const { shape, channels, placement } = image;
  network.eval();
  const start = shape.map(() => 0);
  const logits = tidy(() =>
    noGrad(() => {
      const planes = normalisedWindow(image, start, shape);
      const input = fromTypedArray(planes, [1, channels, ...shape], { share: true }).to(device as 'cuda');
      const forward = (x: Tensor) => inPrecision(precision, device, () => network.forward(x));
      const all = slidingWindow(forward, input, { window, mirror }).to('float32');
      return { values: all.toFloat32Array(), channels: all.size(1) };
    }),
  );
  // Logits are resampled, not scores: the highest of them at the image's own size decides.
  const sized = toOriginal({ ...logits, shape }, { ...placement, original: placement.size, start }, 0);
  const scores = tidy(() =>
    classScores(
      fromTypedArray(sized.values as Float32Array<ArrayBuffer>, [1, sized.channels, ...placement.size]),
      relation,
    ).toFloat32Array(),
  );
  const classes = scores.length / (sized.values.length / sized.channels);
  const inBox = { shape: placement.size, channels: classes, values: scores };
  return toOriginal(inBox, placement, Number.NEGATIVE_INFINITY).values;
}
