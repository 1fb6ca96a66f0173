// Texts that are true of an image, from its image-level labels, in several wordings. A text carries what it claims, so that one
// can tell whether it is also true of another image: then it is no negative for that image, though it was drawn for this one.
// Not here: the labels (facts.ts), the loss (loss.ts).

import type { DatasetClass } from '../../datasets/schema.ts';
import { saliencyText } from '../../prompting/text/questions.ts';
import type { Random } from '../../util/random.ts';
import { mayHold } from './captions.ts';
import type { ImageFacts } from './facts.ts';

/** A single claim, such as `class=liver`, `modality=ct`, `no=lesion`, `pathology=benign`. */
export type Claim = string;

export type Statement = {
  readonly text: string;
  /** The text is true of an image that all of these are true of. */
  readonly claims: readonly Claim[];
};

/** Everything that labels claim of an image. */
export function claimsOf({ modality, present, missing, tags, told = [] }: ImageFacts): ReadonlySet<Claim> {
  return new Set([
    `modality=${modality}`,
    ...present.map(({ name }) => `class=${name}`),
    ...missing.map(({ name }) => `no=${name}`),
    ...Object.entries(tags).map(([name, value]) => `${name}=${value}`),
    ...told,
  ]);
}

/** Whether a text is true of an image with these claims. */
export const isTrueOf = ({ claims }: Statement, known: ReadonlySet<Claim>): boolean =>
  claims.every((claim) => known.has(claim));

/** True, false, or neither: what a text claims may be true in part, or nobody knows. */
export type Truth = 1 | 0 | 0.5;

/** What is claimed of a view of an image: for certain, and what is possible besides. All else is false. */
export type ViewClaims = {
  readonly certain: ReadonlySet<Claim>;
  readonly mayHold: (claim: Claim) => boolean;
};

export function truthOf({ claims }: Statement, { certain, mayHold: may }: ViewClaims): Truth {
  const open = claims.filter((claim) => !certain.has(claim));
  if (open.length === 0) return 1;
  return open.every(may) ? 0.5 : 0;
}

/** Claims of the whole image. Questions that nobody asked leave open what captions answer. */
export const claimsOfWhole = (facts: ImageFacts): ViewClaims => ({
  certain: claimsOf(facts),
  mayHold: (claim) => mayHold(claim, facts),
});

/** A class that is shown in part is neither there nor missing: limits of the shown share. */
const SHOWN = { present: 0.55, absent: 0.25 } as const;

/**
 * What remains true of a view that shows a part of each class, `shares` by class name. Captions, which tell places and sizes, are
 * about the whole image alone.
 */
export function factsShown(facts: ImageFacts, shares: ReadonlyMap<string, number>): ImageFacts {
  const { modality, missing } = facts;
  const present = facts.present.filter(({ name }) => (shares.get(name) ?? 1) >= SHOWN.present);
  const isWhole = present.length === facts.present.length;
  return { modality, present, missing, tags: isWhole ? facts.tags : {} };
}

/** Claims of such a view. Beyond them all is possible that the whole image claims, but of classes that are hidden. */
export function claimsShown(facts: ImageFacts, shares: ReadonlyMap<string, number>): ViewClaims {
  const { present, tags } = facts;
  const hidden = present.filter(({ name }) => (shares.get(name) ?? 1) <= SHOWN.absent);
  const lacks = present
    .filter(({ name }) => (shares.get(name) ?? 1) < SHOWN.present)
    .map(({ name }) => `no=${name}`);
  const visible = present.filter((cls) => !hidden.includes(cls));
  const possible = new Set([
    ...visible.map(({ name }) => `class=${name}`),
    ...Object.entries(tags).map(([name, value]) => `${name}=${value}`),
    ...lacks,
  ]);
  return {
    certain: claimsOf(factsShown(facts, shares)),
    mayHold: (claim) => possible.has(claim) || mayHold(claim, { present: visible }),
  };
}

/** The class that a text is about, if it claims nothing but that and a modality. */
export function classOf({ claims }: Statement): string | undefined {
  const [only, ...more] = claims.filter((claim) => !claim.startsWith('modality='));
  return more.length === 0 && only?.startsWith('class=') ? only.slice('class='.length) : undefined;
}

