import { DataError, UsageError } from '@maskrank/torch/errors';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { splitWords, WordPiece } from '../../../src/models/clip/index.ts';

const SPECIAL = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]'];
const tokenizer = new WordPiece([
  ...SPECIAL,
  'liver',
  'hyper',
  '##tension',
  '##s',
  'x',
  '-',
  'ray',
  'left',
  '##ish',
  '[',
  ']',
  'sep',
]);

describe('words', () => {
  it.each([
    ['Chest X-ray', ['chest', 'x', '-', 'ray']],
    ['Café naïve ÜBER', ['cafe', 'naive', 'uber']],
    ['a\tb\nc\r\nd\u00a0e\u2003f', ['a', 'b', 'c', 'd', 'e', 'f']],
    ['肝臓 liver', ['肝', '臓', 'liver']],
    ['5$ + 3% <ok>', ['5', '$', '+', '3', '%', '<', 'ok', '>']],
    ['zero\u200bwidth\u0000 and \u0007bell\ufffd', ['zerowidth', 'and', 'bell']],
    ['ΣΑΣ', ['σασ']],
    ['“quoted”', ['“', 'quoted', '”']],
    ['', []],
  ])('%j', (text, words) => {
    expect(splitWords(text)).toEqual(words);
  });
});

describe('pieces', () => {
  it('are the longest known from the left', () => {
    expect(tokenizer.tokenize('Livers hypertension leftish')).toEqual([
      'liver',
      '##s',
      'hyper',
      '##tension',
      'left',
      '##ish',
    ]);
  });
  it('are unknown as a whole word when a rest is unknown', () => {
    expect(tokenizer.tokenize('liverq x')).toEqual(['[UNK]', 'x']);
    expect(tokenizer.tokenize('x'.repeat(101))).toEqual(['[UNK]']);
  });
  it('of special names written in a text are plain text', () => {
    expect(tokenizer.tokenize('[SEP]')).toEqual(['[', 'sep', ']']);
  });
});

describe('ids', () => {
  it('stand between the two marks, padded or cut', () => {
    const { ids, length, dropped } = tokenizer.encode('left liver', 6);
    expect([Array.from(ids, Number), length, dropped]).toEqual([[2, 12, 5, 3, 0, 0], 4, 0]);
    const cut = tokenizer.encode('left liver left', 4);
    expect([Array.from(cut.ids, Number), cut.length, cut.dropped]).toEqual([[2, 12, 5, 3], 4, 1]);
    expect(() => tokenizer.encode('x', 1)).toThrow(UsageError);
  });

  it('have their places whatever the text', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary', maxLength: 60 }),
        fc.integer({ min: 2, max: 20 }),
        (text, length) => {
          const encoding = tokenizer.encode(text, length);
          const ids = Array.from(encoding.ids, Number);
          expect(ids.length).toBe(length);
          expect(ids[0]).toBe(2);
          expect(ids[encoding.length - 1]).toBe(3);
          expect(ids.slice(encoding.length).every((id) => id === 0)).toBe(true);
          expect(ids.slice(1, encoding.length - 1)).not.toContain(0);
          expect(encoding.length - 2 + encoding.dropped).toBe(tokenizer.tokenize(text).length);
        },
      ),
    );
  });
});

describe('vocabularies', () => {
  it('without the special pieces are refused', () => {
    expect(() => new WordPiece(['liver'], 'vocab.txt')).toThrow(DataError);
    expect(() => new WordPiece(['liver'], 'vocab.txt')).toThrow(/vocab\.txt.*\[PAD\]/);
  });
  it('made from texts know their words whole and spell all others', () => {
    const own = WordPiece.ofTexts(['benign breast tumor', 'Leber ß']);
    expect(own.tokenize('Breast tumor')).toEqual(['breast', 'tumor']);
    expect(own.tokenize('tumors!')).not.toContain('[UNK]');
    expect(own.tokenize('ß')).toEqual(['ß']);
    expect(new Set(own.vocabulary).size).toBe(own.size);
    expect(own.vocabulary).toEqual(WordPiece.ofTexts(['Leber ß', 'benign breast tumor']).vocabulary);
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme-ascii' }), (text) => {
        expect(own.tokenize(text.slice(0, 80))).not.toContain('[UNK]');
      }),
    );
  });
});
