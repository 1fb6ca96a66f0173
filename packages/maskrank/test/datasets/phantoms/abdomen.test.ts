// Abdominal CT phantoms: anatomy, attenuation, orientation, words, and that pictures, slices and volumes agree.

import { describe, expect, it } from 'vitest';
import { heightMm, makeAnatomy } from '../../../src/datasets/phantoms/abdomen/anatomy.ts';
import { ABDOMEN_CLASSES, ORGAN } from '../../../src/datasets/phantoms/abdomen/classes.ts';
import { abdomen, makeAbdomenFamily, windowed } from '../../../src/datasets/phantoms/abdomen/family.ts';
import { drawSlice } from '../../../src/datasets/phantoms/abdomen/slice.ts';
import { drawVolume } from '../../../src/datasets/phantoms/abdomen/volume.ts';
import { maskFacts } from '../../../src/datasets/phantoms/facts.ts';
import { Random } from '../../../src/util/random.ts';

const SIZE = 96;
const SEEDS = ['one', 'two', 'three', 'four'];

type Centre = { n: number; x: number; y: number; z: number; hu: number };
/** Mean place and attenuation of each organ of a patient; labels outside the skin are counted. */
function survey(seed: string) {
  const anatomy = makeAnatomy(new Random(seed));
  const centres = new Map<number, Centre>();
  let outside = 0;
  for (let k = 0; k < anatomy.slices; k++) {
    const { hu, labels, body } = drawSlice(anatomy, k, SIZE);
    for (let p = 0; p < labels.length; p++) {
      const id = labels[p]!;
      if (id === 0) continue;
      if (body[p] === 0) outside++;
      const c = centres.get(id) ?? { n: 0, x: 0, y: 0, z: 0, hu: 0 };
      c.n++;
      c.x += p % SIZE;
      c.y += Math.floor(p / SIZE);
      c.z += heightMm(anatomy, k);
      c.hu += hu[p]!;
      centres.set(id, c);
    }
  }
  for (const c of centres.values()) for (const key of ['x', 'y', 'z', 'hu'] as const) c[key] /= c.n;
  return { anatomy, centres, outside, at: (name: keyof typeof ORGAN) => centres.get(ORGAN[name])! };
}
const surveys = SEEDS.map(survey);

describe('a patient', () => {
  it('has all fifteen organs, none outside the skin', () => {
    for (const { centres, outside } of surveys) {
      expect([...centres.keys()].sort((a, b) => a - b)).toEqual(ABDOMEN_CLASSES.map(({ id }) => id));
      expect(outside).toBe(0);
    }
  });

  it("has them in anatomical order: the patient's right is on the left of the picture, the front is up", () => {
    for (const { anatomy, at } of surveys) {
      const spine = anatomy.patient.centre[0] * SIZE;
      expect(at('liver').x).toBeLessThan(spine);
      expect(at('gallbladder').x).toBeLessThan(spine);
      expect(at('rightKidney').x).toBeLessThan(spine);
      expect(at('rightAdrenal').x).toBeLessThan(at('leftAdrenal').x);
      expect(at('spleen').x).toBeGreaterThan(spine);
      expect(at('leftKidney').x).toBeGreaterThan(spine);
      expect(at('stomach').x).toBeGreaterThan(spine);
      expect(at('postcava').x).toBeLessThan(at('aorta').x);
      expect(at('stomach').y).toBeLessThan(at('aorta').y);
      expect(at('pancreas').y).toBeLessThan(at('leftKidney').y);
      expect(at('bladder').y).toBeLessThan(at('prostateUterus').y);
      for (const name of Object.keys(ORGAN) as (keyof typeof ORGAN)[]) {
        if (name !== 'bladder' && name !== 'prostateUterus')
          expect(at(name).z).toBeGreaterThan(at('bladder').z + 80);
      }
      expect(at('liver').z).toBeGreaterThan(at('rightKidney').z);
      expect(at('leftAdrenal').z).toBeGreaterThan(at('leftKidney').z);
      expect(at('esophagus').z).toBeGreaterThan(at('stomach').z);
    }
  });

  it('has organs of plausible volume, ml', () => {
    const ranges: Partial<Record<keyof typeof ORGAN, [number, number]>> = {
      liver: [700, 3000],
      spleen: [60, 500],
      leftKidney: [70, 320],
      rightKidney: [70, 320],
      aorta: [30, 200],
      pancreas: [25, 170],
      leftAdrenal: [0.8, 12],
      bladder: [50, 450],
    };
    for (const { anatomy, at } of surveys) {
      const voxelMl = ((anatomy.patient.fieldOfViewMm / SIZE) ** 2 * 5) / 1000;
      for (const [name, [low, high]] of Object.entries(ranges)) {
        const ml = at(name as keyof typeof ORGAN).n * voxelMl;
        expect(ml, name).toBeGreaterThan(low);
        expect(ml, name).toBeLessThan(high);
      }
    }
  });

  it('has the attenuation of its phase', () => {
    for (const { anatomy, at } of surveys) {
      const { hu, phase } = anatomy.patient;
      // Means over the organ: its edge is blurred with what is around it.
      expect(Math.abs(at('liver').hu - hu.liver)).toBeLessThan(25);
      expect(Math.abs(at('spleen').hu - hu.spleen)).toBeLessThan(35);
      expect(at('aorta').hu / hu.aorta).toBeGreaterThan(0.7);
      expect(at('aorta').hu / hu.aorta).toBeLessThan(1.4);
      if (phase === 'arterial') expect(at('aorta').hu).toBeGreaterThan(at('postcava').hu + 60);
      if (phase === 'unenhanced') expect(at('leftKidney').hu).toBeLessThan(60);
      else expect(at('leftKidney').hu).toBeGreaterThan(75);
      expect(at('gallbladder').hu).toBeLessThan(70);
    }
  });

  it('has slices of 5 mm and 0.7 to 1.0 mm in plane at 512 pixels', () => {
    for (const { anatomy } of surveys) {
      expect(heightMm(anatomy, 1) - heightMm(anatomy, 0)).toBe(5);
      expect(anatomy.patient.fieldOfViewMm / 512).toBeGreaterThanOrEqual(0.7);
      expect(anatomy.patient.fieldOfViewMm / 512).toBeLessThanOrEqual(1);
    }
  });
});

