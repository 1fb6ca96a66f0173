// RUN/ratings.jsonl: who said what of which candidates, and when. A line belongs to exactly the candidates whose hash it
// carries; candidates made anew need new answers. Forced to the disk line by line: a person typed it.

import { UsageError } from '@maskrank/torch/errors';
import * as z from 'zod';
import { JsonlStore } from '../run/jsonl.ts';
import { lineParser } from '../run/parse-line.ts';
import type { Annotator, Answer } from './annotators/annotator.ts';
import { CANDIDATES } from './coefficients.ts';

/** The scale of the paper's rating: by IoU .4, .55 and .7. */
const LOWEST_GRADE = 1;
const HIGHEST_GRADE = 4;

const GRADE = { error: `allowed: ${LOWEST_GRADE} (worst) to ${HIGHEST_GRADE} (best)` };

const candidate = z
  .int()
  .min(0)
  .max(CANDIDATES - 1);

const permutation = z
  .array(candidate)
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
    /** One a candidate, 1 worst to 4 best; halves and the like are allowed, equal grades are ties. */
    grades: z
      .array(z.number(GRADE).min(LOWEST_GRADE, GRADE).max(HIGHEST_GRADE, GRADE))
      .length(CANDIDATES)
      .optional(),
    /** Index of the best candidate; nothing is known of the others. */
    best: candidate.optional(),
    annotator: z.string().min(1),
    elapsedMs: z.number().min(0),
    /** ISO 8601. */
    at: z.string(),
  })
  .refine(({ order, grades, best }) => [order, grades, best].filter((x) => x !== undefined).length === 1, {
    error: 'needs one of order, grades and best',
  });

export type RatingLine = z.output<typeof ratingLineSchema>;

/** Identity of a line: one answer for a set of candidates. */
export const ratingKey = (line: {
  readonly case: string;
  readonly class: number;
  readonly proposals: string;
}): string => `${line.case}\u0000${line.class}\u0000${line.proposals}`;

const parseLine = lineParser(ratingLineSchema);

/** Opens the store of a run for one writer. */
export function openRatings(path: string, fsync: 'each' | 'close' = 'each'): JsonlStore<RatingLine> {
  return JsonlStore.open(path, {
    what: 'rating store',
    key: ratingKey,
    parse: parseLine,
    fsync,
  });
}

/** The line of an answer. Throws UsageError where the annotator's order, grades or best are none. */
export function ratingLine(line: Omit<RatingLine, 'order' | 'grades' | 'best'>, answer: Answer): RatingLine {
  const parsed = ratingLineSchema.safeParse({ ...line, ...answer });
  if (parsed.success) return parsed.data;
  throw new UsageError(
    `annotator ${line.annotator}: answered ${JSON.stringify(answer)} about case ${line.case}, class ${line.class}; allowed: an order of the indices 0..${CANDIDATES - 1}, ${CANDIDATES} grades from ${LOWEST_GRADE} to ${HIGHEST_GRADE}, or the index of the best`,
  );
}

/** The answer of a line. */
export function answerOf({ order, grades, best }: RatingLine): Answer {
  if (order !== undefined) return { order };
  return grades !== undefined ? { grades } : { best: best as number };
}

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
