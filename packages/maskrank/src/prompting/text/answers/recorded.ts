// Answers out of a file alone, so that a study can be made again without a model and without a network, or with answers that a
// person wrote. Answers of several providers to one question: the last line counts. A case without a line is unanswered.

import { createHash } from 'node:crypto';
import { DataError } from '@maskrank/torch/errors';
import { readJsonl } from '../../../run/jsonl.ts';
import { tidyText } from '../parts.ts';
import type { AnswerProvider, Question } from '../types.ts';
import { UnansweredError } from '../unanswered.ts';
import { ANSWER_FILE, type AnswerLine, imageHash, parseAnswerLine } from './answer-file.ts';
import { answerOf } from './recording.ts';

/** Without a question a line stands for all questions about its case and class. */
const keyOf = (caseId: string, classId: number, question?: string): string =>
  JSON.stringify([caseId, classId, question === undefined ? null : tidyText(question)]);

/** Reads the whole file now; DataError where it is missing or a line is wrong. */
export function recordedAnswers(path: string): AnswerProvider {
  const { entries } = readJsonl<AnswerLine>(path, { what: ANSWER_FILE, parse: parseAnswerLine });
  const lines = new Map(entries.map((line) => [keyOf(line.case, line.class, line.question), line]));
  const content = [...lines].map(([key, { answer, unanswered }]) =>
    JSON.stringify([key, answer, unanswered]),
  );
  return {
    name: 'recorded',
    identity: createHash('sha256').update(content.sort().join('\n')).digest('hex'),
    answer: async (question: Question) => {
      const { caseId, classId, text } = question;
      const line = lines.get(keyOf(caseId, classId, text)) ?? lines.get(keyOf(caseId, classId));
      if (line === undefined)
        throw new UnansweredError(
          `${path}: no answer for case ${caseId}, class ${classId} to ${JSON.stringify(text)}.`,
          'not recorded',
        );
      if (line.image !== undefined && line.image !== (await imageHash(question)))
        throw new DataError(
          `${path}: case ${caseId}, class ${classId}: the answer is about another image than ${question.imagePath} is now. Ask again, or delete the line.`,
        );
      return answerOf(line, path);
    },
  };
}
