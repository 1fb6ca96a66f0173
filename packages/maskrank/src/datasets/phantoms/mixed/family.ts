// Domain-randomised shapes: one to four labelled shapes of different kinds on random grounds, so that what is learnt on
// them carries over to images whose contrast and texture nobody foresaw (after Billot et al. 2023, SynthSeg). Masks are exact: a
// shape painted later hides what it covers. Not here: anatomy (the other families).

import type { Mask } from '../../../imaging/types.ts';
import type { Random } from '../../../util/random.ts';
import type { DatasetClass } from '../../schema.ts';
import { startPicture } from '../draw/scratch.ts';
import { maskFacts } from '../facts.ts';
import { type CaptionPart, captionsOf, factQuestions } from '../language.ts';
import type { PhantomFamily, PhantomImage, PhantomQuestion } from '../types.ts';
import { distract, ground, LOOKS, paintShape, scan } from './appearance.ts';
import { OUTLINES, type ShapeKind } from './outlines.ts';

const NOUN = 'image of shapes';
const MOST_SHAPES = 4;
/** A shape of which others leave less than this share is not drawn. */
const LEAST_VISIBLE = 0.6;
/** Smaller shapes are not drawn, pixels of a 256-pixel image. */
const LEAST_AREA = 40;

const KINDS: readonly {
  readonly kind: ShapeKind;
  readonly name: string;
  readonly plural?: true;
  readonly components: number;
}[] = [
  { kind: 'blob', name: 'blob', components: 1 },
  { kind: 'ellipse', name: 'ellipse', components: 1 },
  { kind: 'polygon', name: 'polygon', components: 1 },
  { kind: 'tube', name: 'tube', components: 1 },
  { kind: 'ring', name: 'ring', components: 1 },
  { kind: 'pair', name: 'paired organs', plural: true, components: 2 },
];

export const MIXED_CLASSES: readonly DatasetClass[] = KINDS.map(({ name, components }, i) => ({
  id: i + 1,
  name,
  prompts: [name],
  // Others can lie across a shape.
  maxComponents: components * 3,
}));

export const mixed: PhantomFamily = {
  name: 'mixed',
  modality: 'synthetic',
  classes: MIXED_CLASSES,
  draw: (patient, picture, sizePx) => drawMixed(patient, picture, sizePx),
};

/** The patient has no part in it but to make the stream its own. */
function drawMixed(patient: Random, picture: Random, n: number): PhantomImage {
  const random = picture.fork(`mixed ${patient.fork('mixed').getState().join(' ')}`);
  startPicture(n * n);
  const field = ground(random.fork('ground'), n);
  distract(field, random.fork('distractors'), n);
  const shapes = random.fork('shapes');
  const count = shapes.int(1, MOST_SHAPES + 1);
  const drawn = new Map<number, Uint8Array>();
  const areas = new Map<number, number>();
  const looks: string[] = [];
  for (const index of shapes.shuffle(KINDS.map((_, i) => i)).slice(0, count)) {
    const own = shapes.fork(`shape ${index}`);
    const mask = new Uint8Array(n * n);
    OUTLINES[KINDS[index]!.kind](mask, n, own);
    const area = sum(mask);
    if (area < LEAST_AREA * (n / 256) ** 2 || area === 0) continue;
    const look = own.choice(LOOKS);
    // A shape that is only an edge hides nothing, so it may lie on nothing.
    if (!leavesRoom(mask, drawn, areas, look === 'edge' ? 1 : LEAST_VISIBLE)) continue;
    paintShape(field, mask, look, own, n);
    for (const other of drawn.values()) for (let i = 0; i < mask.length; i++) if (mask[i] === 1) other[i] = 0;
    drawn.set(index + 1, mask);
    areas.set(index + 1, area);
    looks.push(`${KINDS[index]!.name}: ${look}`);
  }
  const data = scan(field, random.fork('scan'), n);
  const ids = [...drawn.keys()].sort((a, b) => a - b);
  const masks = new Map(ids.map((id): [number, Mask] => [id, { width: n, height: n, data: drawn.get(id)! }]));
  return {
    image: { width: n, height: n, channels: 1, data },
    masks,
    ...say(masks, random.fork('words')),
    tags: { looks: looks.join('; ') },
  };
}

/** Whether every shape drawn before would keep most of itself. */
function leavesRoom(
  mask: Uint8Array,
  drawn: ReadonlyMap<number, Uint8Array>,
  areas: ReadonlyMap<number, number>,
  share: number,
): boolean {
  for (const [id, other] of drawn) {
    let left = 0;
    for (let i = 0; i < mask.length; i++) if (other[i] === 1 && mask[i] === 0) left++;
    if (left < share * areas.get(id)!) return false;
  }
  return true;
}

function say(masks: ReadonlyMap<number, Mask>, words: Random): Pick<PhantomImage, 'captions' | 'questions'> {
  const parts: CaptionPart[] = [];
  const questions: PhantomQuestion[] = [];
  for (const [classId, mask] of masks) {
    const { name, plural } = KINDS[classId - 1]!;
    const facts = maskFacts(mask)!;
    const noun = { noun: name, ...(plural && { plural }) };
    parts.push({ facts, ...noun });
    questions.push(...factQuestions(words, facts, { classId, image: NOUN, ...noun }));
  }
  return { captions: captionsOf(words, NOUN, parts, []), questions };
}

function sum(mask: Uint8Array): number {
  let total = 0;
  for (let i = 0; i < mask.length; i++) total += mask[i]!;
  return total;
}
