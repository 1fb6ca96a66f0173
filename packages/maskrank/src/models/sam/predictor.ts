// Embed an image once, prompt it as often as you like: images, boxes and points in the original's pixels go in, masks at the
// original's size come out. Not here: batches of many images (training/, alignment/ work on tensors).
// Shapes: N prompts, M masks a prompt, S canvas side in px.

import { fromTypedArray, keep, noGrad, type Tensor, tidy } from '@maskrank/torch';
import { UsageError } from '@maskrank/torch/errors';
import {
  boxToCanvas,
  createGeometry,
  type Geometry,
  type GeometryRule,
  imageToCanvas,
  pointToCanvas,
} from '../../imaging/geometry.ts';
import { NORMALISATIONS, type Normalisation } from '../../imaging/normalise.ts';
import type { Box, FloatMap, Image, Point } from '../../imaging/types.ts';
import type { DecoderOutput } from './mask-decoder.ts';
import { logitsToOriginal } from './postprocess.ts';
import type { PromptTensors } from './prompt-encoder.ts';
import type { Sam } from './sam.ts';

/** What is asked of one image. Coordinates are pixels of the original; nothing at all asks for the model's own guess. */
export type ImagePrompt = {
  readonly points?: readonly Point[];
  /** Several boxes ask for one mask that covers them all. */
  readonly boxes?: readonly Box[];
  /** A mask on the canvas at a quarter of its side, S/4 x S/4 values: what the configuration's `maskPrompt` says. */
  readonly mask?: Float32Array<ArrayBuffer>;
  /** Text features, `textDim` values each. */
  readonly text?: readonly Float32Array[];
};

export type PredictedMask = {
  /** At the original's size; above 0 is foreground. */
  readonly logits: FloatMap;
  /** As the decoder gives them, S/4 x S/4: what a next prompt's `mask` is made from. */
  readonly lowRes: Float32Array<ArrayBuffer>;
  /** The IoU that the model expects of this mask. */
  readonly predictedIou: number;
};

export type Prediction = {
  /** One a head: three with `multimask`, else one. */
  readonly masks: readonly PredictedMask[];
  /** Position of the mask with the largest predicted IoU. */
  readonly best: number;
};

export type PredictorOptions = {
  /** How images are laid on the canvas. Default: the configuration's. SAM-Med2D's own predictor: `stretch`. */
  readonly geometry?: GeometryRule;
  /** Default: SAM's mean and deviation in RGB order. */
  readonly normalisation?: Normalisation;
};

export class SamPredictor {
  readonly sam: Sam;
  readonly #rule: GeometryRule;
  readonly #normalisation: Normalisation;
  #current: { readonly geometry: Geometry; readonly embedding: Tensor } | null = null;

  constructor(sam: Sam, options: PredictorOptions = {}) {
    this.sam = sam;
    this.#rule = options.geometry ?? sam.config.geometry;
    this.#normalisation = options.normalisation ?? NORMALISATIONS.sam;
  }

