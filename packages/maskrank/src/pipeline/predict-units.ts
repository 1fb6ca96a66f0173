// Masks of units at the original size: decode, choose the head the model expects to be best, carry the logits back through the
// geometry, threshold. Not here: prompts that depend on a first answer (prompts.ts).

import type { Tensor } from '@maskrank/torch';
import type { EmbeddingCache } from '../alignment/embeddings.ts';
import { type AlignUnit, forChunks, type PolicyOptions } from '../alignment/policy.ts';
import type { Mask } from '../imaging/types.ts';
import { logitsToOriginal, pickBest } from '../models/sam/index.ts';

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
  const level = Math.log(threshold / (1 - threshold));
  policy.sam.eval();
  forChunks(
    policy,
    units,
    (chunk, { decoded }) => {
      const { masks, iou } = pickBest(decoded); // [B, 1, l, l], [B, 1]
      const estimates = iou.toFloat32Array();
      for (const [i, unit] of chunk.entries()) {
        const geometry = embeddings.geometry(unit.caseId);
        const logits: Tensor = logitsToOriginal(masks.slice(0, i, i + 1), geometry);
        const { width, height } = geometry.original;
        const mask = { width, height, data: logits.gt(level).toTypedArray() as Uint8Array };
        visit(unit, mask, Math.min(1, Math.max(0, estimates[i] as number)));
      }
    },
    signal,
  );
}
