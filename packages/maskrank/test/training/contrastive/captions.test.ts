// Captions of phantoms: what they claim is what the answers say, and a caption is no negative of an image of which it may be true.

import { describe, expect, it } from 'vitest';
import { drawPhantom, phantomFamily } from '../../../src/datasets/phantoms/dataset.ts';
import { withCaptions } from '../../../src/training/contrastive/captions.ts';
import type { ImageFacts } from '../../../src/training/contrastive/facts.ts';
import {
  allTexts,
  claimsOfWhole,
  drawTexts,
  factsShown,
  truthOf,
} from '../../../src/training/contrastive/texts.ts';
import { Random } from '../../../src/util/random.ts';

const classes = [
  { id: 1, name: 'liver' },
  { id: 2, name: 'spleen' },
];
const facts: ImageFacts = { modality: 'ct', present: classes, missing: [], tags: {} };
const upper = 'in the upper left of the image';
const caption = (text: string, ...answers: readonly (readonly [string, number, string])[]) =>
  withCaptions(
    facts,
    {
      case: 'a',
      captions: [text],
      questions: answers.map(([kind, classId, answer]) => ({ kind, classId, answer })),
    },
    classes,
  );

describe('captions', () => {
  it('claim the classes that they name and the answers that they repeat', () => {
    const told = caption(
      `CT showing a large liver ${upper}`,
      ['location', 1, upper],
      ['size', 1, 'large'],
      ['shape', 1, 'oval'],
      ['condition', 1, 'yes'],
    );
    const [statement] = told.captions as [{ text: string; claims: string[] }];
    expect(statement.claims).toEqual([
      'modality=ct',
      'class=liver',
      `location of liver=${upper}`,
      'size of liver=large',
    ]);
    expect(truthOf(statement, claimsOfWhole(told))).toBe(1);
    const elsewhere = caption('x', ['location', 1, 'in the centre of the image'], ['size', 1, 'large']);
    expect(truthOf(statement, claimsOfWhole(elsewhere))).toBe(0);
    // Nobody asked where this liver is.
    expect(truthOf(statement, claimsOfWhole(facts))).toBe(0.5);
    expect(truthOf(statement, claimsOfWhole({ ...facts, present: [classes[1]!] }))).toBe(0);
  });

  it('are told of the whole image alone, and their words are in the vocabulary', () => {
    const told = caption('two odd organs');
    expect(told.captions?.[0]?.claims).toEqual(['modality=ct', 'class=liver', 'class=spleen']);
    expect(drawTexts(told, 1, new Random(1), 1)[0]?.text).toBe('two odd organs');
    expect([...allTexts([told])]).toContain('two odd organs');
    expect(factsShown(told, new Map([['liver', 1]])).captions).toBeUndefined();
  });

  it.each(['breast', 'chest', 'abdomen', 'mixed'])('of %s phantoms are true of their own image', (name) => {
    const family = phantomFamily(name);
    for (let i = 0; i < 3; i++) {
      const { masks, captions, questions } = drawPhantom(family, 5, i, 64);
      const present = family.classes.filter(({ id }) => masks.has(id));
      const missing = present.length === 0 ? family.classes : [];
      const own = withCaptions(
        { modality: family.modality, present, missing, tags: {} },
        { case: 'a', captions: [...captions], questions: [...questions] },
        family.classes,
      );
      for (const statement of own.captions ?? [])
        expect(truthOf(statement, claimsOfWhole(own)), statement.text).toBe(1);
    }
  });
});
