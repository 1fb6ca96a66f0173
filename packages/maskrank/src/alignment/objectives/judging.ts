// Asking an annotator about a round's proposals, and sorting out the units that carry no signal. Both the preference
// objective and best-only start here.

import type { JsonlStore } from '../../run/jsonl.ts';
import type { Annotator, Answer, Question } from '../annotators/annotator.ts';
import {
  type Betas,
  bestCoefficients,
  bestFirst,
  CANDIDATES,
  rankingCoefficients,
  ratingCoefficients,
} from '../coefficients.ts';
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
  /** What the candidates offered, where the annotator holds the truth. */
  readonly headroom?: Headroom;
};

/** Dice above the current mask, means over the units that were shown to the annotator and hold their current mask. */
export type Headroom = {
  /** Of the best of a unit's candidates, 0..1. */
  readonly best: number;
  /** Of the mean of a unit's candidates; below 0 where most are worse. */
  readonly mean: number;
};

export type SkipOptions = { readonly minRegionPx: number; readonly maxRegionFraction: number };

/** Order and coefficients of an answer. Where only the best is known, the others follow by their indices. */
export function interpret(answer: Answer, betas: Betas): { coefficients: number[]; order: number[] } {
  if ('order' in answer)
    return { coefficients: rankingCoefficients(answer.order, betas), order: [...answer.order] };
  if ('best' in answer) {
    const others = Array.from({ length: CANDIDATES }, (_, k) => k).filter((k) => k !== answer.best);
    return { coefficients: bestCoefficients(answer.best, betas), order: [answer.best, ...others] };
  }
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
  const offered: Headroom[] = [];
  for (const proposal of proposals) {
    const { caseId, classId, candidates, regionPx, hash } = proposal;
    if (regionPx < skip.minRegionPx) counts.identical += 1;
    else if (regionPx > skip.maxRegionFraction * candidates.width * candidates.height) counts.oversized += 1;
    else {
      const known = store?.get(ratingKey({ case: caseId, class: classId, proposals: hash }));
      const question = questionOf(proposal, round);
      const answer = known !== undefined ? answerOf(known) : ask(question, annotator, store);
      offered.push(...headroomOf(proposal, annotator.agreement?.(question)));
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
  if (offered.length === 0) return { judged, counts };
  const headroom = { best: mean(offered.map(({ best }) => best)), mean: mean(offered.map((o) => o.mean)) };
  return { judged, counts: { ...counts, headroom } };
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

function questionOf({ caseId, classId, candidates, hash }: Proposal, round: number): Question {
  const masks = candidates.bits.map((_, k) => candidateMask(candidates, k));
  return { caseId, classId, round, candidates: masks, proposalsHash: hash };
}

/** Nothing where the truth or the current mask is not known. */
function headroomOf({ current }: Proposal, agreement: readonly number[] | undefined): Headroom[] {
  if (agreement === undefined || current === undefined) return [];
  const own = agreement[current] as number;
  return [{ best: Math.max(...agreement) - own, mean: mean(agreement) - own }];
}

function ask(
  question: Question,
  annotator: Annotator,
  store: JsonlStore<RatingLine> | null,
): Answer | undefined {
  const start = performance.now();
  const answer = annotator.judge(question);
  if (answer === undefined) return undefined;
  const line = ratingLine(
    {
      case: question.caseId,
      class: question.classId,
      round: question.round,
      proposals: question.proposalsHash,
      annotator: annotator.name,
      elapsedMs: Math.round(performance.now() - start),
      at: new Date().toISOString(),
    },
    answer,
  );
  store?.append(line);
  return answerOf(line);
}
