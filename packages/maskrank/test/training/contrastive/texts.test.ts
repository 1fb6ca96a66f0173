// Labels to facts to texts: what is told is true, no mask is opened, and a text is known to be true of every image it is true of.

import { describe, expect, it } from 'vitest';
import type { CaseRecord, Dataset } from '../../../src/datasets/schema.ts';
import { DEFAULT_AUGMENTATION } from '../../../src/imaging/augment.ts';
import { WordPiece } from '../../../src/models/clip/index.ts';
import { makePairBatch } from '../../../src/training/contrastive/batch.ts';
import { factsOf, type ImageFacts } from '../../../src/training/contrastive/facts.ts';
import { areaUnderRoc } from '../../../src/training/contrastive/judge.ts';
import { allTexts, claimsOf, drawTexts, isTrueOf } from '../../../src/training/contrastive/texts.ts';
import { Random } from '../../../src/util/random.ts';

const DATASET: Dataset = {
  schemaVersion: 1,
  name: 'belly',
  modality: 'ct',
  classes: [
    { id: 1, name: 'liver' },
    { id: 2, name: 'left kidney', prompts: ['kidney on the left'] },
  ],
  cases: [],
};
const record = (changes: Partial<CaseRecord>): CaseRecord => ({
  id: 'a',
  image: 'a.png',
  masks: {},
  group: 'a',
  ...changes,
});
const facts = (changes: Partial<CaseRecord>): ImageFacts =>
  factsOf(record(changes), DATASET, ['pathology']) as ImageFacts;

const BOTH = facts({ masks: { 1: 'nowhere.png', 2: 'nowhere.png' } });
const LIVER = facts({ masks: { 1: 'nowhere.png' }, tags: { pathology: 'benign', collection: 'x' } });
const NONE = facts({ empty: true });

describe('factsOf', () => {
  it('reads presence from the list of masks, the tag, or the mark of emptiness; else knows nothing', () => {
    expect(BOTH.present.map(({ name }) => name)).toEqual(['liver', 'left kidney']);
    expect(LIVER.tags).toEqual({ pathology: 'benign' });
    expect(NONE.missing.map(({ name }) => name)).toEqual(['liver', 'left kidney']);
    expect(factsOf(record({}), DATASET, [])).toBeUndefined();
    const tagged = facts({ tags: { classes: ' 2; liver ' } });
    expect(tagged.present.map(({ id }) => id)).toEqual([2, 1]);
    expect(facts({ tags: { classes: '' } }).missing).toHaveLength(2);
    expect(() => facts({ tags: { classes: 'spleen' } })).toThrow(
      /names 'spleen'; allowed: liver, left kidney/,
    );
  });
});

describe('drawTexts', () => {
  it('tells only what is true, in several wordings, with every word in the vocabulary', () => {
    const tokenizer = WordPiece.ofTexts(allTexts([BOTH, LIVER, NONE]));
    for (const image of [BOTH, LIVER, NONE]) {
      const texts = Array.from({ length: 60 }, (_, i) => drawTexts(image, 3, new Random(i))).flat();
      expect(new Set(texts.map(({ text }) => text)).size).toBeGreaterThan(5);
      for (const statement of texts) {
        expect(isTrueOf(statement, claimsOf(image)), statement.text).toBe(true);
        // Whole words only: nothing is spelled.
        expect(tokenizer.tokenize(statement.text).filter((piece) => piece.startsWith('##'))).toEqual([]);
      }
    }
  });

  it('knows that a text drawn for one image is true of another, or is not', () => {
    const liver = { text: 'the liver', claims: ['class=liver'] };
    expect([BOTH, LIVER, NONE].map((image) => isTrueOf(liver, claimsOf(image)))).toEqual([true, true, false]);
    const told = drawTexts(BOTH, 50, new Random(1)).filter(({ text }) => text.includes(' and '));
    expect(told.length).toBeGreaterThan(0);
    for (const statement of told) expect(isTrueOf(statement, claimsOf(LIVER))).toBe(false);
    expect(drawTexts(NONE, 1, new Random(2))[0]?.text).toMatch(/no |without /);
  });
});

describe('makePairBatch', () => {
  const image = { width: 16, height: 16, channels: 1 as const, data: new Uint8Array(256).fill(200) };
  const options = {
    textsPerImage: 2,
    captions: 0,
    hidden: 0,
    changed: 0,
    augmentation: DEFAULT_AUGMENTATION,
    crops: 0,
    reveals: 0,
    grid: null,
  };
  const all = [BOTH, LIVER, NONE].map((f) => ({ image, facts: f, hasNoSides: false }));

  it('marks every text that is true of an image, whoever it was drawn for, and repeats with its seed', () => {
    const batch = makePairBatch(all, options, 16, new Random(3));
    expect(batch.planes).toHaveLength(3 * 3 * 256);
    expect(new Set(batch.texts).size).toBe(batch.texts.length);
    expect(batch.truth).toHaveLength(3 * batch.texts.length);
    for (const [i, { facts: f }] of all.entries()) {
      const row = [...batch.truth.subarray(i * batch.texts.length, (i + 1) * batch.texts.length)];
      expect(row.some((x) => x === 1)).toBe(true);
      const negative = batch.texts.indexOf('no liver');
      if (negative >= 0) expect(row[negative]).toBe(f === NONE ? 1 : 0);
    }
    expect(makePairBatch(all, options, 16, new Random(3))).toEqual(batch);
  });

  it('hides cells by the mean colour', () => {
    const shown = makePairBatch(all, options, 16, new Random(4)).planes;
    const hidden = makePairBatch(all, { ...options, hidden: 0.9 }, 16, new Random(4)).planes;
    expect([...shown].filter((x) => x === 0)).toHaveLength(0);
    const share = [...hidden].filter((x) => x === 0).length / hidden.length;
    expect(share).toBeGreaterThan(0.05);
    expect(share).toBeLessThan(0.95);
  });
});

describe('areaUnderRoc', () => {
  it.each([
    [[1, 2, 3, 4], [false, false, true, true], 1],
    [[4, 3, 2, 1], [false, false, true, true], 0],
    [[1, 1, 1, 1], [false, true, false, true], 0.5],
    [[1, 2, 2, 3], [false, true, false, true], 0.875],
  ])('of %j is %j -> %f', (scores, isTrue, area) => {
    expect(areaUnderRoc(scores, isTrue)).toBeCloseTo(area, 12);
  });
  it('is not defined with one kind only', () => {
    expect(areaUnderRoc([1, 2], [true, true])).toBeNull();
  });
});
