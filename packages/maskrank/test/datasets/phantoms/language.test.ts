import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { maskFacts, RULES } from '../../../src/datasets/phantoms/facts.ts';
import { captionsOf, factQuestions } from '../../../src/datasets/phantoms/language.ts';
import { byArea, labelComponents } from '../../../src/imaging/components.ts';
import type { Mask } from '../../../src/imaging/types.ts';
import { Random } from '../../../src/util/random.ts';

const W = 90;
const empty = (): Mask => ({ width: W, height: W, data: new Uint8Array(W * W) });
function ellipse(cx: number, cy: number, a: number, b: number, mask = empty()): Mask {
  for (let y = 0; y < W; y++)
    for (let x = 0; x < W; x++)
      if (((x + 0.5 - cx) / a) ** 2 + ((y + 0.5 - cy) / b) ** 2 <= 1) mask.data[y * W + x] = 1;
  return mask;
}
const mirror = ({ width, height, data }: Mask): Mask => ({
  width,
  height,
  data: data.map((_, i) => data[i - (i % width) + width - 1 - (i % width)]!),
});

describe('facts computed on runs', () => {
  it('are those of the components', () => {
    const masks = fc
      .record({
        width: fc.integer({ min: 1, max: 24 }),
        height: fc.integer({ min: 1, max: 24 }),
        seed: fc.integer(),
      })
      .map(({ width, height, seed }): Mask => {
        const random = new Random(seed);
        const share = random.next();
        const data = Uint8Array.from({ length: width * height }, () => (random.chance(share) ? 1 : 0));
        return { width, height, data };
      });
    fc.assert(
      fc.property(masks, (mask) => {
        const facts = maskFacts(mask);
        const ordered = byArea(labelComponents(mask).components);
        if (ordered.length === 0) {
          expect(facts).toBeUndefined();
          return;
        }
        const kept = ordered.filter(({ areaPx }) => areaPx >= RULES.speck * ordered[0]!.areaPx);
        const total = kept.reduce((sum, { areaPx }) => sum + areaPx, 0);
        const x = kept.reduce((sum, c) => sum + c.centroid.x * c.areaPx, 0) / total;
        const y = kept.reduce((sum, c) => sum + c.centroid.y * c.areaPx, 0) / total;
        expect(facts!.components).toBe(kept.length);
        expect(facts!.centroid.x).toBeCloseTo((x + 0.5) / mask.width, 9);
        expect(facts!.centroid.y).toBeCloseTo((y + 0.5) / mask.height, 9);
        expect(facts!.area * mask.data.length).toBeCloseTo(
          mask.data.reduce((sum, v) => sum + v, 0),
          9,
        );
      }),
    );
  });
});

describe('maskFacts', () => {
  it('an empty mask has none', () => expect(maskFacts(empty())).toBeUndefined());

  it.each([
    [15, 15, 'upper left'],
    [45, 15, 'upper middle'],
    [75, 75, 'lower right'],
    [45, 45, 'centre'],
    [15, 45, 'left'],
  ])('a disc at (%i, %i) is %s', (x, y, location) => {
    const facts = maskFacts(ellipse(x, y, 8, 8))!;
    expect(facts.location).toBe(location);
    expect(facts.shape).toBe('round');
    expect(facts.components).toBe(1);
  });

  it('names sizes by share of the image', () => {
    expect(maskFacts(ellipse(45, 45, 5, 5))!.size).toBe('small'); // 78.5 of 8100
    expect(maskFacts(ellipse(45, 45, 11, 11))!.size).toBe('medium'); // 380
    expect(maskFacts(ellipse(45, 45, 20, 20))!.size).toBe('large'); // 1257
  });

  it('tells round, oval and irregular apart', () => {
    expect(maskFacts(ellipse(45, 45, 24, 12))!.shape).toBe('oval');
    // Two bars that cross.
    const cross = empty();
    for (let y = 0; y < W; y++)
      for (let x = 0; x < W; x++)
        if (
          (Math.abs(x - 45) < 4 && Math.abs(y - 45) < 25) ||
          (Math.abs(y - 45) < 4 && Math.abs(x - 45) < 25)
        )
          cross.data[y * W + x] = 1;
    expect(maskFacts(cross)!.shape).toBe('irregular');
  });

  it('two lungs are on both sides; a speck on the other side is none', () => {
    expect(maskFacts(ellipse(68, 45, 10, 25, ellipse(22, 45, 10, 25)))!.side).toBe('both');
    const speck = maskFacts(ellipse(70, 45, 2, 2, ellipse(20, 45, 12, 12)))!;
    expect(speck.side).toBe('left');
    expect(speck.components).toBe(1);
  });

  it('mirroring swaps the sides and nothing else', () => {
    const place = fc.record({
      x: fc.integer({ min: 8, max: 82 }),
      y: fc.integer({ min: 8, max: 82 }),
      a: fc.integer({ min: 3, max: 30 }),
      b: fc.integer({ min: 3, max: 30 }),
    });
    fc.assert(
      fc.property(place, ({ x, y, a, b }) => {
        const mask = ellipse(x, y, a, b);
        const facts = maskFacts(mask)!;
        const other = maskFacts(mirror(mask))!;
        // On a border between words rounding may go either way.
        fc.pre(RULES.thirds.every((limit) => Math.abs(facts.centroid.x - limit) > 1e-9));
        expect(other.side).toBe({ left: 'right', right: 'left', middle: 'middle', both: 'both' }[facts.side]);
        expect(other.level).toBe(facts.level);
        expect(other.size).toBe(facts.size);
        expect(other.shape).toBe(facts.shape);
        expect(other.centroid.x).toBeCloseTo(1 - facts.centroid.x, 9);
      }),
      { numRuns: 60 },
    );
  });
});

describe('words', () => {
  const facts = maskFacts(ellipse(15, 15, 12, 6))!;

  it('questions of every geometric kind, answers from the facts', () => {
    const random = new Random(1);
    const asked = factQuestions(random, facts, { classId: 4, noun: 'liver', image: 'CT image' });
    expect(new Set(asked.map(({ kind }) => kind))).toEqual(new Set(['shape', 'location', 'side', 'size']));
    expect(asked.map(({ answer }) => answer)).toEqual([
      'oval',
      'in the upper left of the image',
      'left',
      'medium',
      'oval, in the upper left of the image',
    ]);
    expect(asked.every(({ classId }) => classId === 4)).toBe(true);
  });

  it('captions name modality, class, place, shape and condition', () => {
    const texts = captionsOf(
      new Random(1),
      'breast ultrasound image',
      [{ facts, noun: 'breast tumor', adjective: 'benign' }],
      ['cyst'],
    );
    expect(texts).toContain(
      'a breast ultrasound image showing a medium oval benign breast tumor in the upper left of the image, cyst',
    );
    for (const text of texts) expect(text).toContain('benign breast tumor');
  });
});
