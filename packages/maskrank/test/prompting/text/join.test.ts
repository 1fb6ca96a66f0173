import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { UsageError } from '@maskrank/torch/errors';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WordPiece } from '../../../src/models/clip/index.ts';
import { joinText } from '../../../src/prompting/text/join.ts';
import { CARDS, cardText } from '../../../src/prompting/text/knowledge/cards.ts';
import { allTexts, TEXT_PARTS, textsFor, tidyText, wholeText } from '../../../src/prompting/text/parts.ts';

const GOLDEN = fileURLToPath(new URL('../../../../../../shared/golden/wordpiece_vocab.txt', import.meta.url));
const hasGolden = existsSync(GOLDEN);

const ANSWER = 'It is oval. It lies in the upper left.';
const KNOWLEDGE = 'The liver is large. It is a wedge! On CT it is even.';
const words = WordPiece.ofTexts([ANSWER, KNOWLEDGE]);

describe('the texts of a prompt', () => {
  it('are asked for by part and number of tokens', () => {
    const text = { answer: ' An\n answer ', knowledge: 'A card' };
    expect(textsFor(text, ['knowledge', 'vqa'], 1)).toEqual([{ answer: 'An answer', knowledge: 'A card' }]);
    expect(textsFor(text, TEXT_PARTS, 2)).toEqual([{ answer: 'An answer' }, { knowledge: 'A card' }]);
    expect(textsFor(text, ['knowledge'], 1)).toEqual([{ knowledge: 'A card' }]);
    expect(textsFor({ answer: ' ' }, TEXT_PARTS, 2)).toEqual([]);
    expect(textsFor({ knowledge: 'A card' }, ['vqa'], 1)).toEqual([]);
    expect(wholeText(text)).toBe('An answer A card');
    expect(allTexts(text).map(wholeText)).toEqual(['An answer', 'A card', 'An answer A card']);
    expect(allTexts({ answer: 'x', knowledge: 'x' }).map(wholeText)).toEqual(['x', 'x x']);
  });

  it('are all encoded, whatever is asked for later', () => {
    const part = fc.option(fc.string(), { nil: undefined });
    fc.assert(
      fc.property(
        part,
        part,
        fc.subarray([...TEXT_PARTS]),
        fc.constantFrom(1, 2),
        (answer, knowledge, parts, n) => {
          const text = { answer, knowledge };
          const all = allTexts(text).map(wholeText);
          for (const asked of textsFor(text, parts, n as 1 | 2).map(wholeText)) {
            expect(asked).not.toBe('');
            expect(all).toContain(asked);
          }
        },
      ),
    );
  });
});

describe('joining', () => {
  it('puts the answer first and says how many pieces there are', () => {
    expect(joinText(words, { answer: ANSWER, knowledge: KNOWLEDGE })).toEqual({
      text: `${ANSWER} ${KNOWLEDGE}`,
      pieces: 11 + 16 + 2,
      dropped: 0,
      droppedOf: { answer: 0, knowledge: 0 },
    });
    expect(joinText(words, {})).toMatchObject({ text: '', pieces: 2, dropped: 0 });
  });

  it('cuts the knowledge after a sentence, and inside one only where none fits', () => {
    const both = { answer: ANSWER, knowledge: KNOWLEDGE };
    expect(joinText(words, both, 2 + 11 + 11)).toEqual({
      text: `${ANSWER} The liver is large. It is a wedge!`,
      pieces: 23,
      dropped: 6,
      droppedOf: { answer: 0, knowledge: 6 },
    });
    expect(joinText(words, both, 2 + 11 + 4).text).toBe(`${ANSWER} The liver is large`);
    expect(joinText(words, both, 2 + 11).text).toBe(ANSWER);
  });

  it('cuts the answer last', () => {
    expect(joinText(words, { answer: ANSWER, knowledge: KNOWLEDGE }, 2 + 4)).toEqual({
      text: 'It is oval.',
      pieces: 6,
      dropped: 23,
      droppedOf: { answer: 7, knowledge: 16 },
    });
    expect(joinText(words, { answer: ANSWER }, 2 + 2).text).toBe('It is');
  });

  it('does not take every full stop for the end of a sentence', () => {
    const text = 'It is approx. five cm wide, i.e. 1.5 of the other. Then more.';
    const tokenizer = WordPiece.ofTexts([text]);
    const room = tokenizer.tokenize('It is approx. five cm wide, i.e. 1.5 of the other.').length;
    expect(joinText(tokenizer, { knowledge: text }, room + 3).text).toBe(
      'It is approx. five cm wide, i.e. 1.5 of the other.',
    );
  });

  it('needs room for a piece', () => {
    for (const budget of [2, 0, 2.5, Number.NaN])
      expect(() => joinText(words, { answer: 'x' }, budget)).toThrow(UsageError);
  });

  const text = fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 80 }),
    fc.lorem({ mode: 'sentences', maxCount: 6 }),
    fc
      .array(fc.constantFrom('Oval', 'x-ray', 'a-b-c-d', '肝肝肝', '$4.5', 'liver.', 'Aé!', '€u', '…'), {
        maxLength: 40,
      })
      .map((all) => all.join(' ')),
    fc.string({ minLength: 100, maxLength: 300 }),
  );

  it('never exceeds the budget, keeps the answer first and counts what falls away', () => {
    fc.assert(
      fc.property(text, text, fc.integer({ min: 3, max: 80 }), (answer, knowledge, budget) => {
        const joined = joinText(words, { answer, knowledge }, budget);
        const count = (part: string) => words.tokenize(part).length;
        expect(joined.pieces).toBeLessThanOrEqual(budget);
        expect(words.encode(joined.text, budget).dropped).toBe(0);
        expect(joined.pieces).toBe(count(joined.text) + 2);
        expect(joined.dropped).toBe(count(answer) + count(knowledge) - count(joined.text));
        if (count(answer) <= budget - 2) {
          expect(joined.text.startsWith(tidyText(answer))).toBe(true);
          expect(joined.droppedOf.answer).toBe(0);
        } else expect(tidyText(answer).startsWith(joined.text)).toBe(true);
        if (count(answer) + count(knowledge) <= budget - 2) expect(joined.dropped).toBe(0);
      }),
      { numRuns: 150 },
    );
  });

  it.skipIf(!hasGolden)(
    'holds with the vocabulary of the golden fixtures (skipped where they are not)',
    async () => {
      const tokenizer = await WordPiece.fromFile(GOLDEN);
      // It knows few words and spells the others in letters, so most cards do not fit.
      for (const card of CARDS) {
        const joined = joinText(tokenizer, { answer: ANSWER, knowledge: cardText(card, 'ct') });
        expect(joined.pieces).toBeLessThanOrEqual(256);
        expect(joined.text.startsWith(`${ANSWER} ${card.location.slice(0, 12)}`)).toBe(true);
        const all = tokenizer.tokenize(`${ANSWER} ${cardText(card, 'ct')}`).length;
        expect(joined.dropped).toBe(all + 2 - joined.pieces);
        expect(tokenizer.encode(joined.text, 256).dropped).toBe(0);
      }
    },
  );
});
