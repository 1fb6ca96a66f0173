// Which texts a prompt stands for: the answer, the knowledge, or both as one, answer first. Every stage that looks up features
// and the stage that makes them get the texts from here, so they agree to the letter. Whole texts: the cut to the network's
// context is made where they are encoded (join.ts), by the one who has the tokeniser.

import type { PromptText, TextPart, TextTokens } from './types.ts';

/** In the order in which they are joined. */
export const TEXT_PARTS = ['vqa', 'knowledge'] as const satisfies readonly TextPart[];

const FIELD = { vqa: 'answer', knowledge: 'knowledge' } as const satisfies Record<TextPart, keyof PromptText>;

/** White space as one space each, none at the ends. */
export const tidyText = (text: string): string => text.trim().replace(/\s+/gu, ' ');

/** The parts of a text that are asked for and there, tidied. */
function kept(text: PromptText, parts: readonly TextPart[]): PromptText {
  const fields = TEXT_PARTS.filter((part) => parts.includes(part)).map((part) => FIELD[part]);
  return Object.fromEntries(
    fields.flatMap((field) => {
      const value = tidyText(text[field] ?? '');
      return value === '' ? [] : [[field, value]];
    }),
  );
}

/** Answer and knowledge as one text, answer first; '' where there is neither. Features are stored under it. */
export function wholeText({ answer, knowledge }: PromptText): string {
  return [answer, knowledge]
    .map((part) => tidyText(part ?? ''))
    .filter((part) => part !== '')
    .join(' ');
}

/**
 * The texts whose features become the prompt's tokens, in order; none where no part that is asked for is there. With two
 * tokens answer and knowledge stand apart; with one they are joined.
 */
export function textsFor(text: PromptText, parts: readonly TextPart[], tokens: TextTokens): PromptText[] {
  const { answer, knowledge } = kept(text, parts);
  const apart = [answer && { answer }, knowledge && { knowledge }].filter((part) => typeof part === 'object');
  return tokens === 2 || apart.length < 2 ? apart : [{ answer, knowledge }];
}

/** Every text that any choice of parts and tokens can ask for: what is encoded once, so that no later stage needs the network. */
export function allTexts(text: PromptText): PromptText[] {
  return [...textsFor(text, TEXT_PARTS, 2), ...textsFor(text, TEXT_PARTS, 1)].filter(
    (one, i, all) => all.findIndex((other) => wholeText(other) === wholeText(one)) === i,
  );
}