describe('volumes and pictures', () => {
  it('are the same slices, with an affine that points left, back and up', () => {
    const size = 40;
    const { image, labels } = drawVolume(new Random('one'), { sizePx: size });
    const anatomy = makeAnatomy(new Random('one'));
    expect(image.size).toEqual([size, size, anatomy.slices]);
    for (const k of [0, 31, anatomy.slices - 1]) {
      const slice = drawSlice(anatomy, k, size);
      expect(image.data.slice(k * size * size, (k + 1) * size * size)).toEqual(slice.hu);
      expect(labels.data.slice(k * size * size, (k + 1) * size * size)).toEqual(slice.labels);
    }
    expect(image.affine[0][0]).toBeLessThan(0);
    expect(image.affine[1][1]).toBeLessThan(0);
    expect(image.affine[2][2]).toBe(5);
  });

  it('show soft tissue from -160 to 240 HU', () => {
    expect([...windowed(Int16Array.from([-1000, -160, 42, 240, 2000]))]).toEqual([0, 0, 129, 255, 255]);
  });

  it('are equal for equal seeds, whatever was drawn before, and differ for others', () => {
    const draw = (family: typeof abdomen, patient: string, picture: string) =>
      family.draw(new Random(patient), new Random(picture), SIZE);
    const first = draw(abdomen, 'p', 'a');
    for (const other of ['q', 'r', 's', 't', 'u']) draw(abdomen, other, 'a');
    expect(draw(abdomen, 'p', 'a')).toEqual(first);
    expect(draw(makeAbdomenFamily(), 'p', 'a')).toEqual(first);
    expect(draw(abdomen, 'v', 'a').image.data).not.toEqual(first.image.data);
    expect(draw(abdomen, 'p', 'b').image.data).not.toEqual(first.image.data);
  });

  it('are those of the volume, with masks of what they show and words that their masks bear out', () => {
    for (let i = 0; i < 8; i++) {
      const picture = abdomen.draw(new Random('one'), new Random(i), SIZE);
      const slice = drawSlice(makeAnatomy(new Random('one')), Number(picture.tags.slice), SIZE);
      expect(picture.image.data).toEqual(windowed(slice.hu));
      expect([...picture.masks.keys()]).toEqual(
        [...new Set(slice.labels)].filter((id) => id > 0).sort((a, b) => a - b),
      );
      for (const [id, mask] of picture.masks)
        expect(mask.data).toEqual(slice.labels.map((l) => (l === id ? 1 : 0)));
      expect(picture.captions.length).toBeGreaterThan(3);
      for (const { kind, classId, answer } of picture.questions) {
        const facts = maskFacts(picture.masks.get(classId)!)!;
        if (kind === 'size') expect(answer).toBe(facts.size);
        if (kind === 'shape') expect(answer).toBe(facts.shape);
      }
    }
  });
});
