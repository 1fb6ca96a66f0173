// Masks of units at the original size: decode, choose the head the model expects to be best, carry the logits back through the
// geometry, threshold. Evaluation and prediction both go through here, so they cannot differ.

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

/** Calls `visit` with the mask of every unit, in order. */
export function predictUnits(
  units: readonly AlignUnit[],
  options: PredictOptions,
  visit: (unit: AlignUnit, mask: Mask) => void,
): void {
  const { policy, embeddings, threshold, signal } = options;
  const level = Math.log(threshold / (1 - threshold));
  policy.sam.eval();
  forChunks(
    policy,
    units,
    (chunk, { decoded }) => {
      const { masks } = pickBest(decoded); // [B, 1, l, l]
      for (const [i, unit] of chunk.entries()) {
        const geometry = embeddings.geometry(unit.caseId);
        const logits: Tensor = logitsToOriginal(masks.slice(0, i, i + 1), geometry);
        const { width, height } = geometry.original;
        visit(unit, { width, height, data: logits.gt(level).toTypedArray() as Uint8Array });
      }
    },
    signal,
  );
}
