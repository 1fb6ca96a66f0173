// Batches of images with texts that are true of them. Images are kept at the network's input size, 8 bits, and changed at random.
// Shapes: B images, K texts drawn for each, S input side.

import { type AugmentOptions, augment } from '../../imaging/augment.ts';
import { normaliseInto } from '../../imaging/normalise.ts';
import type { Image } from '../../imaging/types.ts';
import { CLIP_NORMALISATION } from '../../models/clip/index.ts';
import type { Random } from '../../util/random.ts';
import type { ImageFacts } from './facts.ts';
import { claimsOf, drawTexts, isTrueOf } from './texts.ts';

export type FactImage = {
  /** S x S, the whole image stretched. */
  readonly image: Image;
  readonly facts: ImageFacts;
  /** May be mirrored: no class of its dataset is named by its side. */
  readonly hasNoSides: boolean;
};

export type PairBatch = {
  /** [B, 3, S, S], normalised. */
  readonly planes: Float32Array<ArrayBuffer>;
  /** At most B K, none twice. */
  readonly texts: readonly string[];
  /** [B, texts], rows first: 1 where the text is true of the image. */
  readonly truth: Float32Array<ArrayBuffer>;
};

export type PairBatchOptions = {
  readonly textsPerImage: number;
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

/** A batch of these images; every random choice comes from `random`. */
export function makePairBatch(
  chosen: readonly FactImage[],
  { textsPerImage, hidden, changed, augmentation }: PairBatchOptions,
  random: Random,
): PairBatch {
  const side = chosen[0]?.image.width ?? 0;
  const size = 3 * side * side;
  const planes = new Float32Array(chosen.length * size);
  const statements = new Map<string, readonly string[]>();
  for (const [i, { image, facts, hasNoSides }] of chosen.entries()) {
    const stream = random.fork(`image ${i}`);
    const allowed = hasNoSides ? augmentation : { ...augmentation, flipHorizontal: 0 };
    const seen = stream.chance(changed) ? augment({ image, masks: [] }, stream, allowed).image : image;
    const data = planes.subarray(i * size, (i + 1) * size);
    normaliseInto({ data, width: side, height: side, x0: 0, y0: 0 }, seen, CLIP_NORMALISATION);
    hideCells(data, side, hidden, stream.fork('hidden'));
    for (const { text, claims } of drawTexts(facts, textsPerImage, stream.fork('texts')))
      statements.set(text, claims);
  }
  const drawn = [...statements].map(([text, claims]) => ({ text, claims }));
  const truth = Float32Array.from(
    chosen.flatMap(({ facts }) => {
      const known = claimsOf(facts);
      return drawn.map((statement) => (isTrueOf(statement, known) ? 1 : 0));
    }),
  );
  return { planes, texts: drawn.map(({ text }) => text), truth };
}
