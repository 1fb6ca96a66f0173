// From an annotator's judgement to the coefficient of each candidate's log-likelihood in Eq. (5) of the paper:
// the candidates, best to worst, fill the slots (beta1, beta2, -beta2, -beta1). The slots sum to zero, and so does every
// result here: that is what cancels the partition function (see preference-loss.ts).

/** Weights of best against worst (beta1) and second against third (beta2). */
export type Betas = { readonly beta1: number; readonly beta2: number };

/** The number of candidates of a case and class. */
export const CANDIDATES = 4;

const slots = ({ beta1, beta2 }: Betas): readonly number[] => [beta1, beta2, -beta2, -beta1];

/** `order`: candidate indices, best first. Result in candidate order. */
export function rankingCoefficients(order: readonly number[], betas: Betas): number[] {
  const slot = slots(betas);
  const result = new Array<number>(order.length).fill(0);
  for (const [rank, candidate] of order.entries()) result[candidate] = slot[rank] as number;
  return result;
}

/** The best against the others, of whom nothing was said. `best`: its index. Result in candidate order. */
export function bestCoefficients(best: number, { beta1 }: Betas): number[] {
  return Array.from({ length: CANDIDATES }, (_, k) => (k === best ? beta1 : -beta1 / (CANDIDATES - 1)));
}

/**
 * `grades`: one a candidate, higher is better. Equal grades share the mean of the slots they fill together, so four equal
 * grades say nothing.
 */
export function ratingCoefficients(grades: readonly number[], betas: Betas): number[] {
  const slot = slots(betas);
  const order = bestFirst(grades);
  const result = new Array<number>(grades.length).fill(0);
  for (let start = 0; start < order.length; ) {
    let end = start + 1;
    while (end < order.length && grades[order[end] as number] === grades[order[start] as number]) end += 1;
    const share = slot.slice(start, end).reduce((sum, s) => sum + s, 0) / (end - start);
    for (const candidate of order.slice(start, end)) result[candidate] = share;
    start = end;
  }
  return result;
}

/** Candidate indices by descending score; equal scores keep their order. */
export function bestFirst(scores: readonly number[]): number[] {
  return scores.map((_, i) => i).sort((a, b) => (scores[b] as number) - (scores[a] as number) || a - b);
}
