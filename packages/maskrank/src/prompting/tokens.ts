// A prompt as the model takes it: a fixed number of tokens, each a position on the canvas and a kind. The number is the
// same for every case of a run, so that a case's result does not depend on which others share its batch; slots that
// nothing fills are padding, which SAM embeds as "not a point".

import type { Geometry } from '../imaging/geometry.ts';
import { boxToCanvas, pointToCanvas } from '../imaging/geometry.ts';
import type { Box, Point } from '../imaging/types.ts';
import type { Prompt } from './prompt.ts';

/** SAM's kinds of sparse prompt, with the numbers its exported models use. */
export const TOKEN = { padding: -1, background: 0, foreground: 1, topLeft: 2, bottomRight: 3 } as const;

/** Slots of a run: the most points and boxes a prompt may have. */
export type TokenLayout = { readonly points: number; readonly boxes: number };

/** N = points + 2 boxes, in SAM's order: points, then the corners of each box. */
export const tokenCount = ({ points, boxes }: TokenLayout): number => points + 2 * boxes;

/** One prompt on the canvas. */
export type PromptTokens = {
  /** x, y for each token [N * 2], canvas pixels. */
  readonly coords: Float32Array;
  /** TOKEN values [N]. */
  readonly kinds: Int8Array;
};

/** Fills the slots from boxes and points that are already on the canvas; what does not fit is left out, largest first kept. */
export function canvasTokens(
  boxes: readonly Box[],
  points: readonly Point[],
  layout: TokenLayout,
): PromptTokens {
  const count = tokenCount(layout);
  const coords = new Float32Array(2 * count);
  const kinds = new Int8Array(count).fill(TOKEN.padding);
  const put = (slot: number, x: number, y: number, kind: number): void => {
    coords[2 * slot] = x;
    coords[2 * slot + 1] = y;
    kinds[slot] = kind;
  };
  for (const [i, point] of points.slice(0, layout.points).entries()) put(i, point.x, point.y, point.label);
  for (const [i, box] of boxes.slice(0, layout.boxes).entries()) {
    put(layout.points + 2 * i, box.x0, box.y0, TOKEN.topLeft);
    put(layout.points + 2 * i + 1, box.x1, box.y1, TOKEN.bottomRight);
  }
  return { coords, kinds };
}

/** Tokens of a prompt given in pixels of the original image. */
export function promptTokens(prompt: Prompt, geometry: Geometry, layout: TokenLayout): PromptTokens {
  return canvasTokens(
    prompt.boxes.map((box) => boxToCanvas(geometry, box)),
    prompt.points.map((point) => pointToCanvas(geometry, point)),
    layout,
  );
}
