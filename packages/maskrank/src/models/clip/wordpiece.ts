// Uncased WordPiece as BERT reads it (Devlin 2018; the fast tokenizers' order of steps): clean, set CJK characters apart, strip
// accents, lower case, split at white space and punctuation, then the longest known pieces. Text is text: `[SEP]` written in it
// is punctuation and letters, never the special piece. Not here: repairing broken encodings and HTML entities, as open_clip does.

import { readFile } from 'node:fs/promises';
import { DataError, UsageError } from '@maskrank/torch/errors';

/** A text as a network reads it. */
export type Encoding = {
  /** Pieces between `[CLS]` and `[SEP]`, and padding behind. */
  readonly ids: BigInt64Array<ArrayBuffer>;
  /** How many of them are no padding. */
  readonly length: number;
  /** Pieces of the text that found no room. */
  readonly dropped: number;
};

const SPECIAL = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'] as const;
type Special = (typeof SPECIAL)[number];

/** Words of more characters are unknown as a whole. */
const LONGEST_WORD = 100;

const WHITE = /\p{White_Space}/u;
/** Tab and line ends are white space, all other control characters vanish. */
const CONTROL = /[^\P{C}\t\n\r]/u;
const MARK = /\p{Mn}/gu;
/** ASCII's signs count as punctuation even where Unicode calls them symbols. */
const PUNCTUATION = /[!-/:-@[-`{-~\p{P}]/u;
const CJK = /[㐀-䶿一-鿿豈-﫿\u{20000}-\u{2a6df}\u{2a700}-\u{2ceaf}\u{2f800}-\u{2fa1f}]/u;

function cleaned(character: string): string {
  if (character === '\uFFFD' || CONTROL.test(character)) return '';
  if (WHITE.test(character)) return ' ';
  return CJK.test(character) ? ` ${character} ` : character;
}

/** The words of a text, lower case and without accents, each sign of punctuation a word. */
export function splitWords(text: string): string[] {
  const clean = Array.from(text, cleaned).join('');
  // One character at a time: a rule for the end of a Greek word would otherwise apply.
  const lower = Array.from(clean.normalize('NFD').replace(MARK, ''), (c) => c.toLowerCase()).join('');
  const apart = Array.from(lower, (c) => (PUNCTUATION.test(c) ? ` ${c} ` : c)).join('');
  return apart.split(/\s+/u).filter((word) => word !== '');
}

export class WordPiece {
  /** Pieces by id. */
  readonly vocabulary: readonly string[];
  readonly #ids: ReadonlyMap<string, number>;
  readonly #special: Readonly<Record<Special, number>>;

  /** @param vocabulary pieces in the order of their ids; inner pieces begin with `##` */
  constructor(vocabulary: readonly string[], source = 'the vocabulary') {
    this.vocabulary = vocabulary;
    this.#ids = new Map(vocabulary.map((piece, id) => [piece, id]));
    const missing = SPECIAL.filter((piece) => !this.#ids.has(piece));
    if (missing.length > 0) {
      throw new DataError(
        `WordPiece: ${source} has ${vocabulary.length} pieces and lacks ${missing.join(', ')}; needed is a BERT vocabulary, one piece a line.`,
      );
    }
    this.#special = Object.fromEntries(SPECIAL.map((piece) => [piece, this.#id(piece)])) as Record<
      Special,
      number
    >;
  }

  /** Reads a `vocab.txt`: one piece a line, the line's number is its id. */
  static async fromFile(path: string): Promise<WordPiece> {
    const lines = (await readFile(path, 'utf8')).split(/\r?\n/);
    return new WordPiece(lines.at(-1) === '' ? lines.slice(0, -1) : lines, path);
  }

  /**
   * A vocabulary made from texts: their words whole, and single characters for all others. For networks trained from
   * scratch; released ones come with their own.
   */
  static ofTexts(texts: Iterable<string>): WordPiece {
    const words = [...new Set([...texts].flatMap(splitWords))].sort();
    const characters = Array.from({ length: 95 }, (_, i) => String.fromCharCode(32 + i)).flatMap(splitWords);
    const letters = [...new Set([...characters, ...words.flatMap((word) => Array.from(word))])].sort();
    const known = [...letters, ...letters.map((letter) => `##${letter}`), ...words];
    return new WordPiece([...new Set<string>([...SPECIAL, ...known])], 'the texts');
  }

  get size(): number {
    return this.vocabulary.length;
  }

  /** The pieces of a text, without `[CLS]` and `[SEP]`. */
  tokenize(text: string): string[] {
    return splitWords(text).flatMap((word) => this.#pieces(word));
  }

  /** `[CLS]`, as many pieces as fit, `[SEP]`, padding: `length` ids (2 or more). */
  encode(text: string, length: number): Encoding {
    if (!Number.isInteger(length) || length < 2)
      throw new UsageError(`WordPiece.encode: length ${length}; allowed: whole numbers from 2.`);
    const pieces = this.tokenize(text);
    const kept = pieces.slice(0, length - 2);
    const used = [this.#special['[CLS]'], ...kept.map((piece) => this.#id(piece)), this.#special['[SEP]']];
    const ids = new BigInt64Array(length).fill(BigInt(this.#special['[PAD]']));
    for (const [i, id] of used.entries()) ids[i] = BigInt(id);
    return { ids, length: used.length, dropped: pieces.length - kept.length };
  }

  #id(piece: string): number {
    return this.#ids.get(piece) as number;
  }

  /** Greedy: the longest known piece from the left, then on; a word with an unknown rest is unknown as a whole. */
  #pieces(word: string): string[] {
    const characters = Array.from(word);
    if (characters.length > LONGEST_WORD) return ['[UNK]'];
    const pieces: string[] = [];
    for (let start = 0; start < characters.length; ) {
      const prefix = start === 0 ? '' : '##';
      let end = characters.length;
      while (end > start && !this.#ids.has(prefix + characters.slice(start, end).join(''))) end--;
      if (end === start) return ['[UNK]'];
      pieces.push(prefix + characters.slice(start, end).join(''));
      start = end;
    }
    return pieces;
  }
}
