import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataError, UsageError } from '@maskrank/torch/errors';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { LlamaTokenizer } from '../../../src/models/medvint/index.ts';
import { splitIntoPieces } from '../../../src/models/medvint/tokenizer/bpe.ts';
import { readSentencePieceModel } from '../../../src/models/medvint/tokenizer/index.ts';
import {
  BYTES,
  bytesField,
  CONTROL,
  intField,
  MODEL_BYTES,
  normaliser,
  piece,
  SPECIALS,
  tinyTokenizer,
  trainer,
  VOCABULARY,
} from './support.ts';

const tokenizer = tinyTokenizer();
const byteId = (byte: number) => 3 + byte;
const idOf = (text: string) => tokenizer.idOf(text) as number;

const make = (...fields: number[][]) => {
  const model = readSentencePieceModel(Uint8Array.from(fields.flat()), 'made');
  return new LlamaTokenizer(model, 'made');
};
/** Any characters, and texts in which the vocabulary joins much. */
const texts = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ unit: fc.constantFrom(...'the liver ▁<0x>'), maxLength: 80 }),
);

describe('splitting', () => {
  const scores = new Map([
    ['ab', -2],
    ['bc', -1],
    ['aa', -4],
  ]);
  const split = (text: string) => splitIntoPieces(text, (joined) => scores.get(joined));

  it('joins the best-scored pair first, wherever it is', () => {
    expect(split('abc')).toEqual(['a', 'bc']);
    expect(split('abbc')).toEqual(['ab', 'bc']);
  });

  it('takes the leftmost among equals and never splits a pair of surrogates', () => {
    expect(split('aaa')).toEqual(['aa', 'a']);
    expect(split('😀a')).toEqual(['😀', 'a']);
    expect(split('')).toEqual([]);
  });

  it('agrees with joining the best pair over and over', () => {
    const vocabulary = new Map(VOCABULARY.map((text, i) => [text, -i]));
    const slowly = (text: string): string[] => {
      const symbols = Array.from(text);
      for (;;) {
        let best = -1;
        let bestScore = Number.NEGATIVE_INFINITY;
        for (let i = 0; i + 1 < symbols.length; i++) {
          const score = vocabulary.get(symbols[i]! + symbols[i + 1]!);
          if (score !== undefined && score > bestScore) [best, bestScore] = [i, score];
        }
        if (best < 0) return symbols;
        symbols.splice(best, 2, symbols[best]! + symbols[best + 1]!);
      }
    };
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'thelivr▁asi'), maxLength: 60 }), (text) => {
        expect(splitIntoPieces(text, (joined) => vocabulary.get(joined))).toEqual(slowly(text));
      }),
    );
  });

  it('takes a hundred thousand characters in its stride', () => {
    expect(split('ab'.repeat(50_000))).toHaveLength(50_000);
  });
});

describe('encoding and decoding', () => {
  it('puts a space in front, the marker before it, and joins', () => {
    expect(tokenizer.encode('the liver')).toEqual([1, idOf('▁the'), idOf('▁liver')]);
    expect(tokenizer.encode('the', { bos: false })).toEqual([idOf('▁the')]);
    expect(tokenizer.encode('')).toEqual([1]);
  });

  it('writes characters without a piece as their bytes', () => {
    expect(tokenizer.encode('ß', { bos: false })).toEqual([idOf('▁'), byteId(0xc3), byteId(0x9f)]);
    expect(tokenizer.decode([idOf('▁'), byteId(0xc3), byteId(0x9f)])).toBe('ß');
  });

  it('gives any text back', () => {
    fc.assert(
      fc.property(texts, (text) => {
        const ids = tokenizer.encode(text);
        // U+2581 is how a space is written: it comes back as one.
        expect(tokenizer.decode(ids)).toBe(text.replaceAll('▁', ' '));
        expect(ids.every((id) => id >= 0 && id < tokenizer.vocabularySize)).toBe(true);
        expect(ids.slice(1).every((id) => id > 2)).toBe(true);
      }),
    );
  });

  it('takes markers inside a text as text', () => {
    const ids = tokenizer.encode('</s>');
    expect(ids).not.toContain(2);
    expect(tokenizer.decode(ids)).toBe('</s>');
    expect(tokenizer.encode('<0x41>').length).toBeGreaterThan(3);
  });

  it('replaces bytes that are no UTF-8 one by one', () => {
    expect(tokenizer.decode([byteId(0xe8), byteId(0x82), idOf('a')])).toBe('\ufffd\ufffda');
    expect(tokenizer.decode([byteId(0xff), byteId(0x41), byteId(0xe8), byteId(0x82), byteId(0x9d)])).toBe(
      '\ufffdA肝',
    );
  });

  it('strips the space in front once, even behind markers; markers have no text, the unknown piece has', () => {
    expect(tokenizer.decode([1, idOf('▁'), idOf('▁the'), 2])).toBe(' the');
    expect(tokenizer.decode([idOf('a'), 0, idOf('a')])).toBe('a \u2047 a');
    expect(tokenizer.decode([])).toBe('');
  });

  it('refuses ids that it does not have', () => {
    expect(() => tokenizer.decode([400])).toThrow(UsageError);
    expect(() => tokenizer.decode([400])).toThrow('allowed 0 to 399');
  });
});

