// A network's own mask given back to it with the same prompts, as SAM was trained to take it: what it drew becomes what it is
// asked to draw better. Helps where a prompt says little, one click above all. Not here: the prompts themselves (prompt-encoder.ts).
// Shapes: N prompts, S canvas side in px, l = S/4 the side of logits.

import { fromTypedArray, type Tensor } from '@maskrank/torch';
import { componentMask, labelComponents } from '../../imaging/components.ts';
import type { Mask } from '../../imaging/types.ts';
import type { SamConfig } from './config.ts';
import type { DecoderOutput } from './mask-decoder.ts';
import type { PromptTensors } from './prompt-encoder.ts';
import { pickBest, type Sam } from './sam.ts';

/** A positive point, in pixels of the canvas. */
type Click = { readonly x: number; readonly y: number };

/**
 * The best mask of each prompt [N, 1, l, l] after `rounds` further passes, each given the mask before it. Of that mask only the
 * connected parts that a positive click is in are given back, all of it where none is. 0 rounds: a plain `decode`.
 */
export function decodeGivenBack(
  sam: Sam,
  embeddings: Tensor,
  prompts: PromptTensors,
  rounds: number,
): DecoderOutput {
  let best = pickBest(sam.decode(embeddings, prompts, { multimask: true }));
  for (let round = 0; round < rounds; round++) {
    const masks = maskPromptOf(best.masks, prompts, sam.config);
    best = pickBest(sam.decode(embeddings, { ...prompts, masks }, { multimask: true }));
  }
  return best;
}

/** Logits [N, 1, l, l] of what was drawn for N prompts -> the masks of the next prompts [N, 1, l, l], in the configuration's terms. */
export function maskPromptOf(
  logits: Tensor,
  prompts: PromptTensors,
  { maskPrompt, imageSize }: Pick<SamConfig, 'maskPrompt' | 'imageSize'>,
): Tensor {
  const clicks = clicksOf(prompts);
  const kept = clicks === null ? logits : withoutOtherParts(logits, clicks, imageSize);
  return asMaskPrompt(kept, maskPrompt);
}

/** Logits as a network takes masks. */
export const asMaskPrompt = (logits: Tensor, maskPrompt: SamConfig['maskPrompt']): Tensor =>
  maskPrompt === 'logits' ? logits : logits.sigmoid();

/** Positive clicks of each prompt. */
function clicksOf({ points }: PromptTensors): Click[][] | null {
  if (points === undefined) return null;
  const [n, slots] = points.coords.shape as [number, number, number];
  const coords = points.coords.toFloat32Array();
  const labels = points.labels.toTypedArray() as BigInt64Array;
  return Array.from({ length: n }, (_, row) =>
    Array.from({ length: slots }, (_, i) => row * slots + i)
      .filter((slot) => labels[slot] === 1n)
      .map((slot) => ({ x: coords[2 * slot] as number, y: coords[2 * slot + 1] as number })),
  );
}

/** Parts that no click is in become as surely background as they were foreground. */
function withoutOtherParts(logits: Tensor, clicks: Click[][], imageSize: number): Tensor {
  const [n, , side] = logits.shape as [number, number, number, number];
  const positive = logits.gt(0).toTypedArray() as Uint8Array;
  const signs = new Float32Array(positive.length).fill(1);
  const pixels = side * side;
  for (let row = 0; row < n; row++) {
    const mask = { width: side, height: side, data: positive.subarray(row * pixels, (row + 1) * pixels) };
    const kept = partsWith(mask, clicks[row] as Click[], side / imageSize);
    for (let i = 0; i < pixels; i++) if (mask.data[i] !== kept.data[i]) signs[row * pixels + i] = -1;
  }
  return logits.mul(fromTypedArray(signs, logits.shape).to(logits.device as 'cuda'));
}

/** The components of a mask that clicks are in, `scale` times the clicks' pixels; the mask itself where none is hit. */
function partsWith(mask: Mask, clicks: readonly Click[], scale: number): Mask {
  const { width, height } = mask;
  const labelled = labelComponents(mask);
  const hit = new Set(
    clicks.map(({ x, y }) => {
      const [u, v] = [Math.floor(x * scale), Math.floor(y * scale)];
      return u >= 0 && v >= 0 && u < width && v < height ? labelled.labels[v * width + u] : 0;
    }),
  );
  const chosen = labelled.components.filter(({ label }) => hit.has(label));
  return chosen.length === 0 ? mask : componentMask(labelled, chosen);
}
