// Batches of images with some of their questions and the tokens of the answers. Images are kept at the network's input size, 8
// bits; their grey values are changed at random, and they are mirrored where no class is named by its side. They are not moved
// otherwise, which would make some answers wrong. Shapes: B images, N texts of a group, L tokens of its longest, P places, S
// input side.

import { type AugmentOptions, augment } from '../../imaging/augment.ts';
import { NORMALISATIONS, normaliseInto } from '../../imaging/normalise.ts';
import type { Image } from '../../imaging/types.ts';
import { type LlamaTokenizer, questionPrompt } from '../../models/medvint/index.ts';
import type { Random } from '../../util/random.ts';
import { type PlacedClasses, type PlacesTruth, placesTruth } from './places.ts';
import { type AskedQuestion, mirrorAnswer } from './questions.ts';

export type AskedImage = {
  /** S x S, the whole image stretched. */
  readonly image: Image;
  /** At least one. */
  readonly questions: readonly AskedQuestion[];
  /** May be mirrored: no class of its dataset is named by its side. */
  readonly hasNoSides: boolean;
  /** Where its masks say the classes are, where masks may be used. */
  readonly placed?: PlacedClasses;
};

/** Texts of about one length as `Medvint.logitsAt` takes them, as plain arrays, and what should follow at each place. */
export type TextGroup = {
  /** [N]: number of the image. */
  readonly owner: BigInt64Array<ArrayBuffer>;
  /** [N, L]. */
  readonly ids: BigInt64Array<ArrayBuffer>;
  readonly length: number;
  /** [P]: text * L + token. */
  readonly places: BigInt64Array<ArrayBuffer>;
  /** [P]. */
  readonly targets: BigInt64Array<ArrayBuffer>;
  /** Which of the questions asked each place belongs to, [P]. */
  readonly questions: readonly number[];
};

export type VqaBatch = {
  /** [B, 3, S, S], normalised. */
  readonly planes: Float32Array<ArrayBuffer>;
  readonly groups: readonly TextGroup[];
  /** Questions of all groups. */
  readonly asked: number;
  /** What places learn, where masks are used. */
  readonly places: PlacesTruth | null;
};

export type VqaBatchOptions = {
  readonly questionsPerImage: number;
  /** Classes of all datasets together, whose places learn beside the answers; 0: none do. */
  readonly placedClasses: number;
  /** Part of the images that are changed at all. */
  readonly changed: number;
  /** Chance of mirroring, where it is allowed. */
  readonly mirrored: number;
  /** Of grey values only. */
  readonly augmentation: AugmentOptions;
};

/** Ids of questions in their prompt and of answers with their end; the same few texts come again and again. */
export class TextIds {
  readonly #tokenizer: LlamaTokenizer;
  readonly #endId: number;
  readonly #prompts = new Map<string, readonly number[]>();
  readonly #answers = new Map<string, readonly number[]>();

  /** `endId` follows every answer. */
  constructor(tokenizer: LlamaTokenizer, endId: number) {
    this.#tokenizer = tokenizer;
    this.#endId = endId;
  }

  prompt(question: string): readonly number[] {
    return remembered(this.#prompts, question, () => this.#tokenizer.encode(questionPrompt(question)));
  }

  /** The answer as it goes on after the prompt: a space, the words, the end. */
  answer(answer: string): readonly number[] {
    return remembered(this.#answers, answer, () => [
      ...this.#tokenizer.encode(answer, { bos: false }),
      this.#endId,
    ]);
  }
}

function remembered(
  memory: Map<string, readonly number[]>,
  key: string,
  make: () => readonly number[],
): readonly number[] {
  const known = memory.get(key) ?? make();
  memory.set(key, known);
  return known;
}

type OwnedQuestion = { readonly owner: number; readonly question: string; readonly answer: string };

/** Groups of texts: few, as each is a pass of its own; several, as all texts of one are filled up to its longest. */
const GROUPS = 4;

/** Prompts with their answers, in groups of about one length; logits are wanted where a token of the answer follows. */
export function textGroups(asked: readonly OwnedQuestion[], texts: TextIds): TextGroup[] {
  const rows = asked.map(({ owner, question, answer }, number) => {
    const [prompt, said] = [texts.prompt(question), texts.answer(answer)];
    return { owner, number, prompt, said, ids: [...prompt, ...said.slice(0, -1)] };
  });
  rows.sort((a, b) => a.ids.length - b.ids.length);
  const size = Math.ceil(rows.length / GROUPS);
  return Array.from({ length: Math.ceil(rows.length / size) }, (_, g) =>
    textGroup(rows.slice(g * size, (g + 1) * size)),
  );
}

type Row = {
  readonly owner: number;
  readonly number: number;
  readonly prompt: readonly number[];
  readonly said: readonly number[];
  readonly ids: readonly number[];
};

function textGroup(rows: readonly Row[]): TextGroup {
  const length = Math.max(...rows.map(({ ids }) => ids.length));
  const ids = new BigInt64Array(rows.length * length);
  const placed = rows.flatMap(({ number, prompt, said, ids: own }, text) => {
    ids.set(own.map(BigInt), text * length);
    return said.map((target, i) => ({ number, target, place: text * length + prompt.length - 1 + i }));
  });
  return {
    owner: BigInt64Array.from(rows, ({ owner }) => BigInt(owner)),
    ids,
    length,
    places: BigInt64Array.from(placed, ({ place }) => BigInt(place)),
    targets: BigInt64Array.from(placed, ({ target }) => BigInt(target)),
    questions: placed.map(({ number }) => number),
  };
}

/** A batch of these images; every random choice comes from `random`. */
export function makeVqaBatch(
  chosen: readonly AskedImage[],
  texts: TextIds,
  { questionsPerImage, placedClasses, changed, mirrored, augmentation }: VqaBatchOptions,
  random: Random,
): VqaBatch {
  const asked: OwnedQuestion[] = [];
  const seen: { readonly placed: PlacedClasses; readonly isMirrored: boolean }[] = [];
  const images = chosen.map(({ image, questions, hasNoSides, placed }, owner) => {
    const stream = random.fork(`image ${owner}`);
    const isMirrored = hasNoSides && stream.chance(mirrored);
    for (const { question, answer } of stream.shuffle(questions).slice(0, questionsPerImage))
      asked.push({ owner, question, answer: isMirrored ? mirrorAnswer(answer) : answer });
    if (placed) seen.push({ placed, isMirrored });
    const turned = isMirrored ? mirror(image) : image;
    return stream.chance(changed)
      ? augment({ image: turned, masks: [] }, stream, augmentation).image
      : turned;
  });
  return {
    planes: planesOf(images),
    groups: textGroups(asked, texts),
    asked: asked.length,
    places: placedClasses > 0 ? placesTruth(seen, placedClasses) : null,
  };
}

/** Images of one size as the network takes them. */
export function planesOf(images: readonly Image[]): Float32Array<ArrayBuffer> {
  const side = images[0]?.width ?? 0;
  const size = 3 * side * side;
  const planes = new Float32Array(images.length * size);
  for (const [i, image] of images.entries()) {
    const data = planes.subarray(i * size, (i + 1) * size);
    normaliseInto({ data, width: side, height: side, x0: 0, y0: 0 }, image, NORMALISATIONS.sam);
  }
  return planes;
}

function mirror(image: Image): Image {
  const { width, height, channels } = image;
  const data = new Uint8Array(image.data.length);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < channels; c++)
        data[(y * width + x) * channels + c] = image.data[(y * width + width - 1 - x) * channels + c]!;
  return { ...image, data };
}
