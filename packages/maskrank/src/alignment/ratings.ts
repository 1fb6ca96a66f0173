// RUN/ratings.jsonl: who said what of which candidates, and when. A line belongs to exactly the candidates whose hash it
// carries; candidates made anew need new answers. Forced to the disk line by line: a person typed it.

import * as z from 'zod';
import { JsonlStore } from '../run/jsonl.ts';
import { lineParser } from '../run/parse-line.ts';
import type { Annotator, Answer } from './annotators/annotator.ts';
import { CANDIDATES } from './coefficients.ts';

const permutation = z
  .array(
    z
      .int()
      .min(0)
      .max(CANDIDATES - 1),
  )
  .length(CANDIDATES)
  .refine((order) => new Set(order).size === CANDIDATES, {
    error: `must name each of 0..${CANDIDATES - 1} once`,
  });

export const ratingLineSchema = z
  .strictObject({
    case: z.string().min(1),
    class: z.int().min(1),
    round: z.int().min(0),
    /** Content hash of the candidates. */
    proposals: z.string(),
    /** Candidate indices, best first. */
    order: permutation.optional(),
    /** One a candidate, 1 worst to 4 best. */
    grades: z.array(z.number()).length(CANDIDATES).optional(),
    annotator: z.string().min(1),
    elapsedMs: z.number().min(0),
    /** ISO 8601. */
    at: z.string(),
  })
  .refine((line) => (line.order === undefined) !== (line.grades === undefined), {
    error: 'needs order or grades, not both',
  });

export type RatingLine = z.output<typeof ratingLineSchema>;

/** Identity of a line: one answer for a set of candidates. */
export const ratingKey = (line: {
  readonly case: string;
  readonly class: number;
  readonly proposals: string;
}): string => `${line.case}\u0000${line.class}\u0000${line.proposals}`;

/** Opens the store of a run for one writer. */
export function openRatings(path: string, fsync: 'each' | 'close' = 'each'): JsonlStore<RatingLine> {
  return JsonlStore.open(path, {
    what: 'rating store',
    key: ratingKey,
    parse: lineParser(ratingLineSchema),
    fsync,
  });
}

/** The answer of a line. */
export const answerOf = (line: RatingLine): Answer =>
  line.order === undefined ? { grades: line.grades as number[] } : { order: line.order };

/** An annotator who only knows what is in the store: a person's answers, or an earlier run's. */
export function recordedAnnotator(store: JsonlStore<RatingLine>): Annotator {
  return {
    name: 'recorded',
    judge: ({ caseId, classId, proposalsHash }) => {
      const line = store.get(ratingKey({ case: caseId, class: classId, proposals: proposalsHash }));
      return line === undefined ? undefined : answerOf(line);
    },
  };
}
