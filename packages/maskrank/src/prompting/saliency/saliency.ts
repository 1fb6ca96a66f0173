// How much each place of an image speaks for a text, on the whole image: the way in for prompts.
// Not here: from maps to boxes and points (../regions), labels from maps (../crf), texts to embeddings (models/clip/text.ts).

import type { Image, Size } from '../../imaging/types.ts';
import { type Clip, type ClipInput, clipInput } from '../../models/clip/index.ts';
import { CamImage } from './cam-image.ts';
import { type SaliencyMap, toWholeImage } from './grid.ts';
import { type ChannelWeights, type RawCam, SALIENCY_METHODS, type SaliencyMethod } from './methods.ts';
import type { SaliencyOptions } from './options.ts';
import { sensitivityWarning, textSensitivity } from './sensitivity.ts';

export type Saliency = {
  /** On the whole image, 0 to 1. */
  readonly map: SaliencyMap;
  /** How channels were weighed; null for methods that do not weigh channels. */
  readonly channels: ChannelWeights | null;
  /** 1 - correlation with the neutral text's map; null unless one was given. */
  readonly sensitivity: number | null;
  /** What makes the map doubtful, in sentences. */
  readonly warnings: readonly string[];
};

/**
 * Maps of one image. Holds what texts of the same image share (features of masked images), so a second text costs less; holds
 * nothing of the engine.
 */
export class ImageSaliency {
  readonly #input: ClipInput;
  readonly #size: Size;
  readonly #cam: CamImage;
  readonly #method: SaliencyMethod;
  readonly #options: SaliencyOptions;
  #neutral: SaliencyMap | null = null;

  constructor(model: Clip, image: Image, options: SaliencyOptions = {}) {
    this.#options = options;
    this.#method = options.method ?? 'gscorecam';
    this.#size = { width: image.width, height: image.height };
    this.#input = clipInput(image, model.config.vision.imageSize, options.view);
    this.#cam = new CamImage(model, this.#input.planes, options);
  }

  /** The map of a text embedding of unit length. Masked images run in batches, between which `signal` can stop it. */
  async map(text: Float32Array, signal?: AbortSignal): Promise<Saliency> {
    const raw = await this.#raw(text, signal);
    const map = this.#whole(raw);
    const { neutral, minSensitivity = 0.05 } = this.#options;
    if (neutral === undefined)
      return { map, channels: raw.channels, sensitivity: null, warnings: raw.warnings };
    this.#neutral ??= this.#whole(await this.#raw(neutral, signal));
    const sensitivity = textSensitivity(map, this.#neutral);
    const warning = sensitivityWarning(sensitivity, minSensitivity);
    const warnings = warning === null ? raw.warnings : [...raw.warnings, warning];
    return { map, channels: raw.channels, sensitivity, warnings };
  }

  async #raw(text: Float32Array, signal?: AbortSignal): Promise<RawCam> {
    signal?.throwIfAborted();
    return SALIENCY_METHODS[this.#method](this.#cam, text, signal);
  }

  #whole({ grid }: RawCam): SaliencyMap {
    return toWholeImage(grid, this.#input.shown, this.#size);
  }
}
