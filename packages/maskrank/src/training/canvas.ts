// Cases on the model canvas, decoded once: the pixels that augmentation works on, the masks, and where the original lies.
// Images and masks stay 8-bit; normalisation happens when a batch is made. Not here: random changes (imaging/augment.ts).

import { DataError } from '@maskrank/torch/errors';
import type { LabelledCase, OpenDataset, UnlabelledCase } from '../datasets/cases.ts';
import {
  createGeometry,
  type Geometry,
  type GeometryRule,
  maskToCanvas,
  resampleImage,
} from '../imaging/geometry.ts';
import { type Normalisation, normaliseInto } from '../imaging/normalise.ts';
import type { Image, Mask } from '../imaging/types.ts';

export type CanvasOptions = {
  /** Side of the canvas, px. */
  readonly imageSize: number;
  readonly rule: GeometryRule;
  readonly normalisation: Normalisation;
};

/** An image in its place on the canvas; padding holds the mean colour. */
export type CanvasImage = {
  readonly geometry: Geometry;
  /** imageSize x imageSize. */
  readonly pixels: Image;
};

/** The image on the canvas, with padding of the mean colour. */
export function toCanvas(image: Image, options: CanvasOptions): CanvasImage {
  const geometry = createGeometry(options.rule, image, options.imageSize);
  const placedImage = resampleImage(geometry, image);
  const side = options.imageSize;
  const { channels } = image;
  const data = new Uint8Array(side * side * channels);
  const { mean, order } = options.normalisation;
  const fill = (order === 'bgr' ? [...mean].reverse() : mean).map(Math.round); // as the image's channels: red, green, blue
  for (let i = 0; i < data.length; i++) data[i] = fill[channels === 1 ? 1 : i % 3] as number;
  const { x0, y0 } = geometry.placed;
  for (let y = 0; y < placedImage.height; y++) {
    const row = placedImage.data.subarray(
      y * placedImage.width * channels,
      (y + 1) * placedImage.width * channels,
    );
    data.set(row, ((y0 + y) * side + x0) * channels);
  }
  return { geometry, pixels: { width: side, height: side, channels, data } };
}

/** Where the image itself lies on the canvas; null where it fills it, and nothing is padding. */
export function imageArea({ geometry, pixels }: CanvasImage): Mask | null {
  const { width, height } = pixels;
  const { x0, y0, x1, y1 } = geometry.placed;
  if (x0 <= 0 && y0 <= 0 && x1 >= width && y1 >= height) return null;
  const data = new Uint8Array(width * height);
  for (let y = y0; y < y1; y++) data.fill(1, y * width + x0, y * width + x1);
  return { width, height, data };
}

/**
 * Planes [3, S, S] of a canvas that may have been moved and changed, `inside` (see `imageArea`) with it. Padding becomes
 * exactly 0, as at inference: no grey value of 8 bits is the mean of all three channels, and changes of tone move it.
 */
export function normaliseCanvas(
  pixels: Image,
  inside: Mask | null,
  normalisation: Normalisation,
  data: Float32Array<ArrayBuffer> = new Float32Array(3 * pixels.width * pixels.height),
): Float32Array<ArrayBuffer> {
  const { width, height } = pixels;
  normaliseInto({ data, width, height, x0: 0, y0: 0 }, pixels, normalisation);
  if (inside === null) return data;
  const count = width * height;
  for (let i = 0; i < count; i++) {
    if (inside.data[i] === 0) for (let c = 0; c < 3; c++) data[c * count + i] = 0;
  }
  return data;
}

/** Decodes each case once and keeps it: about 64 kB a grey image and as much a mask at 256 px. */
export class CanvasCache {
  readonly options: CanvasOptions;
  readonly #dataset: OpenDataset;
  readonly #images = new Map<string, CanvasImage>();
  readonly #masks = new Map<string, Mask>();

  constructor(dataset: OpenDataset, options: CanvasOptions) {
    this.#dataset = dataset;
    this.options = options;
  }

  async loadImage(item: LabelledCase | UnlabelledCase): Promise<CanvasImage> {
    let canvas = this.#images.get(item.id);
    if (canvas === undefined) {
      canvas = toCanvas(await this.#dataset.loadImage(item), this.options);
      this.#images.set(item.id, canvas);
    }
    return canvas;
  }

  async loadMask(item: LabelledCase, classId: number): Promise<Mask> {
    const key = `${item.id}\u0000${classId}`;
    let mask = this.#masks.get(key);
    if (mask === undefined) {
      const { geometry } = await this.loadImage(item);
      mask = maskToCanvas(geometry, await this.#dataset.loadMask(item, classId));
      this.#masks.set(key, mask);
    }
    return mask;
  }

  /** What `loadImage` has loaded. */
  image(caseId: string): CanvasImage {
    const canvas = this.#images.get(caseId);
    if (canvas === undefined) throw new DataError(`case ${caseId}: its image was not loaded before use`);
    return canvas;
  }

  /** What `loadMask` has loaded. */
  mask(caseId: string, classId: number): Mask {
    const mask = this.#masks.get(`${caseId}\u0000${classId}`);
    if (mask === undefined)
      throw new DataError(`case ${caseId}: its mask of class ${classId} was not loaded before use`);
    return mask;
  }
}
