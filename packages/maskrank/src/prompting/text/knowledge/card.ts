// A card: general knowledge of one class, in the order in which the text gives it. Textbook anatomy and radiology in adults, in
// words of this project; each card is short enough to stand behind an answer within 256 word pieces. For networks to read, not
// for diagnosis.

import type { Modality } from '../class-words.ts';

/** What is known of one class. */
export type Card = {
  /** Names it goes by, in the form of `plainName`; the first is its name in records. */
  readonly names: readonly string[];
  readonly location: string;
  readonly shape: string;
  readonly size: string;
  /** What the modality shows; left out of the text for modalities that are not here. */
  readonly appearance: Readonly<Partial<Record<Modality, string>>>;
  readonly variability: string;
};
