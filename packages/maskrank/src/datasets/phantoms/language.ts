// What can be said about a mask, and how: facts from a mask's own geometry, the words for them, questions with answers
// and captions. Every rule stands here once, in RULES, so that the same words can be checked on masks of real images.
// Sides are those of the picture, never the patient's. Not here: what only the generator knows (benign, effusion, …);
// the families pass that in.

import { byArea, labelComponents } from '../../imaging/components.ts';
import type { Mask } from '../../imaging/types.ts';
import type { Random } from '../../util/random.ts';
import type { PhantomQuestion } from './types.ts';

/** The limits between words. Coordinates and areas are shares of the image. */
export const RULES = {
  /** A component below this share of the largest one's area is ignored for side and shape. */
  speck: 0.1,
  /** Centroid below the first: left (upper); from the second on: right (lower); between: middle. */
  thirds: [1 / 3, 2 / 3],
  /** Components on either side of the midline: "both" when the smaller side has at least this share of the area. */
  both: 0.2,
  /** Area share below the first: small; from the second on: large; between: medium. */
  size: [0.02, 0.1],
  /** IoU of the largest component with the ellipse of equal second moments and area; below: irregular. */
  ellipseIou: 0.86,
  /** Short over long axis of that ellipse; from here on round, below oval. */
  roundAxes: 0.78,
} as const;

export type Side = 'left' | 'middle' | 'right' | 'both';
export type Level = 'upper' | 'middle' | 'lower';
export type SizeWord = 'small' | 'medium' | 'large';
export type ShapeWord = 'round' | 'oval' | 'irregular';

/** What a mask says of itself. */
export type MaskFacts = {
  readonly side: Side;
  readonly level: Level;
  /** "upper left", "left", "upper middle", "centre", "both sides", … of the image. */
  readonly location: string;
  readonly size: SizeWord;
  readonly shape: ShapeWord;
  /** Share of the image's area. */
  readonly area: number;
  /** Mean pixel centre, in shares of width and height. */
  readonly centroid: { readonly x: number; readonly y: number };
  /** Components that are no specks. */
  readonly components: number;
};

/** Facts of a mask by RULES; undefined for an empty one. */
export function maskFacts(mask: Mask): MaskFacts | undefined {
  const { width, height } = mask;
  const labelled = labelComponents(mask);
  const ordered = byArea(labelled.components);
  const largest = ordered[0];
  if (largest === undefined) return undefined;
  const kept = ordered.filter(({ areaPx }) => areaPx >= RULES.speck * largest.areaPx);
  const total = kept.reduce((sum, { areaPx }) => sum + areaPx, 0);
  const mean = (of: (c: (typeof kept)[number]) => number) =>
    kept.reduce((sum, c) => sum + of(c) * c.areaPx, 0) / total;
  const centroid = {
    x: (mean((c) => c.centroid.x) + 0.5) / width,
    y: (mean((c) => c.centroid.y) + 0.5) / height,
  };
  const leftShare =
    kept.filter((c) => c.centroid.x + 0.5 < width / 2).reduce((sum, c) => sum + c.areaPx, 0) / total;
  const both = Math.min(leftShare, 1 - leftShare) >= RULES.both;
  const third = <T>(v: number, words: readonly [T, T, T]) =>
    v < RULES.thirds[0] ? words[0] : v < RULES.thirds[1] ? words[1] : words[2];
  const side: Side = both ? 'both' : third(centroid.x, ['left', 'middle', 'right'] as const);
  const level: Level = third(centroid.y, ['upper', 'middle', 'lower'] as const);
  const area = ordered.reduce((sum, { areaPx }) => sum + areaPx, 0) / (width * height);
  const size: SizeWord = area < RULES.size[0] ? 'small' : area < RULES.size[1] ? 'medium' : 'large';
  return {
    side,
    level,
    location: locationWords(side, level),
    size,
    shape: shapeWord(labelled.labels, largest.label, width, largest.box),
    area,
    centroid,
    components: kept.length,
  };
}

function locationWords(side: Side, level: Level): string {
  if (side === 'both') return 'both sides';
  if (side === 'middle') return level === 'middle' ? 'centre' : `${level} middle`;
  return level === 'middle' ? side : `${level} ${side}`;
}

/** Compares a component with the ellipse of its second moments, scaled to its area. */
function shapeWord(
  labels: Int32Array,
  label: number,
  width: number,
  box: { readonly x0: number; readonly y0: number; readonly x1: number; readonly y1: number },
): ShapeWord {
  let [n, sx, sy, sxx, syy, sxy] = [0, 0, 0, 0, 0, 0];
  for (let y = box.y0; y < box.y1; y++) {
    for (let x = box.x0; x < box.x1; x++) {
      if (labels[y * width + x] !== label) continue;
      n++;
      sx += x;
      sy += y;
      sxx += x * x;
      syy += y * y;
      sxy += x * y;
    }
  }
  const [mx, my] = [sx / n, sy / n];
  // A pixel is a unit square: its own variance is 1/12.
  const a = sxx / n - mx * mx + 1 / 12;
  const c = syy / n - my * my + 1 / 12;
  const b = sxy / n - mx * my;
  const det = a * c - b * b;
  // v' S^-1 v <= q is an ellipse of area pi q sqrt(det S).
  const q = n / (Math.PI * Math.sqrt(det));
  let inside = 0;
  for (let y = box.y0; y < box.y1; y++) {
    for (let x = box.x0; x < box.x1; x++) {
      if (labels[y * width + x] !== label) continue;
      const [u, v] = [x - mx, y - my];
      if ((c * u * u - 2 * b * u * v + a * v * v) / det <= q) inside++;
    }
  }
  // Both have area n.
  if (inside / (2 * n - inside) < RULES.ellipseIou) return 'irregular';
  const root = Math.sqrt((a - c) ** 2 + 4 * b * b);
  return Math.sqrt((a + c - root) / (a + c + root)) >= RULES.roundAxes ? 'round' : 'oval';
}

