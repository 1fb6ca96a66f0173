// Fixture sam_vit: the original SAM without adapters: laying two images on the canvas, both modes of the decoder, the way back
// to the originals, the predictor, and the gradients of a loss over both images.

import { fromTypedArray, type Tensor, tidy } from '@maskrank/torch';
import { createGeometry, type Geometry, resampleImage } from '../imaging/geometry.ts';
import { NORMALISATIONS, normaliseInto } from '../imaging/normalise.ts';
import type { Image } from '../imaging/types.ts';
import { logitsToOriginal, type PromptTensors, type Sam, SamPredictor } from '../models/sam/index.ts';
import { compareElements, need, numbers } from './compare.ts';
import { compareGradients } from './gradients.ts';
import {
  compareBinary,
  compareForward,
  input,
  loadSam,
  predictorBox,
  predictorPoints,
  rgbImage,
} from './sam-end-to-end.ts';
import type { CheckResult, Fixture, GoldenCheck } from './types.ts';

/** `in/I.image` [3, height, width] bytes, already at its size on the canvas, as an interleaved image. */
function planarImage(fixture: Fixture, i: number): Image {
  const { shape, data } = need(fixture, `in/${i}.image`);
  const [, height, width] = shape as [number, number, number];
  const plane = width * height;
  const pixels = Uint8Array.from(
    { length: 3 * plane },
    (_, k) => data[(k % 3) * plane + Math.floor(k / 3)] as number,
  );
  return { width, height, channels: 3, data: pixels };
}

/** Normalised at the upper left of the canvas, zeros elsewhere: [3, S, S]. */
function preprocess(image: Image, side: number): Float32Array<ArrayBuffer> {
  const data = new Float32Array(3 * side * side);
  normaliseInto({ data, width: side, height: side, x0: 0, y0: 0 }, image, NORMALISATIONS.sam);
  return data;
}

function promptsOf(fixture: Fixture, i: number): PromptTensors {
  const has = (part: string) => fixture.tensors.has(`in/${i}.${part}`);
  const get = (part: string) => input(fixture, `${i}.${part}`);
  return {
    ...(has('point_coords') && { points: { coords: get('point_coords'), labels: get('point_labels') } }),
    ...(has('boxes') && { boxes: get('boxes') }),
    ...(has('mask_inputs') && { masks: get('mask_inputs') }),
  };
}

/** One image with its prompts; returns its part of the loss. */
function runImage(fixture: Fixture, sam: Sam, embedding: Tensor, i: number, results: CheckResult[]): Tensor {
  const [height, width] = fixture.json.config.original_sizes[i] as [number, number];
  const image = planarImage(fixture, i);
  const placed = { x0: 0, y0: 0, x1: image.width, y1: image.height };
  const canvas = sam.config.imageSize;
  const geometry: Geometry = { ...createGeometry('longest-side', { width, height }, canvas), placed };
  const modes = { multi: true, single: false } as const;
  const outputs = Object.entries(modes).map(([mode, multimask]) => {
    const { masks, iou } = sam.decode(embedding, promptsOf(fixture, i), { multimask });
    const full = logitsToOriginal(masks, geometry);
    const key = `out/${i}.${mode}`;
    results.push(
      compareForward(fixture, `${key}.low_res_logits`, masks),
      compareForward(fixture, `${key}.iou_predictions`, iou),
    );
    if (fixture.tensors.has(`${key}.postprocessed_logits`)) {
      results.push(compareForward(fixture, `${key}.postprocessed_logits`, full));
    }
    if (fixture.tensors.has(`${key}.masks`)) {
      results.push(compareBinary(fixture, `${key}.masks`, full.toFloat32Array()));
    }
    return { masks, iou };
  });
  const [{ masks, iou }] = outputs as [{ masks: Tensor; iou: Tensor }];
  const places = masks.size(2) * masks.size(3);
  const low = masks
    .mul(input(fixture, `${i}.cot_low`))
    .sum()
    .div(places);
  return low.add(iou.mul(input(fixture, `${i}.cot_iou`)).sum());
}

function runModel(fixture: Fixture, sam: Sam): CheckResult[] {
  const side = sam.config.imageSize;
  const count = fixture.json.config.original_sizes.length as number;
  const canvases = Array.from({ length: count }, (_, i) => preprocess(planarImage(fixture, i), side));
  const results = [compareForward(fixture, 'out/0.preprocessed', canvases[0] as Float32Array)];
  const flat = Float32Array.from(canvases.flatMap((c) => Array.from(c)));
  const embeddings = sam.embed(fromTypedArray(flat, [count, 3, side, side]));
  results.push(compareForward(fixture, 'out/image_embeddings', embeddings));
  const losses = canvases.map((_, i) => runImage(fixture, sam, embeddings.slice(0, i, i + 1), i, results));
  const loss = losses.reduce((a, b) => a.add(b));
  loss.backward();
  return [...results, compareForward(fixture, 'out/loss', loss), ...compareGradients(fixture, sam)];
}

function runPredictor(fixture: Fixture, sam: Sam): CheckResult[] {
  const image = rgbImage(fixture, 'in/predictor.image');
  const predictor = new SamPredictor(sam).setImage(image);
  const resized = resampleImage(predictor.geometry, image).data;
  const { masks } = predictor.predict({ points: predictorPoints(fixture), boxes: [predictorBox(fixture)] });
  const join = (part: (mask: (typeof masks)[number]) => Float32Array) =>
    Float32Array.from(masks.flatMap((m) => Array.from(part(m))));
  const results = [
    compareElements('out/predictor.resized_u8', resized, numbers(fixture, 'out/predictor.resized_u8'), {
      absolute: 1,
      relative: 0,
    }),
    compareForward(fixture, 'out/predictor.features', predictor.embedding),
    compareForward(
      fixture,
      'out/predictor.low_res',
      join((m) => m.lowRes),
    ),
    compareForward(
      fixture,
      'out/predictor.masks_logits',
      join((m) => m.logits.data),
    ),
    compareForward(
      fixture,
      'out/predictor.iou',
      join((m) => Float32Array.of(m.predictedIou)),
    ),
  ];
  predictor.dispose();
  return results;
}

export const samVit: GoldenCheck = {
  covers: (name) => name === 'sam_vit',
  run: (fixture) => {
    const sam = loadSam(fixture);
    const results = [...tidy(() => runModel(fixture, sam)), ...runPredictor(fixture, sam)];
    sam.dispose();
    return results;
  },
};
