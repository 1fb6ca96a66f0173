// How much each place of an image speaks for a text, on the whole image: the way in for prompts.
// Not here: from maps to boxes and points (../regions), labels from maps (../crf), texts to embeddings (models/clip/text.ts).

import { DataError } from '@maskrank/torch/errors';
import type { Image } from '../../imaging/types.ts';
import { type Clip, type ClipInput, clipInput } from '../../models/clip/index.ts';
import { saliencyKey } from './cache.ts';
import { CamImage } from './cam-image.ts';
import { type SaliencyMap, toWholeImage } from './grid.ts';
import { type ChannelWeights, type RawCam, SALIENCY_METHODS, type SaliencyMethod } from './methods.ts';
import type { SaliencyOptions } from './options.ts';
import { sensitivityWarning, textSensitivity } from './sensitivity.ts';

/** A map for one text, and what makes it doubtful. */
export type Saliency = {
  /** On the whole image, 0 to 1. */
  readonly map: SaliencyMap;
  /** How channels were weighed; null for methods that do not weigh channels, and for maps from the cache. */
  readonly channels: ChannelWeights | null;
  /** 1 - correlation with the neutral text's map; null unless one was given. */
  readonly sensitivity: number | null;
  /** What makes the map doubtful, in sentences. */
  readonly warnings: readonly string[];
};

/**
 * Maps of one image. Holds what texts of the same image share (features of masked images), so a second text costs less; holds
 * nothing of the engine. Masked images run in other batches then, which may change a map in its last bits: for equal bytes ask
 * for the same texts in the same order.
 */
export class ImageSaliency {
  readonly #image: Image;
  readonly #input: ClipInput;
  readonly #cam: CamImage;
  readonly #method: SaliencyMethod;
  readonly #options: SaliencyOptions;
  #neutral: SaliencyMap | null = null;

  constructor(model: Clip, image: Image, options: SaliencyOptions = {}) {
    this.#options = options;
    this.#method = options.method ?? 'gscorecam';
    this.#image = image;
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

  /** From the cache where there is one that has it. */
  async #raw(text: Float32Array, signal?: AbortSignal): Promise<RawCam> {
    signal?.throwIfAborted();
    const { cache } = this.#options;
    if (cache === undefined) return this.#compute(text, signal);
    const key = saliencyKey({
      model: cache.model,
      image: this.#image,
      text,
      options: this.#identifyingOptions(),
    });
    const found = await cache.store.get(key);
    if (found !== null) return { ...found, channels: null };
    const made = await this.#compute(text, signal);
    await cache.store.put(key, made);
    return made;
  }

  async #compute(text: Float32Array, signal?: AbortSignal): Promise<RawCam> {
    const raw = await SALIENCY_METHODS[this.#method](this.#cam, text, signal);
    if (raw.grid.data.every(Number.isFinite)) return raw;
    const { name } = this.#cam.model.config;
    throw new DataError(
      `saliency: the network '${name}' gives no numbers for this image or text; its weights, or the text embedding, are damaged.`,
    );
  }

  #identifyingOptions(): Readonly<Record<string, string | number>> {
    const { batch: _, ...options } = this.#cam.options;
    return { method: this.#method, view: this.#options.view ?? 'stretch', ...options };
  }

  #whole({ grid }: RawCam): SaliencyMap {
    const { width, height } = this.#image;
    return toWholeImage(grid, this.#input.shown, { width, height });
  }
}