  /** Lays the image on the canvas and embeds it; replaces the image before. */
  setImage(image: Image): this {
    const geometry = createGeometry(this.#rule, image, this.sam.config.imageSize);
    const side = geometry.canvasSize;
    const embedding = noGrad(() =>
      tidy(() => {
        const planes = imageToCanvas(geometry, image, this.#normalisation) as Float32Array<ArrayBuffer>;
        return this.sam.embed(this.#tensor(planes, [1, 3, side, side]));
      }),
    );
    this.dispose();
    this.#current = { geometry, embedding: keep(embedding) };
    return this;
  }

  /** Where the current image lies on the canvas. */
  get geometry(): Geometry {
    return this.#need().geometry;
  }
  /** The current image's embedding, [1, E, G, G]. The predictor owns it. */
  get embedding(): Tensor {
    return this.#need().embedding;
  }

  /** Masks for one prompt. `multimask`: three answers to an ambiguous prompt (SAM-Med2D always asks so); else one. */
  predict(prompt: ImagePrompt, options: { readonly multimask?: boolean } = {}): Prediction {
    return this.predictAll([prompt], options)[0] as Prediction;
  }

  /** Masks for many prompts of the current image; prompts with equally many parts run together, with the same results. */
  predictAll(prompts: readonly ImagePrompt[], options: { readonly multimask?: boolean } = {}): Prediction[] {
    const { multimask = true } = options;
    const results = new Array<Prediction>(prompts.length);
    for (const positions of groupByShape(prompts)) {
      const batch = positions.map((i) => prompts[i] as ImagePrompt);
      const predictions = noGrad(() => tidy(() => this.#decode(batch, multimask)));
      for (const [k, i] of positions.entries()) results[i] = predictions[k] as Prediction;
    }
    return results;
  }

  /** Frees the current image's embedding. */
  dispose(): void {
    this.#current?.embedding.dispose();
    this.#current = null;
  }

  #need() {
    if (this.#current === null)
      throw new UsageError('SamPredictor: there is no image yet; call setImage first.');
    return this.#current;
  }

  #decode(prompts: readonly ImagePrompt[], multimask: boolean): Prediction[] {
    const { geometry, embedding } = this.#need();
    const output = this.sam.decode(embedding, this.#tensors(prompts, geometry), { multimask });
    return readPredictions(output, logitsToOriginal(output.masks, geometry), geometry);
  }

  #tensor(data: Float32Array<ArrayBuffer>, shape: readonly number[]): Tensor {
    return fromTypedArray(data, shape, { device: this.#device });
  }

  get #device(): string {
    return this.sam.prompt_encoder.no_mask_embed.weight.device;
  }

  /** Prompts of equal shape as tensors on the canvas. */
  #tensors(prompts: readonly ImagePrompt[], geometry: Geometry): PromptTensors {
    const n = prompts.length;
    const first = prompts[0] as ImagePrompt;
    const side = this.sam.config.imageSize / 4;
    const floats = (count: number, shape: readonly number[], values: (p: ImagePrompt) => number[]) =>
      count === 0
        ? undefined
        : this.#tensor(Float32Array.from(prompts.flatMap(values)), [n, count, ...shape]);
    const points = first.points ?? [];
    const coords = floats(points.length, [2], ({ points: list = [] }) =>
      list.map((p) => pointToCanvas(geometry, p)).flatMap(({ x, y }) => [x, y]),
    );
    const labels = () =>
      BigInt64Array.from(prompts.flatMap((p) => (p.points ?? []).map(({ label }) => BigInt(label))));
    const boxes = floats(first.boxes?.length ?? 0, [4], ({ boxes: list = [] }) =>
      list.map((b) => boxToCanvas(geometry, b)).flatMap(({ x0, y0, x1, y1 }) => [x0, y0, x1, y1]),
    );
    const masks = floats(first.mask ? 1 : 0, [side, side], ({ mask }) => Array.from(mask ?? []));
    const text = floats(first.text?.length ?? 0, [this.sam.config.textDim], ({ text: list = [] }) =>
      list.flatMap((feature) => Array.from(feature)),
    );
    return {
      ...(coords && {
        points: { coords, labels: fromTypedArray(labels(), [n, points.length], { device: this.#device }) },
      }),
      ...(boxes && { boxes }),
      ...(masks && { masks }),
      ...(text && { text }),
    };
  }
}

/** Positions of the prompts that have equally many points, boxes, masks and texts. */
function groupByShape(prompts: readonly ImagePrompt[]): number[][] {
  const groups = new Map<string, number[]>();
  for (const [i, { points, boxes, mask, text }] of prompts.entries()) {
    const key = [points?.length ?? 0, boxes?.length ?? 0, mask ? 1 : 0, text?.length ?? 0].join();
    groups.set(key, [...(groups.get(key) ?? []), i]);
  }
  return [...groups.values()];
}

/** Tensors to plain predictions; `full` are the masks at the original's size, [N, M, height, width]. */
function readPredictions({ masks, iou }: DecoderOutput, full: Tensor, { original }: Geometry): Prediction[] {
  const [n, m] = iou.shape as [number, number];
  const lowRes = masks.toFloat32Array();
  const logits = full.toFloat32Array();
  const ious = iou.toFloat32Array();
  const part = (values: Float32Array<ArrayBuffer>, i: number) =>
    values.slice((i * values.length) / (n * m), ((i + 1) * values.length) / (n * m));
  return Array.from({ length: n }, (_, row) => {
    const predicted = Array.from({ length: m }, (_, head): PredictedMask => {
      const i = row * m + head;
      return {
        logits: { ...original, data: part(logits, i) },
        lowRes: part(lowRes, i),
        predictedIou: ious[i] as number,
      };
    });
    const expected = predicted.map(({ predictedIou }) => predictedIou);
    return { masks: predicted, best: expected.indexOf(Math.max(...expected)) };
  });
}
