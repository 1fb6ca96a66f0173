// A vocabulary made from texts, written as tokenizer.model and read back.

import { UsageError } from '@maskrank/torch/errors';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  LlamaTokenizer,
  readSentencePieceModel,
  trainBpe,
  writeSentencePieceModel,
} from '../../../src/models/medvint/index.ts';

const TEXTS = [
  'Where is the liver?The Answer is:',
  'in the upper left of the image',
  'the liver',
  'the liver',
];
const model = trainBpe(TEXTS, 420);
const tokenizer = LlamaTokenizer.of(writeSentencePieceModel(model), 'made');
const pieces = (text: string) => tokenizer.encode(text, { bos: false }).map((id) => model.pieces[id]?.text);

describe('trainBpe', () => {
  it('has exactly as many pieces as asked for, the same each time; none twice', () => {
    expect(model.pieces.length).toBe(420);
    expect(trainBpe(TEXTS, 420)).toEqual(model);
    expect(new Set(model.pieces.map(({ text }) => text)).size).toBe(420);
  });

  it('makes whole words of the texts, which end at punctuation', () => {
    expect(pieces('the liver')).toEqual(['▁the', '▁liver']);
    expect(pieces('Where is the liver?The Answer is:')).toEqual([
      ...['▁Where', '▁is', '▁the', '▁liver', '?', 'The', '▁Answer', '▁is', ':'],
    ]);
  });

  it('joins the most frequent neighbours first', () => {
    const first = trainBpe(['aab aab aab', 'cd'], 360).pieces.filter(({ type }) => type === 'normal');
    // Of equals the first by the alphabet: a a before a b; then the only ones left of the frequent word, then the rare word.
    expect(first.slice(0, 4).map(({ text }) => text)).toEqual(['aa', 'aab', '▁aab', 'cd']);
  });

  it('refuses a size without room for markers, bytes and characters', () => {
    expect(() => trainBpe(TEXTS, 300)).toThrow(UsageError);
  });
});

describe('writeSentencePieceModel', () => {
  it('writes what is read back', () => {
    expect(readSentencePieceModel(writeSentencePieceModel(model), 'made')).toEqual(model);
  });

  it('makes a tokeniser that gives every text back', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 60 }), (text) => {
        expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
      }),
    );
  });
});
