// Mixed phantoms: every kind comes up, masks are exact and apart, words follow the masks, equal seeds give equal bytes.

import { describe, expect, it } from 'vitest';
import { maskFacts } from '../../../src/datasets/phantoms/facts.ts';
import { MIXED_CLASSES, mixed } from '../../../src/datasets/phantoms/mixed/family.ts';
import { OUTLINES, type ShapeKind } from '../../../src/datasets/phantoms/mixed/outlines.ts';
import { labelComponents } from '../../../src/imaging/components.ts';
import { Random } from '../../../src/util/random.ts';

const SIZE = 96;
const pictures = Array.from({ length: 80 }, (_, i) => mixed.draw(new Random('p'), new Random(i), SIZE));

describe('the mixed family', () => {
  it('draws one to four shapes, and every kind among many pictures', () => {
    const seen = new Set<number>();
    for (const { masks, image } of pictures) {
      expect(masks.size).toBeGreaterThanOrEqual(1);
      expect(masks.size).toBeLessThanOrEqual(4);
      expect([image.width, image.height, image.data.length]).toEqual([SIZE, SIZE, SIZE * SIZE]);
      for (const id of masks.keys()) seen.add(id);
    }
    expect([...seen].sort()).toEqual(MIXED_CLASSES.map(({ id }) => id));
  });

  it('gives masks of 0 and 1, none empty, no pixel in two', () => {
    for (const { masks } of pictures) {
      const owners = new Uint8Array(SIZE * SIZE);
      for (const { data } of masks.values()) {
        expect(data.some((v) => v === 1)).toBe(true);
        expect(data.every((v) => v === 0 || v === 1)).toBe(true);
        data.forEach((v, i) => {
          owners[i]! += v;
        });
      }
      expect(Math.max(...owners)).toBe(1);
    }
  });

  it('varies contrast: dark and bright pictures, inside brighter and darker than outside', () => {
    const mean = (xs: ArrayLike<number>, keep: (i: number) => boolean) => {
      let [sum, n] = [0, 0];
      for (let i = 0; i < xs.length; i++) if (keep(i)) [sum, n] = [sum + xs[i]!, n + 1];
      return sum / n;
    };
    const differences = pictures.map(({ image, masks }) => {
      const mask = [...masks.values()][0]!.data;
      return mean(image.data, (i) => mask[i] === 1) - mean(image.data, (i) => mask[i] === 0);
    });
    expect(differences.filter((d) => d > 15).length).toBeGreaterThan(10);
    expect(differences.filter((d) => d < -15).length).toBeGreaterThan(10);
    expect(differences.filter((d) => Math.abs(d) < 10).length).toBeGreaterThan(5);
  });

  it('is equal for equal seeds and differs for others', () => {
    const again = mixed.draw(new Random('p'), new Random(3), SIZE);
    expect(again).toEqual(pictures[3]);
    expect(again.image.data).not.toEqual(pictures[4]!.image.data);
    expect(mixed.draw(new Random('q'), new Random(3), SIZE).image.data).not.toEqual(again.image.data);
  });

  it('answers what the masks say', () => {
    for (const { masks, questions, captions } of pictures.slice(0, 20)) {
      expect(captions.length).toBeGreaterThan(3);
      expect(new Set(questions.map((q) => q.kind))).toEqual(new Set(['shape', 'location', 'side', 'size']));
      for (const { kind, classId, answer } of questions) {
        if (kind === 'size') expect(answer).toBe(maskFacts(masks.get(classId)!)!.size);
      }
    }
  });
});

describe('outlines', () => {
  const drawn = (kind: ShapeKind, seed: number) => {
    const data = new Uint8Array(256 * 256);
    OUTLINES[kind](data, 256, new Random(seed));
    return { width: 256, height: 256, data };
  };

  it('have as many parts as their kind says', () => {
    for (let seed = 0; seed < 12; seed++) {
      for (const kind of ['blob', 'ellipse', 'polygon', 'tube', 'ring'] as const) {
        expect(labelComponents(drawn(kind, seed)).components.length, `${kind} ${seed}`).toBeLessThanOrEqual(
          2,
        );
      }
      expect(labelComponents(drawn('pair', seed)).components.length, `pair ${seed}`).toBe(2);
    }
  });

  it('leave a ring hollow', () => {
    for (let seed = 0; seed < 12; seed++) {
      const mask = drawn('ring', seed);
      const hole = labelComponents({ ...mask, data: mask.data.map((v) => 1 - v) });
      expect(hole.components.length, `${seed}`).toBeGreaterThanOrEqual(2);
    }
  });
});
