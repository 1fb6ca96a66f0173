// What `maskrank predict` asks for masks of new images: a prompted model by its checkpoint (predict-prompted.ts) or a baseline of a run
// (baselines/predictor.ts); and what a person gives with the images. Not here: files (predict.ts, predict-volume.ts).

import { UsageError } from '@maskrank/torch/errors';
import type { SlicePlace } from '../datasets/schema.ts';
import type { Box, Image, Mask } from '../imaging/types.ts';
import { NO_PROMPT, type Prompt } from '../prompting/prompt.ts';
import { type PromptLine, promptKey, promptOfLine } from '../prompting/prompt-store.ts';
import type { TextPart } from '../prompting/text/types.ts';
import type { PromptKind } from '../run/config/inputs.ts';

/** An image that no dataset has: a picture, or a slice of a volume. */
export type NewImage = {
  /** Name of the file without extension, `NAME_s012` for slice 12 of a volume. */
  readonly name: string;
  readonly path: string;
  readonly load: () => Promise<Image>;
  /** For slices. */
  readonly volume?: SlicePlace;
};

/** A class's mask in one of the images. */
export type FoundMask = {
  /** Place of the image among those that were asked for. */
  readonly place: number;
  readonly class: number;
  readonly mask: Mask;
  /** The model's own estimate of the IoU, 0..1; null of a network that makes none. */
  readonly predictedIou: number | null;
  /** Where the prompt came from, as evaluations have it. */
  readonly prompt: string;
  /** Whether the model was given a text beside it. */
  readonly text: boolean;
};

export type Predictor = {
  readonly classes: readonly { readonly id: number; readonly name: string }[];
  /** Texts that it takes beside prompts. */
  readonly texts: readonly TextPart[];
  /** Masks of images that belong together, one picture or all slices of a volume from the feet; the classes of an image in order. */
  readonly masksOf: (images: readonly NewImage[]) => AsyncIterable<FoundMask>;
  /** Frees the network. */
  readonly close: () => void;
};

/** Prompts that a person gives with new images. */
export type GivenPrompts = {
  /** Lines of a prompts.jsonl by `promptKey`, whose `case` is the name of an image; null: no file. */
  readonly lines: ReadonlyMap<string, PromptLine> | null;
  /** In pixels of the image, for every image and class that no file tells of. */
  readonly boxes: readonly Box[];
};

export const isGiven = ({ lines, boxes }: GivenPrompts): boolean => lines !== null || boxes.length > 0;

/** The prompt of a class in an image, empty where the model is to prompt itself; undefined where a file has no line: the class is not there. */
export function givenPrompt(
  { lines, boxes }: GivenPrompts,
  name: string,
  classId: number,
): Prompt | undefined {
  if (lines === null)
    return boxes.length > 0 ? { boxes, points: [], source: 'file' } : { ...NO_PROMPT, source: 'self' };
  const line = lines.get(promptKey({ case: name, class: classId }));
  return line && promptOfLine(line);
}

/** Refuses what a prompted model cannot use, and several classes that nothing tells apart. */
export function checkGiven(
  given: GivenPrompts,
  { kinds, classes }: { readonly kinds: readonly PromptKind[]; readonly classes: Predictor['classes'] },
): void {
  if (given.boxes.length > 0 && !kinds.includes('box'))
    throw new UsageError(
      `predict: a box was given, but the prompts in use are ${kinds.join(',') || 'none'}; add box to --prompts to give it all the same`,
    );
  if (!isGiven(given) && classes.length > 1)
    throw new UsageError(
      `predict: the model knows ${classes.length} classes, and without prompts it cannot tell them apart; give --prompts-file FILE with a line for each image and class`,
    );
}
