// Questions and answers of a dataset, a JSON object a line and case in DATASET/language.jsonl, as phantoms have them. The question
// that text prompting asks about a class (prompting/text/questions.ts) can be added wherever a case answers shape and location
// together. Not here: images, tokens.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DataError } from '@maskrank/torch/errors';
import { z } from 'zod';
import { LANGUAGE_FILE } from '../../datasets/phantoms/dataset.ts';
import type { Dataset } from '../../datasets/schema.ts';
import { questionFor } from '../../prompting/text/questions.ts';
import { readJsonl } from '../../run/jsonl.ts';
import { lineParser } from '../../run/parse-line.ts';

export type AskedQuestion = {
  /** `shape`, `location`, …: accuracies are told by it. */
  readonly kind: string;
  readonly classId: number;
  readonly question: string;
  readonly answer: string;
};

const line = z.object({
  case: z.string().min(1),
  questions: z.array(
    z.object({
      kind: z.string().min(1),
      classId: z.int(),
      question: z.string().trim().min(1),
      answer: z.string().trim().min(1),
    }),
  ),
});

/** Whether a question is about both, which is what prompting asks. */
const ASKS_BOTH = /\bshape and location\b/i;

/** Kind of questions about both. */
const BOTH = 'shape and location';

/** The questions of each case by its id. DataError where the folder has no such file, or a line is wrong. */
export function readQuestions(dir: string): Map<string, readonly AskedQuestion[]> {
  const path = join(dir, LANGUAGE_FILE);
  if (!existsSync(path))
    throw new DataError(
      `${path} is not there. Needed are questions and answers, a line a case: {"case":"a","questions":[{"kind":"side","classId":1,"question":"…","answer":"…"}]}; phantoms have them (maskrank dataset phantom).`,
    );
  const { entries } = readJsonl(path, { what: 'file of questions', parse: lineParser(line) });
  return new Map(entries.map(({ case: id, questions }) => [id, questions.map(ofOwnKind)]));
}

/** Questions about shape and location together are a kind of their own. */
export const ofOwnKind = (asked: AskedQuestion): AskedQuestion =>
  ASKS_BOTH.test(asked.question) ? { ...asked, kind: BOTH } : asked;

/** The questions, and beside each about shape and location the one that prompting asks about its class. */
export function withPrompted(
  questions: readonly AskedQuestion[],
  { classes, modality }: Pick<Dataset, 'classes' | 'modality'>,
): AskedQuestion[] {
  return questions.flatMap((asked) => {
    if (asked.kind !== BOTH) return [asked];
    const cls = classes.find(({ id }) => id === asked.classId);
    const question = cls && questionFor(cls, modality);
    const isNew = question !== undefined && question !== asked.question && ASKS_BOTH.test(question);
    return isNew ? [asked, { ...asked, question }] : [asked];
  });
}

const OTHER_SIDE: Readonly<Record<string, string>> = { left: 'right', right: 'left' };

/** The answer that is true of the mirrored image: sides are those of the picture. */
export const mirrorAnswer = (answer: string): string =>
  answer.replace(/\b(left|right)\b/g, (side) => OTHER_SIDE[side] as string);
