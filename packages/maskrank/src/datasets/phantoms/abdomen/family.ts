// Abdominal CT as a family of phantoms: axial slices of three-dimensional patients in the soft-tissue window that AMOS is
// used with. Rows run from anterior to posterior; the patient's right is on the picture's left, as radiologists look at it.
// Words about sides are those of the picture (language.ts); "right kidney" is the patient's, as anatomy names it.

import type { Mask } from '../../../imaging/types.ts';
import type { Random } from '../../../util/random.ts';
import { maskFacts } from '../facts.ts';
import { type CaptionPart, captionsOf, factQuestions } from '../language.ts';
import type { PhantomFamily, PhantomImage, PhantomQuestion } from '../types.ts';
import { type Anatomy, makeAnatomy } from './anatomy.ts';
import { ABDOMEN_CLASSES, ORGAN } from './classes.ts';
import type { Phase } from './phases.ts';
import { type AbdomenSlice, drawSlice } from './slice.ts';

/** Shown as black and as white, HU. */
export const WINDOW_HU = [-160, 240] as const;
/** Patients that are kept: pictures of one patient mostly come one after the other. */
const KEPT_PATIENTS = 3;
/** Slices kept of a patient, about one volume: 0.25 MiB each at 256 pixels. */
const KEPT_SLICES = 100;
/** A picture speaks of at most this many organs in detail. */
const MOST_NAMED = 2;
const NOUN = 'abdominal CT image';

const PHASE_WORDS: Readonly<Record<Phase, string>> = {
  unenhanced: 'unenhanced',
  arterial: 'arterial phase',
  portal: 'portal venous phase',
  delayed: 'delayed phase',
};

/** A patient and those of its slices that were asked for. */
type Kept = { readonly anatomy: Anatomy; readonly slices: Map<string, AbdomenSlice> };

/** A family with its own memory of patients; what it draws does not depend on that memory. */
export function makeAbdomenFamily(): PhantomFamily {
  const kept = new Map<string, Kept>();
  const keptOf = (patient: Random): Kept => {
    const key = patient.fork('abdomen').getState().join(' ');
    let known = kept.get(key);
    if (known === undefined) {
      known = { anatomy: makeAnatomy(patient), slices: new Map() };
      const oldest = kept.keys().next().value;
      if (kept.size >= KEPT_PATIENTS && oldest !== undefined) kept.delete(oldest);
      kept.set(key, known);
    }
    return known;
  };
  return {
    name: 'abdomen',
    modality: 'ct',
    classes: ABDOMEN_CLASSES,
    draw: (patient, picture, sizePx) => {
      const { anatomy, slices } = keptOf(patient);
      const index = picture.fork('slice').int(0, anatomy.slices);
      const key = `${index} ${sizePx}`;
      let slice = slices.get(key);
      if (slice === undefined) {
        slice = drawSlice(anatomy, index, sizePx);
        if (slices.size < KEPT_SLICES) slices.set(key, slice);
      }
      return describe(anatomy, index, slice, picture.fork('words'));
    },
  };
}

export const abdomen: PhantomFamily = makeAbdomenFamily();

/** The 8-bit picture of a slice in the soft-tissue window. */
export function windowed(hu: Int16Array): Uint8Array {
  const [low, high] = WINDOW_HU;
  const scale = 255 / (high - low);
  const out = new Uint8Array(hu.length);
  for (let i = 0; i < hu.length; i++) {
    const v = (hu[i]! - low) * scale;
    out[i] = v <= 0 ? 0 : v >= 255 ? 255 : Math.round(v);
  }
  return out;
}

function describe(anatomy: Anatomy, index: number, slice: AbdomenSlice, words: Random): PhantomImage {
  const { sizePx } = slice;
  const { patient } = anatomy;
  const masks = masksOf(slice);
  const named = words.shuffle([...masks.keys()]).slice(0, MOST_NAMED);
  const parts: CaptionPart[] = [];
  const questions: PhantomQuestion[] = [];
  for (const classId of named) {
    const facts = maskFacts(masks.get(classId)!)!;
    const noun = nameOf(classId, patient.sex);
    parts.push({ facts, noun });
    questions.push(...factQuestions(words, facts, { classId, noun, image: NOUN }));
    if (classId === ORGAN.liver) {
      questions.push({
        kind: 'condition',
        classId,
        question: words.choice(['Is the liver fatty?', 'Is there fatty infiltration of the liver?']),
        answer: patient.steatosis ? 'yes' : 'no',
      });
    }
  }
  const all = [...masks.keys()].map((id) => nameOf(id, patient.sex));
  const list = all.length === 0 ? [] : [`${NOUN} with ${all.join(', ')}`];
  return {
    image: { width: sizePx, height: sizePx, channels: 1, data: windowed(slice.hu) },
    masks,
    captions: [...captionsOf(words, NOUN, parts, [PHASE_WORDS[patient.phase]]), ...list],
    questions,
    tags: {
      view: 'axial',
      phase: patient.phase,
      sex: patient.sex,
      slice: `${index}`,
      slices: `${anatomy.slices}`,
      spacingMm: (patient.fieldOfViewMm / sizePx).toFixed(3),
    },
  };
}

const NAMES = new Map(ABDOMEN_CLASSES.map(({ id, name }) => [id, name]));
function nameOf(classId: number, sex: 'male' | 'female'): string {
  if (classId === ORGAN.prostateUterus) return sex === 'male' ? 'prostate' : 'uterus';
  return NAMES.get(classId)!;
}

/** One mask for each organ that the slice cuts, by ascending id. */
function masksOf({ labels, sizePx }: AbdomenSlice): Map<number, Mask> {
  const found: (Uint8Array | undefined)[] = [];
  for (let p = 0; p < labels.length; p++) {
    const id = labels[p]!;
    if (id === 0) continue;
    let data = found[id];
    if (data === undefined) {
      data = new Uint8Array(labels.length);
      found[id] = data;
    }
    data[p] = 1;
  }
  const masks = new Map<number, Mask>();
  for (const { id } of ABDOMEN_CLASSES) {
    const data = found[id];
    if (data !== undefined) masks.set(id, { width: sizePx, height: sizePx, data });
  }
  return masks;
}
