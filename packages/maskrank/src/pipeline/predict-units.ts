// Masks at the original size: of what was decoded the head that the model expects to be best, its logits carried back through the
// geometry, thresholded. Evaluation and prediction both go through here. Not here: prompts that depend on a first answer (prompts.ts).

import type { EmbeddingCache } from '../alignment/embeddings.ts';
import { type AlignUnit, forChunks, type PolicyOptions } from '../alignment/policy.ts';
import type { Geometry } from '../imaging/geometry.ts';
import type { Mask } from '../imaging/types.ts';
import { type DecoderOutput, logitsToOriginal, pickBest } from '../models/sam/index.ts';
import { logit } from '../util/logit.ts';

/** A mask at the size of its image, and the model's own estimate of its IoU, 0..1. */
export type BestMask = { readonly mask: Mask; readonly predictedIou: number };

/** The best mask of each decoded prompt; `geometries`: of their images. The caller's scope owns what it makes. */
export function bestMasks(
  decoded: DecoderOutput,
  geometries: readonly Geometry[],
  threshold: number,
): BestMask[] {
  const level = logit(threshold);
  const { masks, iou } = pickBest(decoded); // [B, 1, l, l], [B, 1]
  const estimates = iou.toFloat32Array();
  return geometries.map((geometry, i) => {
    const { width, height } = geometry.original;
    const data = logitsToOriginal(masks.slice(0, i, i + 1), geometry)
      .gt(level)
      .toTypedArray() as Uint8Array;
    return { mask: { width, height, data }, predictedIou: Math.min(1, Math.max(0, estimates[i] as number)) };
  });
}

export type PredictOptions = {
  readonly policy: PolicyOptions;
  readonly embeddings: EmbeddingCache;
  /** Probability from which a pixel is foreground. */
  readonly threshold: number;
  readonly signal: AbortSignal;
};

/** Calls `visit` with the mask of every unit, in order, and the model's own estimate of its IoU. */
export function predictUnits(
  units: readonly AlignUnit[],
  options: PredictOptions,
  visit: (unit: AlignUnit, mask: Mask, predictedIou: number) => void,
): void {
  const { policy, embeddings, threshold, signal } = options;
  policy.sam.eval();
  forChunks(
    policy,
    units,
    (chunk, { decoded }) => {
      const geometries = chunk.map(({ caseId }) => embeddings.geometry(caseId));
      for (const [i, { mask, predictedIou }] of bestMasks(decoded, geometries, threshold).entries())
        visit(chunk[i] as AlignUnit, mask, predictedIou);
    },
    signal,
  );
}
