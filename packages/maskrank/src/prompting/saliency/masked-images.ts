// The scores of ScoreCAM's family: the image seen through each channel's activation goes through the network again. What a
// masked image looks like does not depend on the text, so its features are kept and serve every text of the same image.
// Shapes: b channels at a time, h w places, S side of the input, E features.

import { autocast, fromTypedArray, nn, noGrad, type Tensor, tidy } from '@maskrank/torch';
import type { Clip } from '../../models/clip/index.ts';
import { type Evidence, inputOf } from './evidence.ts';
import type { CamOptions } from './options.ts';

/**
 * Activations of channels as masks from 0 to 1 at the size of the input, [b, 1, S, S]: bilinear with corners on corners, then
 * (m - min) / (max - min + epsilon) for each. With epsilon 0 a constant channel gives NaN.
 */
export function channelMasks(
  evidence: Evidence,
  channels: readonly number[],
  {
    side,
    epsilon,
    device = 'cpu',
  }: { readonly side: number; readonly epsilon: number; readonly device?: string },
): Tensor {
  const { width, height, activations } = evidence;
  const count = width * height;
  const picked = new Float32Array(channels.length * count);
  for (const [i, c] of channels.entries())
    picked.set(activations.subarray(c * count, (c + 1) * count), i * count);
  const small = fromTypedArray(picked, [channels.length, 1, height, width], { device });
  const large = nn.F.interpolate(small, [side, side], { mode: 'bilinear', alignCorners: true });
  const low = large.amin([2, 3], true);
  const range = large.amax([2, 3], true).sub(low);
  return large.sub(low).div(range.add(epsilon));
}

export type MaskedImagesOptions = Required<Pick<CamOptions, 'precision'>> & {
  readonly batch: number;
};

/** Lets other work (an interrupt, a progress line) have its turn. */
const breathe = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const BLANK = 'blank';

export class MaskedImages {
  readonly #model: Clip;
  readonly #planes: Float32Array<ArrayBuffer>;
  readonly #options: MaskedImagesOptions;
  /** Features of unit length by mask. */
  readonly #features = new Map<string, Float32Array>();

  constructor(model: Clip, planes: Float32Array<ArrayBuffer>, options: MaskedImagesOptions) {
    this.#model = model;
    this.#planes = planes;
    this.#options = options;
  }

  /** Image-text logits of the image seen through each of the channels; NaN where a mask is undefined. */
  async scores(
    evidence: Evidence,
    channels: readonly number[],
    text: Float32Array,
    options: { readonly epsilon: number; readonly signal?: AbortSignal | undefined },
  ): Promise<Float64Array> {
    const { epsilon, signal } = options;
    const key = (channel: number) => `${epsilon} ${channel}`;
    const { batch } = this.#options;
    const missing = channels.filter((channel) => !this.#features.has(key(channel)));
    for (let i = 0; i < missing.length; i += batch) {
      signal?.throwIfAborted();
      const part = missing.slice(i, i + batch);
      const masks = (device: string) => channelMasks(evidence, part, { side: this.#side, epsilon, device });
      const features = this.#forward((image) => image.mul(masks(this.#model.device)));
      for (const [j, channel] of part.entries()) this.#keep(key(channel), features, j);
      await breathe();
    }
    const scale = this.#scale();
    return Float64Array.from(channels, (channel) => scale * this.#cosine(key(channel), text));
  }

  /** The logit of an image of the mean colour. */
  blankScore(text: Float32Array): number {
    if (!this.#features.has(BLANK)) {
      this.#keep(
        BLANK,
        this.#forward((image) => image.mul(0)),
        0,
      );
    }
    return this.#scale() * this.#cosine(BLANK, text);
  }

  get #side(): number {
    return this.#model.config.vision.imageSize;
  }

  #scale(): number {
    return Math.exp(this.#model.logit_scale.item());
  }

  /** Features [b, E] of the images that `mask` makes of the image [1, 3, S, S]. */
  #forward(mask: (image: Tensor) => Tensor): Float32Array {
    const { precision } = this.#options;
    const run = (images: Tensor) =>
      precision === 'float32'
        ? this.#model.encodeImage(images)
        : autocast({ device: 'cuda', dtype: precision }, () => this.#model.encodeImage(images));
    return noGrad(() => tidy(() => run(mask(inputOf(this.#model, this.#planes))).toFloat32Array()));
  }

  #keep(key: string, features: Float32Array, row: number): void {
    const size = this.#model.config.embedDim;
    const own = features.slice(row * size, (row + 1) * size);
    const length = Math.hypot(...own);
    this.#features.set(
      key,
      own.map((value) => value / length),
    );
  }

  #cosine(key: string, text: Float32Array): number {
    const features = this.#features.get(key) as Float32Array;
    let sum = 0;
    for (let i = 0; i < features.length; i++) sum += (features[i] as number) * (text[i] as number);
    return sum;
  }
}
