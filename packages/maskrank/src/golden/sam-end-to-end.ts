// Fixture sammed2d_end_to_end, inference: the whole model for six combinations of prompts, the ways back to the original
// image, and the predictor. Training: sam-training.ts.

import { fromTensorData, nn, type Tensor, tidy } from '@maskrank/torch';
import { createGeometry, type Geometry } from '../imaging/geometry.ts';
import { NORMALISATIONS } from '../imaging/normalise.ts';
import type { Image, Point } from '../imaging/types.ts';
import {
  logitsToOriginal,
  type Prediction,
  type PromptTensors,
  Sam,
  SamPredictor,
} from '../models/sam/index.ts';
import { compareElements, compareExact, FORWARD, need, numbers, under } from './compare.ts';
import { configOf } from './sam-config.ts';
import { runTraining } from './sam-training.ts';
import type { CheckResult, Fixture, GoldenCheck } from './types.ts';

/** The fixture's model with its weights. */
export function loadSam(fixture: Fixture): Sam {
  const sam = new Sam(configOf(fixture));
  nn.loadStateDict(sam, under(fixture, 'weights/'), { source: fixture.name });
  return sam;
}

export const input = (fixture: Fixture, name: string): Tensor => fromTensorData(need(fixture, `in/${name}`));

export function compareForward(fixture: Fixture, name: string, got: Tensor | Float32Array): CheckResult {
  const values = got instanceof Float32Array ? got : got.toFloat32Array();
  return compareElements(name, values, numbers(fixture, name), FORWARD);
}

/** Logits above 0 against a binary mask, exactly, but for pixels whose logit is 0 within the forward tolerance. */
export function compareBinary(fixture: Fixture, name: string, logits: Float32Array): CheckResult {
  const ref = numbers(fixture, name);
  const got = Array.from(logits, (z, i) =>
    Math.abs(z) <= FORWARD.absolute ? (ref[i] as number) : Number(z > 0),
  );
  return compareExact(name, got, ref);
}

/** An RGB image in the fixture's [height, width, 3] bytes. */
export function rgbImage(fixture: Fixture, name: string): Image {
  const { shape, data } = need(fixture, name);
  return { width: shape[1] as number, height: shape[0] as number, channels: 3, data: data as Uint8Array };
}

/** Points of `in/predictor.*`, in the original's pixels. */
export function predictorPoints(fixture: Fixture): Point[] {
  const coords = numbers(fixture, 'in/predictor.point_coords');
  return Array.from(numbers(fixture, 'in/predictor.point_labels'), (label, i) => ({
    x: coords[2 * i] as number,
    y: coords[2 * i + 1] as number,
    label: label as 0 | 1,
  }));
}

export function predictorBox(fixture: Fixture) {
  const [x0, y0, x1, y1] = Array.from(numbers(fixture, 'in/predictor.box')) as [
    number,
    number,
    number,
    number,
  ];
  return { x0, y0, x1, y1 };
}

function promptsOf(fixture: Fixture, words: string): PromptTensors {
  const parts: Readonly<Record<string, () => PromptTensors>> = {
    points: () => ({
      points: { coords: input(fixture, 'point_coords'), labels: input(fixture, 'point_labels') },
    }),
    boxes: () => ({ boxes: input(fixture, 'boxes') }),
    mask_inputs: () => ({ masks: input(fixture, 'mask_inputs') }),
  };
  return Object.assign({}, ...words.split(' + ').map((word) => parts[word]?.()));
}

function runCases(fixture: Fixture, sam: Sam): CheckResult[] {
  const [height, width] = fixture.json.config.original_size as [number, number];
  const embeddings = sam.embed(input(fixture, 'image'));
  const results = [compareForward(fixture, 'out/image_embeddings', embeddings)];
  for (const [name, { prompts, multimask_output }] of Object.entries<{
    prompts: string;
    multimask_output: boolean;
  }>(fixture.json.cases)) {
    const { masks, iou } = sam.decode(embeddings, promptsOf(fixture, prompts), {
      multimask: multimask_output,
    });
    results.push(compareForward(fixture, `out/${name}.low_res_logits`, masks));
    results.push(compareForward(fixture, `out/${name}.iou_predictions`, iou));
    if (!fixture.tensors.has(`out/${name}.masks`)) continue;
    const geometry = createGeometry('stretch', { width, height }, sam.config.imageSize);
    results.push(compareForward(fixture, `out/${name}.masks`, logitsToOriginal(masks, geometry)));
  }
  return results;
}

function runPostprocess(fixture: Fixture, sam: Sam): CheckResult[] {
  const lowRes = fromTensorData(need(fixture, 'out/box.low_res_logits')).slice(1, 0, 1);
  const canvas = sam.config.imageSize;
  const [height, width] = fixture.json.config.original_size as [number, number];
  const stretched = createGeometry('stretch', { width, height }, canvas);
  const geometries: Readonly<Record<string, Geometry>> = {
    postprocess_crop: { ...stretched, placed: { x0: 0, y0: 0, x1: 67, y1: 96 } },
    test_postprocess_small: createGeometry('sammed2d', { width: 66, height: 79 }, canvas),
    // Smaller than the canvas, so the reference's rule crops here too, whatever the fixture's words say.
    test_postprocess_large: createGeometry('sammed2d', { width, height }, canvas),
  };
  return Object.entries(geometries).map(([name, geometry]) =>
    compareForward(fixture, `out/${name}.masks`, logitsToOriginal(lowRes, geometry)),
  );
}

function runPredictor(fixture: Fixture, sam: Sam): CheckResult[] {
  const predictor = new SamPredictor(sam, { geometry: 'stretch', normalisation: NORMALISATIONS.sam });
  predictor.setImage(rgbImage(fixture, 'in/predictor.image'));
  const results = [compareForward(fixture, 'out/predictor.features', predictor.embedding)];
  const best = ({ masks, best: i }: Prediction) => masks[i] as Prediction['masks'][number];
  const points = predictorPoints(fixture);
  const first = best(predictor.predict({ points }));
  const predictions = {
    points: first,
    box: best(predictor.predict({ boxes: [predictorBox(fixture)] })),
    refine: best(predictor.predict({ points, mask: first.lowRes }, { multimask: false })),
  };
  for (const [name, { lowRes, predictedIou, logits }] of Object.entries(predictions)) {
    const key = `out/predictor.${name}`;
    results.push(compareForward(fixture, `${key}.low_res`, lowRes));
    results.push(compareForward(fixture, `${key}.iou`, Float32Array.of(predictedIou)));
    if (fixture.tensors.has(`${key}.masks_logits`))
      results.push(compareForward(fixture, `${key}.masks_logits`, logits.data));
    if (fixture.tensors.has(`${key}.masks_binary`)) {
      results.push(compareBinary(fixture, `${key}.masks_binary`, logits.data));
    }
  }
  predictor.dispose();
  return results;
}

function run(fixture: Fixture): CheckResult[] {
  const sam = loadSam(fixture);
  const results = [
    ...tidy(() => runCases(fixture, sam)),
    ...tidy(() => runPostprocess(fixture, sam)),
    ...runPredictor(fixture, sam),
  ];
  sam.dispose();
  return [...results, ...runTraining(fixture, () => loadSam(fixture))];
}

export const samEndToEnd: GoldenCheck = { covers: (name) => name === 'sammed2d_end_to_end', run };
