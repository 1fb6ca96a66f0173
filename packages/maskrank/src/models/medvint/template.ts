// The words around a question, exactly as MedVInT-TD was trained with them: nothing stands between the question and
// "The Answer is:", and choices follow each other without separators. Not here: tokens, the image.

import { UsageError } from '@maskrank/torch/errors';

/** The names of choices, in their order. The released model learned four of them. */
export const CHOICE_LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';

/** The prompt for an open question, or for one with choices (at least two). */
export function questionPrompt(question: string, choices: readonly string[] | null = null): string {
  const asked = question.trim();
  if (asked === '') throw new UsageError('questionPrompt: the question is empty.');
  return `Question: ${asked}${choices === null ? '' : `Choices:${listed(choices)}`}The Answer is:`;
}

function listed(choices: readonly string[]): string {
  const most = CHOICE_LETTERS.length;
  const isSound = choices.length >= 2 && choices.length <= most && choices.every((c) => c.trim() !== '');
  if (!isSound)
    throw new UsageError(
      `questionPrompt: ${choices.length} choices (${choices.map((c) => JSON.stringify(c)).join(', ')}), allowed 2 to ${most}, none empty.`,
    );
  return choices.map((choice, i) => ` ${CHOICE_LETTERS[i]}:${choice.trim()}`).join('');
}
