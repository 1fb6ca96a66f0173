// A vocabulary from texts by byte pair encoding (Sennrich 2016), ordered and scored as SentencePiece does it: markers, the 256
// bytes, joined pieces (the first joined scores best), single characters. Words are split at spaces, which lead them, and
// letters never join digits or punctuation. Equals are decided by the text, so the same texts give the same vocabulary.
// For small sets of texts: every step looks at all words. Not here: the file (write-sentencepiece-model.ts).

import { UsageError } from '@maskrank/torch/errors';
import type { Piece, SentencePieceModel } from './sentencepiece-model.ts';

/** What SentencePiece writes for a space. */
const SPACE = '\u2581';
/** Printable ASCII: whoever asks in other words is understood letter by letter, not byte by byte. */
const CHARACTERS = Array.from({ length: 0x7f - 0x21 }, (_, i) => String.fromCharCode(0x21 + i));
/** First character of Unicode's private use: places left over hold characters from here on, which no text has. */
const SPARE = 0xe000;
/** Runs that stay apart: letters with the space before them, digits, and each other character alone. */
const RUNS = /\u2581?\p{L}+|\u2581?\p{N}+|\u2581?[^\u2581\p{L}\p{N}]|\u2581/gu;

type Word = { readonly count: number; symbols: string[] };

/** A vocabulary of exactly `size` pieces. UsageError where markers, bytes and characters are more than that. */
export function trainBpe(texts: Iterable<string>, size: number): SentencePieceModel {
  const words = countedWords(texts);
  const special: Piece[] = [
    { text: '<unk>', score: 0, type: 'unknown' },
    { text: '<s>', score: 0, type: 'control' },
    { text: '</s>', score: 0, type: 'control' },
    ...Array.from({ length: 256 }, (_, byte): Piece => {
      const hex = byte.toString(16).toUpperCase().padStart(2, '0');
      return { text: `<0x${hex}>`, score: 0, type: 'byte' };
    }),
  ];
  const characters = [...new Set([SPACE, ...CHARACTERS, ...words.flatMap(({ symbols }) => symbols)])].sort();
  const room = size - special.length - characters.length;
  if (room < 0)
    throw new UsageError(
      `trainBpe: a vocabulary of ${size}; markers, bytes and characters alone are ${size - room}.`,
    );
  const texted = [...joined(words, room), ...characters];
  for (let i = 0; texted.length < size - special.length; i++) texted.push(String.fromCharCode(SPARE + i));
  const normal = texted.map((text, i): Piece => ({ text, score: -i, type: 'normal' }));
  return { pieces: [...special, ...normal], addDummyPrefix: true, unknownId: 0, bosId: 1, eosId: 2 };
}

function countedWords(texts: Iterable<string>): Word[] {
  const counts = new Map<string, number>();
  for (const [text, times] of counted(texts))
    for (const run of ` ${text}`.replaceAll(' ', SPACE).match(RUNS) ?? [])
      counts.set(run, (counts.get(run) ?? 0) + times);
  return [...counts].map(([word, count]) => ({ count, symbols: Array.from(word) }));
}

/** The same few texts come again and again. */
function counted(texts: Iterable<string>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1);
  return counts;
}

/** The pieces that joining the most frequent neighbours gives, in their order; changes the words. */
function joined(words: readonly Word[], most: number): string[] {
  const pieces: string[] = [];
  const known = new Set<string>();
  while (pieces.length < most) {
    const best = mostFrequentPair(words);
    if (best === undefined) break;
    const [left, right] = best;
    for (const word of words) word.symbols = joinIn(word.symbols, left, right);
    const piece = left + right;
    if (!known.has(piece)) pieces.push(piece); // the same text can be joined from other halves
    known.add(piece);
  }
  return pieces;
}

function mostFrequentPair(words: readonly Word[]): readonly [string, string] | undefined {
  const counts = new Map<string, { readonly pair: readonly [string, string]; count: number }>();
  for (const { count, symbols } of words)
    for (let i = 1; i < symbols.length; i++) {
      const pair = [symbols[i - 1] as string, symbols[i] as string] as const;
      const key = pair.join(' '); // no symbol holds a space
      const found = counts.get(key);
      if (found === undefined) counts.set(key, { pair, count });
      else found.count += count;
    }
  let best:
    | { readonly key: string; readonly pair: readonly [string, string]; readonly count: number }
    | undefined;
  for (const [key, { pair, count }] of counts)
    if (best === undefined || count > best.count || (count === best.count && key < best.key))
      best = { key, pair, count };
  return best?.pair;
}

function joinIn(symbols: readonly string[], left: string, right: string): string[] {
  const result: string[] = [];
  for (const symbol of symbols) {
    if (symbol === right && result.at(-1) === left) result[result.length - 1] = left + right;
    else result.push(symbol);
  }
  return result;
}
