// Asking an annotator about a round's proposals, and sorting out the units that carry no signal. Both the preference
// objective and best-only start here.

import type { JsonlStore } from '../../run/jsonl.ts';
import type { Annotator, Answer } from '../annotators/annotator.ts';
import { type Betas, bestFirst, rankingCoefficients, ratingCoefficients } from '../coefficients.ts';
import { candidateMask } from '../proposals/candidates.ts';
import type { Proposal } from '../proposals/round.ts';
import { answerOf, type RatingLine, ratingKey, ratingLine } from '../ratings.ts';

/** A proposal with what its annotator said. */
export type Judged = {
  readonly proposal: Proposal;
  readonly coefficients: readonly number[];
  /** Candidate indices, best first. */
  readonly order: readonly number[];
};

/** How many units of a round took part, and why the others did not. */
export type RoundCounts = {
  readonly active: number;
  /** Candidates differ in fewer pixels than `minRegionPx`. */
  readonly identical: number;
  /** Candidates differ in more than `maxRegionFraction` of the image. */
  readonly oversized: number;
  /** All grades equal. */
  readonly undecided: number;
  /** The annotator has not answered. */
  readonly unanswered: number;
};

export type SkipOptions = { readonly minRegionPx: number; readonly maxRegionFraction: number };

/** Order and coefficients of an answer. */
export function interpret(answer: Answer, betas: Betas): { coefficients: number[]; order: number[] } {
  if ('order' in answer)
    return { coefficients: rankingCoefficients(answer.order, betas), order: [...answer.order] };
  return { coefficients: ratingCoefficients(answer.grades, betas), order: bestFirst(answer.grades) };
}

/** Asks about every proposal that has a signal; answers go to `store` (those already there are not asked again). */
export function judge(
  proposals: readonly Proposal[],
  options: {
    readonly annotator: Annotator;
    readonly store: JsonlStore<RatingLine> | null;
    readonly round: number;
    readonly betas: Betas;
    readonly skip: SkipOptions;
  },
): { judged: Judged[]; counts: RoundCounts } {
  const { annotator, store, round, betas, skip } = options;
  const counts = { active: 0, identical: 0, oversized: 0, undecided: 0, unanswered: 0 };
  const judged: Judged[] = [];
  for (const proposal of proposals) {
    const { caseId, classId, candidates, regionPx, hash } = proposal;
    if (regionPx < skip.minRegionPx) counts.identical += 1;
    else if (regionPx > skip.maxRegionFraction * candidates.width * candidates.height) counts.oversized += 1;
    else {
      const known = store?.get(ratingKey({ case: caseId, class: classId, proposals: hash }));
      const answer = known !== undefined ? answerOf(known) : ask(proposal, annotator, store, round);
      if (answer === undefined) counts.unanswered += 1;
      else {
        const { coefficients, order } = interpret(answer, betas);
        if (coefficients.every((c) => c === 0)) counts.undecided += 1;
        else {
          counts.active += 1;
          judged.push({ proposal, coefficients, order });
        }
      }
    }
  }
  return { judged, counts };
}

function ask(
  proposal: Proposal,
  annotator: Annotator,
  store: JsonlStore<RatingLine> | null,
  round: number,
): Answer | undefined {
  const { caseId, classId, candidates, hash } = proposal;
  const start = performance.now();
  const masks = candidates.bits.map((_, k) => candidateMask(candidates, k));
  const answer = annotator.judge({ caseId, classId, round, candidates: masks, proposalsHash: hash });
  if (answer === undefined) return undefined;
  const line = ratingLine(
    {
      case: caseId,
      class: classId,
      round,
      proposals: hash,
      annotator: annotator.name,
      elapsedMs: Math.round(performance.now() - start),
      at: new Date().toISOString(),
    },
    answer,
  );
  store?.append(line);
  return answerOf(line);
}
