// Keeps what a provider answers, as it comes, in a file: a run that is stopped and started again, or made twice, asks nothing
// twice. Declined questions are kept too. An answer counts again for the same case, class, question, image and provider; change
// any of them and it is asked anew. One writer a file (the run's lock).

import { JsonlStore } from '../../../run/jsonl.ts';
import type { Answer, AnswerProvider, Question } from '../types.ts';
import { UnansweredError } from '../unanswered.ts';
import { ANSWER_FILE, type AnswerLine, imageHash, parseAnswerLine } from './answer-file.ts';

const keyOf = (line: AnswerLine): string =>
  JSON.stringify([line.case, line.class, line.question, line.image, line.identity]);

/** A provider with a memory. */
export type RecordingAnswers = AnswerProvider & {
  /** Questions that were put to the provider, and those that the file knew. */
  readonly counts: { readonly asked: number; readonly reused: number };
  close(): void;
};

/** The provider with a memory in `path`. Close it. */
export function recordAnswers(provider: AnswerProvider, path: string): RecordingAnswers {
  const store = JsonlStore.open<AnswerLine>(path, {
    what: ANSWER_FILE,
    key: keyOf,
    parse: parseAnswerLine,
    fsync: 'each', // an answer costs money or half a minute
  });
  const { name, identity } = provider;
  const counts = { asked: 0, reused: 0 };
  const answer = async (question: Question, signal: AbortSignal): Promise<Answer> => {
    const { caseId, classId, className, text } = question;
    const asked: AnswerLine = {
      case: caseId,
      class: classId,
      ...(className !== undefined && { className }),
      question: text,
      image: await imageHash(question),
      identity,
    };
    const known = store.get(keyOf(asked));
    if (known !== undefined) {
      counts.reused++;
      return answerOf(known, path);
    }
    counts.asked++;
    try {
      const found = await provider.answer(question, signal);
      store.append({ ...asked, answer: found.text, source: { ...found.source } });
      return found;
    } catch (error) {
      if (error instanceof UnansweredError)
        store.append({ ...asked, unanswered: error.reason, source: { provider: name } });
      throw error;
    }
  };
  const close = () => {
    store.close();
    provider.close?.();
  };
  return { name, identity, counts, answer, close };
}

/** A line's answer; UnansweredError where it has none. */
export function answerOf(line: AnswerLine, path: string): Answer {
  if (line.answer === undefined)
    throw new UnansweredError(
      `${path}: case ${line.case}, class ${line.class}: recorded as unanswered (${line.unanswered}).`,
      line.unanswered ?? 'unknown',
    );
  return { text: line.answer, source: line.source ?? { provider: 'recorded' } };
}