describe('model files', () => {
  const dir = mkdtempSync(join(tmpdir(), 'llama-'));
  afterAll(() => rmSync(dir, { recursive: true }));

  it('are read from the disk', async () => {
    const path = join(dir, 'tokenizer.model');
    writeFileSync(path, MODEL_BYTES);
    const opened = await LlamaTokenizer.open(path);
    expect([opened.vocabularySize, opened.bosId, opened.eosId, opened.unknownId]).toEqual([400, 1, 2, 0]);
    await expect(LlamaTokenizer.open(join(dir, 'none.model'))).rejects.toThrow('ENOENT');
  });

  it('of another kind are refused, with everything that is other', () => {
    const read = (...fields: number[][]) => make(...SPECIALS, ...BYTES, ...fields);
    expect(() => read(trainer(intField(3, 1), intField(35, 0)), normaliser(intField(4, 1)))).toThrow(
      /kind is unigram, allowed BPE; it has no byte fallback.*; it removes extra spaces/,
    );
    expect(() => read(trainer(), normaliser(bytesField(2, [1, 2, 3])))).toThrow('rewrites characters');
    expect(() => read(trainer(intField(41, 7)), normaliser())).toThrow('id 7, beginning or end');
    expect(() => make(trainer(), normaliser())).toThrow('it has no pieces');
  });

  it('with faulty pieces are refused', () => {
    const rest = [trainer(), normaliser()];
    expect(() => make(...SPECIALS, ...BYTES.slice(1), ...rest)).toThrow('255 pieces for bytes');
    expect(() => make(...SPECIALS, ...BYTES, piece('a', 0), piece('a', -1), ...rest)).toThrow('there twice');
    expect(() => make(...SPECIALS, ...BYTES, piece('a', 0, 4), ...rest)).toThrow('of type 4');
    expect(() => make(...SPECIALS, ...BYTES, piece('a', Number.NaN), ...rest)).toThrow('score NaN');
    expect(() => make(...SPECIALS, ...BYTES, piece('<0xGG>', 0, 6), ...rest)).toThrow('<0x00> to <0xFF>');
    expect(() => make(...SPECIALS, ...BYTES, bytesField(1, bytesField(1, [0xff])), ...rest)).toThrow('UTF-8');
    expect(() => make(piece('<unk>', 0, CONTROL), ...BYTES, ...rest)).toThrow('not the unknown piece');
  });

  it('that are cut anywhere or hold noise end in a DataError', () => {
    const ends = fc.integer({ min: 0, max: MODEL_BYTES.length - 1 });
    const noise = fc.uint8Array({ maxLength: 60 });
    fc.assert(
      fc.property(
        fc.oneof(
          ends.map((end) => MODEL_BYTES.subarray(0, end)),
          noise,
        ),
        (bytes) => {
          expect(() => new LlamaTokenizer(readSentencePieceModel(bytes, 'cut'), 'cut')).toThrow(DataError);
        },
      ),
      { numRuns: 60 },
    );
    expect(() => readSentencePieceModel(Uint8Array.of(0x0a, 0x7f), 'x')).toThrow(
      'announces 127 bytes where 0',
    );
    expect(() => readSentencePieceModel(Uint8Array.of(0x0b), 'x')).toThrow('wire type 3');
  });
});
