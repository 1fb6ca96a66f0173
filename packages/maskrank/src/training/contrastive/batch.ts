// Batches of images with texts that are true of them, 8-bit images changed at random. Where masks may be used, an image is seen in
// windows and through masks, and its texts are about what is still shown.
// Shapes: B images, K texts drawn for each, T texts, S input side.

import { type AugmentOptions, augment } from '../../imaging/augment.ts';
import { normaliseInto } from '../../imaging/normalise.ts';
import type { Image } from '../../imaging/types.ts';
import { CLIP_NORMALISATION } from '../../models/clip/index.ts';
import type { Random } from '../../util/random.ts';
import type { ClassMaps } from '../class-maps.ts';
import type { ImageFacts } from './facts.ts';
import {
  claimsOfWhole,
  claimsShown,
  classOf,
  drawTexts,
  factsShown,
  type Statement,
  truthOf,
  type ViewClaims,
} from './texts.ts';
import {
  coverOf,
  drawView,
  isWhole,
  maskPlanes,
  type PlaceCover,
  shownShares,
  type ViewOptions,
  WHOLE,
  windowOf,
} from './view.ts';

export type FactImage = {
  /** Square, the whole image stretched. */
  readonly image: Image;
  readonly facts: ImageFacts;
  /** May be mirrored: no class of its dataset is named by its side. */
  readonly hasNoSides: boolean;
  /** Where its classes are, if its masks may be used: then it is seen in windows and through masks. */
  readonly maps?: ClassMaps;
};

export type PairBatch = {
  /** [B, 3, S, S], normalised. */
  readonly planes: Float32Array<ArrayBuffer>;
  /** At most B K, none twice. */
  readonly texts: readonly string[];
  /** [B, texts], rows first: 1 where the text is true of the image, 0 where it is not, 0.5 where neither. */
  readonly truth: Float32Array<ArrayBuffer>;
  /** [B places, texts], the same of single places and texts about a class; null without maps, or if not asked for. */
  readonly places: Float32Array<ArrayBuffer> | null;
};

export type PairBatchOptions = ViewOptions & {
  /** Places along a side of the network's map, if single places are to be judged; else null. */
  readonly grid: number | null;
  readonly textsPerImage: number;
  /** Part of the texts that are captions, where there are some. */
  readonly captions: number;
  /** Largest part of an image that is hidden, 0..1. */
  readonly hidden: number;
  /** Part of the images that are changed at all. */
  readonly changed: number;
  readonly augmentation: AugmentOptions;
};

/** Cells along a side; coarse ones hide whole organs. */
const CELLS = [4, 8] as const;

/**
 * Hides random cells of normalised planes [3, side, side] by the mean colour (Singh & Lee 2017, Hide-and-Seek): each with a
 * probability that is itself drawn between 0 and `most`.
 */
function hideCells(planes: Float32Array, side: number, most: number, random: Random): void {
  const cells = random.choice(CELLS);
  const probability = random.uniform(0, most);
  const edge = (i: number): number => Math.round((i * side) / cells);
  for (let row = 0; row < cells; row++) {
    for (let column = 0; column < cells; column++) {
      if (!random.chance(probability)) continue;
      for (let y = edge(row); y < edge(row + 1); y++) {
        for (let c = 0; c < 3; c++) {
          const at = (c * side + y) * side;
          planes.fill(0, at + edge(column), at + edge(column + 1));
        }
      }
    }
  }
}

/** An image as it goes into a batch. */
type Seen = {
  readonly facts: ImageFacts;
  readonly claims: ViewClaims;
  readonly cover: (PlaceCover & { readonly classes: readonly string[] }) | null;
};

/** A batch of these images, `side` px large; every random choice comes from `random`. */
export function makePairBatch(
  chosen: readonly FactImage[],
  options: PairBatchOptions,
  side: number,
  random: Random,
): PairBatch {
  const size = 3 * side * side;
  const planes = new Float32Array(chosen.length * size);
  const statements = new Map<string, readonly string[]>();
  const seen: Seen[] = [];
  for (const [i, image] of chosen.entries()) {
    const stream = random.fork(`image ${i}`);
    const data = planes.subarray(i * size, (i + 1) * size);
    const one = (image.maps === undefined ? paintWhole : paintView)(image, data, side, options, stream);
    for (const { text, claims } of drawTexts(
      one.facts,
      options.textsPerImage,
      stream.fork('texts'),
      options.captions,
    ))
      statements.set(text, claims);
    seen.push(one);
  }
  const drawn = [...statements].map(([text, claims]) => ({ text, claims }));
  const truth = Float32Array.from(
    seen.flatMap(({ claims }) => drawn.map((statement) => truthOf(statement, claims))),
  );
  const { grid } = options;
  return {
    planes,
    texts: drawn.map(({ text }) => text),
    truth,
    places: grid === null || seen.every(({ cover }) => cover === null) ? null : placeTruth(seen, drawn, grid),
  };
}

