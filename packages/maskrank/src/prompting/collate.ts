// Prompts of a batch as the model's tensors, with the same number of slots for every sample of a run, so that a case's
// result does not depend on which others share its batch. Slots that nothing fills are padding, which SAM was trained with.

import { fromTypedArray } from '@maskrank/torch';
import { UsageError } from '@maskrank/torch/errors';
import { boxToCanvas, type Geometry, pointToCanvas } from '../imaging/geometry.ts';
import type { Box, Point } from '../imaging/types.ts';
import type { PromptTensors } from '../models/sam/index.ts';
import type { Prompt } from './prompt.ts';

/** Slots of a run: the most points and boxes a prompt may have, and its text tokens with the length of their features. */
export type PromptLayout = {
  readonly points: number;
  readonly boxes: number;
  /** Absent: the model is given no text. */
  readonly text?: { readonly tokens: number; readonly dim: number };
};

/** Features of a prompt's text tokens, a place for each token of the layout; null where there is no text for it. */
export type TextFeatureRow = readonly (Float32Array | null)[];

/** Boxes and points in canvas pixels, and text. */
export type CanvasPrompt = {
  readonly boxes: readonly Box[];
  readonly points: readonly Point[];
  /** Absent: no text. */
  readonly text?: TextFeatureRow;
};

/** A prompt in pixels of the original image, carried onto the canvas; `text` goes with it. */
export function promptToCanvas(
  prompt: Pick<Prompt, 'boxes' | 'points'>,
  geometry: Geometry,
  text?: TextFeatureRow,
): CanvasPrompt {
  return {
    boxes: prompt.boxes.map((box) => boxToCanvas(geometry, box)),
    points: prompt.points.map((point) => pointToCanvas(geometry, point)),
    ...(text === undefined ? {} : { text }),
  };
}

/** Tensors of N prompts, on the CPU; the caller's scope owns them. What does not fit into the slots is left out, the first ones kept. */
export function collatePrompts(prompts: readonly CanvasPrompt[], layout: PromptLayout): PromptTensors {
  const n = prompts.length;
  return {
    ...(layout.points > 0 ? pointTensors(prompts, n, layout.points) : {}),
    ...(layout.boxes > 0 ? boxTensors(prompts, n, layout.boxes) : {}),
    ...(layout.text === undefined ? {} : textTensors(prompts, n, layout.text)),
  };
}

/** Point slots of N prompts, padded. */
export function pointTensors(
  prompts: readonly CanvasPrompt[],
  n: number,
  slots: number,
): Pick<PromptTensors, 'points'> {
  const coords = new Float32Array(n * slots * 2);
  const labels = new BigInt64Array(n * slots).fill(-1n);
  for (const [row, { points }] of prompts.entries()) {
    for (const [i, point] of points.slice(0, slots).entries()) {
      const slot = row * slots + i;
      coords.set([point.x, point.y], 2 * slot);
      labels[slot] = BigInt(point.label);
    }
  }
  return {
    points: { coords: fromTypedArray(coords, [n, slots, 2]), labels: fromTypedArray(labels, [n, slots]) },
  };
}

function boxTensors(
  prompts: readonly CanvasPrompt[],
  n: number,
  slots: number,
): Pick<PromptTensors, 'boxes' | 'boxPresent'> {
  const corners = new Float32Array(n * slots * 4);
  const present = new Float32Array(n * slots);
  for (const [row, { boxes }] of prompts.entries()) {
    for (const [i, box] of boxes.slice(0, slots).entries()) {
      const slot = row * slots + i;
      corners.set([box.x0, box.y0, box.x1, box.y1], 4 * slot);
      present[slot] = 1;
    }
  }
  return { boxes: fromTypedArray(corners, [n, slots, 4]), boxPresent: fromTypedArray(present, [n, slots]) };
}

function textTensors(
  prompts: readonly CanvasPrompt[],
  n: number,
  { tokens, dim }: NonNullable<PromptLayout['text']>,
): Pick<PromptTensors, 'text' | 'textPresent'> {
  const features = new Float32Array(n * tokens * dim);
  const present = new Float32Array(n * tokens);
  for (const [row, { text = [] }] of prompts.entries()) {
    for (const [i, feature] of text.slice(0, tokens).entries()) {
      if (feature === null) continue;
      if (feature.length !== dim)
        throw new UsageError(
          `collatePrompts: a text feature has ${feature.length} values, this model takes ${dim}.`,
        );
      const slot = row * tokens + i;
      features.set(feature, dim * slot);
      present[slot] = 1;
    }
  }
  return {
    text: fromTypedArray(features, [n, tokens, dim]),
    textPresent: fromTypedArray(present, [n, tokens]),
  };
}