/** Ways to say that `what` is in an image; those with the modality claim it too. */
const SHOWING: readonly {
  readonly says: (what: string, modality: string) => string;
  readonly named: boolean;
}[] = [
  { says: (what) => what, named: false },
  { says: (what) => `the ${what}`, named: false },
  { says: (what) => `an image of the ${what}`, named: false },
  { says: (what) => `there is ${what}`, named: false },
  { says: (what, modality) => `${modality} showing ${what}`, named: true },
  { says: (what, modality) => `${what} in ${modality}`, named: true },
  { says: (what, modality) => `a ${modality} image with ${what}`, named: true },
];

const LACKING: readonly ((what: string, modality: string) => string)[] = [
  (what) => `no ${what}`,
  (what, modality) => `${modality} without ${what}`,
  (what, modality) => `a ${modality} image with no ${what}`,
];

const TAGGED: readonly ((value: string, modality: string) => string)[] = [
  (value, modality) => `${value} ${modality}`,
  (value, modality) => `${modality}: ${value}`,
  (value, modality) => `a ${value} ${modality} image`,
];

/** Names of a class: its own, and those that saliency will be asked for. */
const phrasesOf = (cls: DatasetClass, modality: string): readonly string[] => [
  ...new Set([cls.name, saliencyText(cls, modality), ...(cls.prompts ?? [])]),
];

/** Texts of one claim more than the modality: of a class, of a lack, of a tag, of a tag with a class. */
function statementsOf({ modality, present, missing, tags }: ImageFacts): Statement[] {
  const inModality = `modality=${modality}`;
  const values = Object.entries(tags);
  const shown = (what: string, claims: readonly Claim[]): Statement[] =>
    SHOWING.map(({ says, named }) => ({
      text: says(what, modality),
      claims: named ? [inModality, ...claims] : claims,
    }));
  return [
    ...present.flatMap((cls) =>
      phrasesOf(cls, modality).flatMap((what) => shown(what, [`class=${cls.name}`])),
    ),
    ...present.flatMap(({ name }) =>
      values.flatMap(([tag, value]) => shown(`${value} ${name}`, [`class=${name}`, `${tag}=${value}`])),
    ),
    ...missing.flatMap(({ name }) =>
      LACKING.map((says) => ({ text: says(name, modality), claims: [inModality, `no=${name}`] })),
    ),
    ...values.flatMap(([tag, value]) =>
      TAGGED.map((says) => ({ text: says(value, modality), claims: [inModality, `${tag}=${value}`] })),
    ),
  ];
}

/** A list of several classes in one text. */
function together({ modality, present }: ImageFacts, random: Random): Statement {
  const some = random.shuffle(present).slice(0, random.int(2, Math.min(5, present.length + 1) + 1));
  const names = some.map(({ name }) => name);
  const list = `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
  return {
    text: `${modality} showing ${list}`,
    claims: [`modality=${modality}`, ...names.map((name) => `class=${name}`)],
  };
}

/** How often several classes are told together where there are several. */
const TOGETHER = 0.15;

/** Groups of texts that claim the same, each drawn as often as another: wordings do not outvote what is said. */
function byClaims(statements: readonly Statement[]): Statement[][] {
  const groups = new Map<string, Statement[]>();
  for (const statement of statements) {
    const key = statement.claims.filter((claim) => !claim.startsWith('modality=')).join('|');
    groups.set(key, [...(groups.get(key) ?? []), statement]);
  }
  return [...groups.values()];
}

/**
 * `count` true texts of an image: what they claim differs as far as the labels allow. Empty without a label. `captioned`: how
 * often a caption is taken where the image has some.
 */
export function drawTexts(facts: ImageFacts, count: number, random: Random, captioned = 0): Statement[] {
  const groups = byClaims(statementsOf(facts));
  if (groups.length === 0) return [];
  const order = random.shuffle(groups);
  const { captions = [] } = facts;
  return Array.from({ length: count }, (_, i) => {
    if (captions.length > 0 && random.chance(captioned)) return random.choice(captions);
    if (facts.present.length > 1 && random.chance(TOGETHER)) return together(facts, random);
    return random.choice(order[i % order.length] as Statement[]);
  });
}

/** Every word that texts of these images may have: what a vocabulary is made from. */
export function* allTexts(images: Iterable<ImageFacts>): Generator<string> {
  for (const facts of images) {
    for (const { text } of [...statementsOf(facts), ...(facts.captions ?? [])]) yield text;
    yield `${facts.modality} showing , and`;
  }
}
