// What a family of phantoms is: a named way to draw pictures with class masks, captions, questions and answers that
// are true by construction. Phantoms are drawn after anatomy and imaging physics, they are not patients' images.
// Not here: how a family draws, how cases become a folder (dataset.ts).

import type { Image, Mask } from '../../imaging/types.ts';
import type { Random } from '../../util/random.ts';
import type { DatasetClass } from '../schema.ts';

/** What a question asks about. */
export type QuestionKind = 'shape' | 'location' | 'side' | 'size' | 'condition';

export type PhantomQuestion = {
  readonly kind: QuestionKind;
  readonly classId: number;
  readonly question: string;
  readonly answer: string;
};

export type PhantomImage = {
  /** 8-bit grey; width and height may differ, the longer side is the `sizePx` asked for. */
  readonly image: Image;
  /** Class id -> mask of the image's size; only classes of which at least one pixel shows. */
  readonly masks: ReadonlyMap<number, Mask>;
  /** Several wordings of one description. */
  readonly captions: readonly string[];
  readonly questions: readonly PhantomQuestion[];
  /** Free facts: pathology, probe, view, … */
  readonly tags: Readonly<Record<string, string>>;
};

export type PhantomFamily = {
  /** One word, as on the command line. */
  readonly name: string;
  readonly modality: string;
  readonly classes: readonly DatasetClass[];
  /**
   * One picture whose longer side is `sizePx` pixels. Equal states of the streams and an equal size give equal bytes.
   * `patient` is the stream that all pictures of one patient share; it is passed in its initial state each time.
   */
  readonly draw: (patient: Random, picture: Random, sizePx: number) => PhantomImage;
};
