// How a mask's facts are put into words: questions with answers, and captions. Sides are those of the picture, never the
// patient's. Not here: the facts (facts.ts), and what only the generator knows (benign, effusion, …); the families pass
// that in.

import type { Random } from '../../util/random.ts';
import type { MaskFacts } from './facts.ts';
import type { PhantomQuestion } from './types.ts';

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
