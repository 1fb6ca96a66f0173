// Log-probability of label sequences under a next-token model, as direct-preference-optimization's `_get_batch_logps` takes
// them: the logits at a place speak of the label at the next one. Letters: B sequences, T places, V tokens.

import type { Tensor } from '@maskrank/torch';

/** Label of places that do not count (prompt, padding). */
export const IGNORED_LABEL = -100;

export type SequenceLogpsOptions = {
  /** Mean over the places that count, instead of their sum; 0 for a sequence without any. */
  readonly average?: boolean;
};

/** logits [B, T, V], labels [B, T] int64 -> [B]. */
export function sequenceLogps(
  logits: Tensor,
  labels: Tensor,
  { average = false }: SequenceLogpsOptions = {},
): Tensor {
  const next = labels.slice(1, 1); // [B, T - 1]
  const counted = next.ne(IGNORED_LABEL);
  const tokens = next.maskedFill(counted.logicalNot(), 0);
  const logp = logits.slice(1, 0, -1).logSoftmax(-1).gather(2, tokens.unsqueeze(2)).squeeze(2);
  const total = logp.mul(counted.to(logp.dtype)).sum(1);
  return average ? total.div(counted.to(logp.dtype).sum(1).clamp(1)) : total;
}
