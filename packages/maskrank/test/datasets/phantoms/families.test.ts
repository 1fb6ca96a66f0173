import { describe, expect, it } from 'vitest';
import { breastPhantoms } from '../../../src/datasets/phantoms/breast.ts';
import { chestPhantoms } from '../../../src/datasets/phantoms/chest.ts';
import { drawPhantom } from '../../../src/datasets/phantoms/dataset.ts';
import { maskFacts } from '../../../src/datasets/phantoms/facts.ts';
import { placeWords } from '../../../src/datasets/phantoms/language.ts';
import type { PhantomFamily, PhantomImage } from '../../../src/datasets/phantoms/types.ts';
import { labelComponents } from '../../../src/imaging/components.ts';

const many = (family: PhantomFamily, n: number, sizePx = 96): PhantomImage[] =>
  Array.from({ length: n }, (_, i) => drawPhantom(family, 'tests', i, sizePx));
const share = (data: Uint8Array) => data.reduce((sum, v) => sum + v, 0) / data.length;

describe.each([breastPhantoms, chestPhantoms])('$name', (family) => {
  it('the same seed and number give the same bytes and words, others do not', () => {
    for (let i = 0; i < 6; i++) {
      const a = drawPhantom(family, 7, i, 96);
      drawPhantom(family, 8, i, 64);
      expect(drawPhantom(family, 7, i, 96)).toEqual(a);
    }
    const data = drawPhantom(family, 7, 3, 96).image.data;
    expect(drawPhantom(family, 8, 3, 96).image.data).not.toEqual(data);
    expect(drawPhantom(family, 7, 4, 96).image.data).not.toEqual(data);
  });

  it('the longer side is the one asked for, masks have the image’s size and are 0 and 1, not empty', () => {
    for (const { image, masks } of many(family, 30)) {
      expect(Math.max(image.width, image.height)).toBe(96);
      expect(image.data.length).toBe(image.width * image.height);
      for (const [id, mask] of masks) {
        expect(family.classes.map((cls) => cls.id)).toContain(id);
        expect([mask.width, mask.height]).toEqual([image.width, image.height]);
        expect(new Set(mask.data)).toEqual(new Set([0, 1]));
      }
    }
  });

  it('is neither black nor white nor flat', () => {
    for (const { image } of many(family, 30)) {
      const mean = image.data.reduce((sum, v) => sum + v, 0) / image.data.length;
      const spread = Math.sqrt(image.data.reduce((sum, v) => sum + (v - mean) ** 2, 0) / image.data.length);
      expect(mean).toBeGreaterThan(4);
      expect(mean).toBeLessThan(240);
      expect(spread).toBeGreaterThan(5);
    }
  });

  it('every answer of geometry is what the mask says', () => {
    for (const { masks, questions } of many(family, 30)) {
      for (const { kind, classId, answer, question } of questions) {
        if (kind === 'condition') continue;
        const facts = maskFacts(masks.get(classId)!)!;
        const side = { left: 'left', right: 'right', middle: 'middle', both: 'both sides' }[facts.side];
        const truth = {
          shape: [facts.shape],
          size: [facts.size],
          side: [side],
          location: [placeWords(facts), `${facts.shape}, ${placeWords(facts)}`],
        }[kind];
        expect(truth, question).toContain(answer);
      }
    }
  });

  it('captions come in several wordings that all differ', () => {
    for (const { captions } of many(family, 30)) {
      expect(captions.length).toBeGreaterThanOrEqual(4);
      expect(new Set(captions).size).toBe(captions.length);
      for (const text of captions) expect(text).not.toMatch(/undefined|NaN| {2}/);
    }
  });
});

describe('is no trivial task: no threshold on the brightness finds', () => {
  it.each([
    ['lesions', breastPhantoms, 0.6],
    ['lungs', chestPhantoms, 0.85],
  ] as const)('%s', (_, family, limit) => {
    const dice = many(family, 24)
      .filter(({ masks }) => masks.has(1))
      .map(bestThresholdDice);
    expect(dice.reduce((sum, d) => sum + d, 0) / dice.length).toBeLessThan(limit);
  });
});

/** Dice of the best global threshold (dark is foreground), chosen with the mask at hand. */
function bestThresholdDice({ image, masks }: PhantomImage): number {
  const mask = masks.get(1)!;
  const inside = new Float64Array(256);
  const all = new Float64Array(256);
  image.data.forEach((v, i) => {
    all[v]!++;
    inside[v]! += mask.data[i]!;
  });
  const total = inside.reduce((a, b) => a + b, 0);
  let [hit, chosen, best] = [0, 0, 0];
  for (let t = 0; t < 256; t++) {
    hit += inside[t]!;
    chosen += all[t]!;
    best = Math.max(best, (2 * hit) / (chosen + total));
  }
  return best;
}

describe('breast', () => {
  const pictures = many(breastPhantoms, 80);

  it('a lesion shows exactly where the tag names one; all three kinds occur', () => {
    const seen = new Set<string>();
    for (const { masks, tags, questions } of pictures) {
      seen.add(tags.pathology!);
      expect(masks.has(1)).toBe(tags.pathology !== 'normal');
      const there = questions.find(({ question }) => /^Is (there )?a (lesion|tumor)/.test(question));
      expect(there?.answer).toBe(masks.has(1) ? 'yes' : 'no');
      if (masks.has(1)) expect(share(masks.get(1)!.data)).toBeGreaterThan(0.0008);
    }
    expect(seen).toEqual(new Set(['benign', 'malignant', 'normal']));
  });

  it('lesions are at most two, of plausible size; few pictures have none', () => {
    for (const { masks } of pictures) {
      const lesion = masks.get(1);
      if (lesion === undefined) continue;
      expect(share(lesion.data)).toBeLessThan(0.5);
      expect(maskFacts(lesion)!.components).toBeLessThanOrEqual(2);
    }
    const normals = pictures.filter(({ tags }) => tags.pathology === 'normal').length;
    expect(normals).toBeGreaterThan(0);
    expect(normals).toBeLessThan(24);
  });

  it('captions name a benign or malignant lesion as the tag does', () => {
    for (const { tags, captions } of pictures)
      for (const text of captions)
        expect(/malignant/.test(text) ? 'malignant' : /benign/.test(text) ? 'benign' : 'normal').toBe(
          tags.pathology,
        );
  });
});

describe('chest', () => {
  const pictures = many(chestPhantoms, 60);

  it('two lungs of plausible size that do not touch, on both sides, and a heart between them', () => {
    for (const { masks, tags } of pictures) {
      const lung = masks.get(1)!;
      const facts = maskFacts(lung)!;
      expect(share(lung.data)).toBeGreaterThan(0.08);
      expect(share(lung.data)).toBeLessThan(0.5);
      expect(labelComponents(lung).components.length).toBeGreaterThanOrEqual(2);
      // Much fluid may leave little of one lung.
      if (tags.pathology !== 'effusion') expect(facts.side).toBe('both');
      expect(maskFacts(masks.get(2)!)!.centroid.x).toBeGreaterThan(0.4);
      expect(lung.data.some((v, i) => (v & masks.get(2)!.data[i]!) !== 0)).toBe(false);
    }
  });

  it('an opacity shows exactly where the tag names one, and inside a lung', () => {
    for (const { masks, tags } of pictures) {
      const opacity = masks.get(3);
      expect(opacity !== undefined).toBe(['opacity', 'nodule', 'cavity'].includes(tags.pathology!));
      if (opacity === undefined) continue;
      expect(opacity.data.every((v, i) => v <= masks.get(1)!.data[i]!)).toBe(true);
    }
  });
});
