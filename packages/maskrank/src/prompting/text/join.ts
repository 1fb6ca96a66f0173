// Answer and knowledge as one text that fits the text network: 256 word pieces for BiomedCLIP, `[CLS]` and `[SEP]` among them.
// The answer, which is about this image, stands first, and nothing stands behind an answer that had to be cut; knowledge is cut
// after a sentence where one fits. What falls away is counted, since a network would drop the end of a long text without a word.

import { UsageError } from '@maskrank/torch/errors';
import type { WordPiece } from '../../models/clip/index.ts';
import { tidyText, wholeText } from './parts.ts';
import type { PromptText } from './types.ts';

/** Word pieces that BiomedCLIP reads. */
export const TEXT_BUDGET = 256;
/** `[CLS]` and `[SEP]`. */
const MARKERS = 2;

/** A text that fits, and what fell away. */
export type JoinedText = {
  readonly text: string;
  /** Word pieces of `text` with `[CLS]` and `[SEP]`; never above the budget. */
  readonly pieces: number;
  /** Word pieces that fell away, and of which part. */
  readonly dropped: number;
  readonly droppedOf: { readonly answer: number; readonly knowledge: number };
};

type Tokenizer = Pick<WordPiece, 'tokenize'>;

/** @param budget word pieces at most, markers included; 3 or more */
export function joinText(tokenizer: Tokenizer, text: PromptText, budget: number = TEXT_BUDGET): JoinedText {
  if (!Number.isInteger(budget) || budget <= MARKERS)
    throw new UsageError(`joinText: budget ${budget}; allowed: whole numbers from ${MARKERS + 1}.`);
  const room = budget - MARKERS;
  const answer = fit(tokenizer, text.answer ?? '', room);
  const knowledge = fit(tokenizer, text.knowledge ?? '', answer.dropped > 0 ? 0 : room - answer.pieces);
  const droppedOf = { answer: answer.dropped, knowledge: knowledge.dropped };
  return {
    text: wholeText({ answer: answer.text, knowledge: knowledge.text }),
    pieces: answer.pieces + knowledge.pieces + MARKERS,
    dropped: droppedOf.answer + droppedOf.knowledge,
    droppedOf,
  };
}

type Fitted = { readonly text: string; readonly pieces: number; readonly dropped: number };

/** Behind a full stop, where a capital or a number follows. */
const SENTENCE_END = /(?<=[.!?])\s+(?=[\p{Lu}\p{N}])/u;
/** Words with the space before them; signs, and characters of scripts without spaces, by themselves. */
const WORDS = /\s*(?:[\p{P}\p{S}]|\p{Script=Han}|[^\s\p{P}\p{S}\p{Script=Han}]+)/gu;

/** As much of a text as has room: whole, else whole sentences, else words of the first sentence. */
function fit(tokenizer: Tokenizer, text: string, room: number): Fitted {
  const whole = tidyText(text);
  const count = (part: string) => tokenizer.tokenize(part).length;
  const all = count(whole);
  if (all <= room) return { text: whole, pieces: all, dropped: 0 };
  const sentences = whole.split(SENTENCE_END);
  const kept =
    longestStart(sentences, ' ', room, count) ||
    longestStart(sentences[0]?.match(WORDS) ?? [], '', room, count).trim();
  const pieces = count(kept);
  return { text: kept, pieces, dropped: all - pieces };
}

/** The first parts as one text, as many as have room. */
function longestStart(
  parts: readonly string[],
  between: string,
  room: number,
  count: (text: string) => number,
): string {
  const sums: number[] = [];
  for (const part of parts) {
    const sum = (sums.at(-1) ?? 0) + count(part);
    if (sum > room) break;
    sums.push(sum);
  }
  // Counts of parts add up at spaces and signs; a part that splits a word elsewhere may change its pieces, so look again.
  for (let n = sums.length; n > 0; n--) {
    const text = parts.slice(0, n).join(between);
    if (count(text) <= room) return text;
  }
  return '';
}