/** The whole image, moved and changed; its labels stay true. */
function paintWhole(
  { image, facts, hasNoSides }: FactImage,
  data: Float32Array,
  side: number,
  { hidden, changed, augmentation }: PairBatchOptions,
  stream: Random,
): Seen {
  // Captions tell sides.
  const mayMirror = hasNoSides && facts.captions === undefined;
  const allowed = mayMirror ? augmentation : { ...augmentation, flipHorizontal: 0 };
  const fitting = image.width === side && image.height === side ? image : windowOf(image, WHOLE, side);
  const seen = stream.chance(changed)
    ? augment({ image: fitting, masks: [] }, stream, allowed).image
    : fitting;
  normaliseInto({ data, width: side, height: side, x0: 0, y0: 0 }, seen, CLIP_NORMALISATION);
  hideCells(data, side, hidden, stream.fork('hidden'));
  return { facts, claims: claimsOfWhole(facts), cover: null };
}

/** A view of an image with maps; its labels are what the view still shows. */
function paintView(
  { image, facts, hasNoSides, maps }: FactImage,
  data: Float32Array,
  side: number,
  { changed, augmentation, grid, ...options }: PairBatchOptions,
  stream: Random,
): Seen {
  const known = maps as ClassMaps;
  const view = drawView(stream.fork('view'), options, hasNoSides && augmentation.flipHorizontal > 0);
  const window = windowOf(image, view, side);
  const toned = stream.chance(changed)
    ? augment({ image: window, masks: [] }, stream, { ...augmentation, ...UNMOVED }).image
    : window;
  normaliseInto({ data, width: side, height: side, x0: 0, y0: 0 }, toned, CLIP_NORMALISATION);
  maskPlanes(data, side, view);
  const places = grid === null ? null : { ...coverOf(known, view, grid), classes: known.classes };
  if (isWhole(view)) return { facts, claims: claimsOfWhole(facts), cover: places };
  const shares = new Map(
    Array.from(shownShares(known, view), (share, k) => [known.classes[k] as string, share]),
  );
  return {
    facts: factsShown(facts, shares),
    claims: claimsShown(facts, shares),
    cover: places,
  };
}

/** A view moves the image itself. */
const UNMOVED = {
  flipHorizontal: 0,
  flipVertical: 0,
  rotation: { probability: 0, maxDegrees: 0 },
  scale: { probability: 0, range: [1, 1] },
  translation: { probability: 0, maxFraction: 0 },
  elastic: { probability: 0, sdFraction: 0, nodes: 2 },
} as const satisfies Partial<AugmentOptions>;

/** Which share of a place a class must cover to be what is there, at most and at least; small organs fill no place. */
const COVERED = { most: 0.5, least: 0.12, ofLargest: 0.8, none: 0.06 } as const;
/** Places of which less is seen show nothing. */
const LEAST_SEEN = 0.5;

/** Truth of texts about a class at single places: [B places, T]. Texts about more than a class are true of no place, nor false. */
function placeTruth(
  seen: readonly Seen[],
  statements: readonly Statement[],
  grid: number,
): Float32Array<ArrayBuffer> {
  const places = grid * grid;
  const names = statements.map(classOf);
  const truth = new Float32Array(seen.length * places * names.length).fill(0.5);
  for (const [i, { cover: known }] of seen.entries()) {
    if (known === null) continue;
    const { cover, seen: isSeen, classes } = known;
    for (const [j, name] of names.entries()) {
      if (name === undefined) continue;
      const k = classes.indexOf(name);
      const of = (place: number): number => (k < 0 ? 0 : (cover[place * classes.length + k] as number));
      let largest = 0;
      for (let place = 0; place < places; place++) largest = Math.max(largest, of(place));
      const limit = Math.min(COVERED.most, Math.max(COVERED.least, COVERED.ofLargest * largest));
      for (let place = 0; place < places; place++) {
        const at = (i * places + place) * names.length + j;
        if (of(place) >= limit && (isSeen[place] as number) >= LEAST_SEEN) truth[at] = 1;
        else if (of(place) <= COVERED.none) truth[at] = 0;
      }
    }
  }
  return truth;
}
