// From the decoder's logits to logits at the original image's size, as the references do it: bilinear to the canvas, the part
// that the image covers, bilinear to the original. SAM, SAM-Med2D's predictor and its test script differ only in the geometry.
// Shapes: N prompts, M masks, S canvas side in px.

import { nn, type Tensor } from '@maskrank/torch';
import type { Geometry } from '../../imaging/geometry.ts';

const { F } = nn;

function resize(logits: Tensor, height: number, width: number): Tensor {
  if (logits.size(2) === height && logits.size(3) === width) return logits;
  return F.interpolate(logits, [height, width], { mode: 'bilinear' });
}

/** Logits at a quarter of the canvas [N, M, S/4, S/4] -> the whole canvas [N, M, S, S]. */
export function logitsToCanvas(logits: Tensor, canvasSize: number): Tensor {
  return resize(logits, canvasSize, canvasSize);
}

/** Logits at a quarter of the canvas [N, M, S/4, S/4] -> the original image [N, M, height, width]. */
export function logitsToOriginal(logits: Tensor, geometry: Geometry): Tensor {
  const { placed, original, canvasSize } = geometry;
  const covered = logitsToCanvas(logits, canvasSize)
    .slice(2, placed.y0, placed.y1)
    .slice(3, placed.x0, placed.x1);
  return resize(covered, original.height, original.width);
}
