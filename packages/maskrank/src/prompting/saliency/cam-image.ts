// One image before one network, ready for maps of any number of texts.

import { UsageError } from '@maskrank/torch/errors';
import type { Clip } from '../../models/clip/index.ts';
import { type Activations, type Evidence, gatherActivations, gatherEvidence } from './evidence.ts';
import { type CamLayer, defaultCamLayer } from './layers.ts';
import { MaskedImages } from './masked-images.ts';
import type { CamOptions } from './options.ts';

export type ResolvedCamOptions = Required<Omit<CamOptions, 'method'>>;

function resolve(model: Clip, options: CamOptions): ResolvedCamOptions {
  const resolved = {
    layer: options.layer ?? (defaultCamLayer(model) satisfies CamLayer),
    k: options.k ?? 300,
    temperature: options.temperature ?? 1,
    baseline: options.baseline ?? 'none',
    softmaxOver: options.softmaxOver ?? 'all',
    batch: options.batch ?? (model.device === 'cpu' ? 16 : 128),
    precision: options.precision ?? 'float32',
  } as const;
  for (const name of ['k', 'batch'] as const) {
    const value = resolved[name];
    if (!Number.isInteger(value) || value < 1)
      throw new UsageError(`saliency: ${name} = ${value}; allowed: whole numbers from 1.`);
  }
  if (!(resolved.temperature > 0)) {
    throw new UsageError(`saliency: temperature = ${resolved.temperature}; allowed: numbers above 0.`);
  }
  if (resolved.precision !== 'float32' && model.device === 'cpu') {
    throw new UsageError(
      `saliency: precision = ${resolved.precision} is for GPUs: on processors libtorch 1.13 ends in an illegal instruction. Use float32.`,
    );
  }
  return resolved;
}

export class CamImage {
  readonly model: Clip;
  /** Normalised planes, [3, S, S]. */
  readonly planes: Float32Array<ArrayBuffer>;
  readonly options: ResolvedCamOptions;
  readonly masked: MaskedImages;
  #activations: Activations | undefined;

  constructor(model: Clip, planes: Float32Array<ArrayBuffer>, options: CamOptions = {}) {
    const side = model.config.vision.imageSize;
    if (planes.length !== 3 * side * side) {
      throw new UsageError(
        `saliency: ${planes.length} values; the network '${model.config.name}' reads 3 planes of ${side} x ${side} px.`,
      );
    }
    this.model = model;
    this.planes = planes;
    this.options = resolve(model, options);
    this.masked = new MaskedImages(model, planes, this.options);
  }

  /** Activations, one pass for any number of texts. */
  get activations(): Activations {
    const { model, planes } = this;
    this.#activations ??= gatherActivations({ model, planes, layer: this.options.layer });
    return this.#activations;
  }

  /** Activations and gradients for a text embedding of unit length. */
  evidence(text: Float32Array): Evidence {
    const { model, planes } = this;
    if (text.length !== model.config.embedDim) {
      throw new UsageError(
        `saliency: the text embedding has ${text.length} values; the network '${model.config.name}' gives ${model.config.embedDim}.`,
      );
    }
    return gatherEvidence({ model, planes, text, layer: this.options.layer });
  }
}
