// Answers in a file, a JSON object a line: what was asked about which case, what came back, from whom. Written by recording.ts,
// read by recorded.ts; people may write it too: `{"case":"a","class":1,"answer":"Oval, in the upper left."}`.

import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { DataError } from '@maskrank/torch/errors';
import * as z from 'zod';
import { systemReason } from '../../../run/files.ts';
import { lineParser } from '../../../run/parse-line.ts';
import type { Question } from '../types.ts';

export const answerLineSchema = z
  .strictObject({
    case: z.string().min(1),
    class: z.int().min(1),
    className: z.string().exactOptional(),
    /** Absent in lines by hand: the answer counts for any question about case and class. */
    question: z.string().min(1).exactOptional(),
    answer: z.string().min(1).exactOptional(),
    /** Why there is no answer: the provider declined. */
    unanswered: z.string().min(1).exactOptional(),
    source: z
      .record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()]))
      .and(z.object({ provider: z.string() }))
      .exactOptional(),
    /** `AnswerProvider.identity` of whoever answered. */
    identity: z.string().exactOptional(),
    /** SHA-256 of the image file that the question was about. */
    image: z.string().exactOptional(),
  })
  .refine(({ answer, unanswered }) => (answer === undefined) !== (unanswered === undefined), {
    message: 'needs either answer or unanswered',
  });

export type AnswerLine = z.output<typeof answerLineSchema>;

export const parseAnswerLine = lineParser(answerLineSchema);

export const ANSWER_FILE = 'file of answers';

/** SHA-256 of an image file, for lines. */
export async function imageHash({ imagePath }: Pick<Question, 'imagePath'>): Promise<string> {
  try {
    return createHash('sha256')
      .update(await readFile(imagePath))
      .digest('hex');
  } catch (cause) {
    throw new DataError(`${imagePath}: the image cannot be read (${systemReason(cause)}).`, { cause });
  }
}