/** How a class is spoken of. */
export type Noun = {
  readonly classId: number;
  /** Without article: "breast lesion", "lungs". */
  readonly noun: string;
  readonly plural?: boolean;
  /** "breast ultrasound image", "chest x-ray". */
  readonly image: string;
};

/** "on both sides of the image", "in the upper left of the image". */
export function placeWords({ side, location }: MaskFacts): string {
  return side === 'both' ? 'on both sides of the image' : `in the ${location} of the image`;
}

/** Questions whose answers the mask decides, one wording each: shape, location, side, size, shape and location. */
export function factQuestions(random: Random, facts: MaskFacts, noun: Noun): PhantomQuestion[] {
  const { classId, noun: n, image } = noun;
  const is = noun.plural ? 'are' : 'is';
  const does = noun.plural ? 'do' : 'does';
  const sideAnswer = { left: 'left', right: 'right', middle: 'middle', both: 'both sides' }[facts.side];
  const one = (kind: PhantomQuestion['kind'], answer: string, wordings: readonly string[]) => ({
    kind,
    classId,
    question: random.choice(wordings),
    answer,
  });
  return [
    one('shape', facts.shape, [
      `What is the shape of the ${n}?`,
      `What shape ${does} the ${n} have?`,
      `What is the shape of the ${n} in this ${image}?`,
      `How ${is} the ${n} shaped?`,
    ]),
    one('location', placeWords(facts), [
      `Where ${is} the ${n}?`,
      `Where ${is} the ${n} located?`,
      `What is the location of the ${n}?`,
      `What is the location of the ${n} in this ${image}?`,
    ]),
    one('side', sideAnswer, [
      `On which side of the image ${is} the ${n}?`,
      `Which side of the image ${is} the ${n} on?`,
      `${noun.plural ? 'Are' : 'Is'} the ${n} on the left or the right of the image?`,
    ]),
    one('size', facts.size, [
      `How large ${is} the ${n}?`,
      `What is the size of the ${n}?`,
      `${noun.plural ? 'Are' : 'Is'} the ${n} small, medium or large?`,
    ]),
    one('location', `${facts.shape}, ${placeWords(facts)}`, [
      `What is the shape and location of the ${n} in this ${image}?`,
    ]),
  ];
}

const article = (words: string) => (/^[aeiou]/i.test(words) ? 'an' : 'a');

/** What a caption says of one class; `adjective` is what the generator knows ("malignant"). */
export type CaptionPart = {
  readonly facts: MaskFacts;
  readonly noun: string;
  readonly plural?: boolean;
  readonly adjective?: string;
};

/** Several wordings of one description: modality, class, place, shape, size, and the conditions that hold. */
export function captionsOf(
  random: Random,
  image: string,
  parts: readonly CaptionPart[],
  conditions: readonly string[],
): string[] {
  const state = conditions.length > 0 ? conditions.join(', ') : '';
  if (parts.length === 0) {
    return random.shuffle([
      `${image}, ${state || 'no finding'}`,
      `${article(image)} ${image} showing ${state || 'no finding'}`,
      `${image}: ${state || 'no finding'}.`,
      `${state || 'no finding'} in this ${image}`,
    ]);
  }
  const named = parts.map((p) => (p.adjective ? `${p.adjective} ${p.noun}` : p.noun));
  const short = parts.map((p, i) => (p.plural ? named[i]! : `${article(named[i]!)} ${named[i]}`));
  const full = parts.map((p, i) => {
    const words = p.plural ? named[i]! : `${p.facts.size} ${p.facts.shape} ${named[i]}`;
    return `${p.plural ? '' : `${article(words)} `}${words} ${placeWords(p.facts)}`;
  });
  const list = (xs: readonly string[]) => xs.join(' and ');
  const tail = state ? `, ${state}` : '';
  const wordings = [
    `${image} with ${list(short)}${tail}`,
    `${article(image)} ${image} showing ${list(full)}${tail}`,
    `${list(full)}, ${image}${tail}`,
    `${image}. ${parts.map((p, i) => `The ${named[i]} ${p.plural ? 'are' : 'is'} ${p.facts.shape} and ${p.facts.size}, ${placeWords(p.facts)}`).join('. ')}.${state ? ` ${state}.` : ''}`,
    `${list(named)}${tail}`,
  ];
  return random.shuffle(wordings).map((text) => text.trim());
}
