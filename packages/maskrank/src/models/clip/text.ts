// Texts to features of a network: tokens as short as the texts allow (padding changes nothing), features of unit length.

import { fromTypedArray, noGrad, type Tensor, tidy } from '@maskrank/torch';
import { UsageError } from '@maskrank/torch/errors';
import type { Clip } from './clip.ts';
import type { Encoding, WordPiece } from './wordpiece.ts';

/** Token ids of texts as one tensor [T, L] (int64), L the longest of them. */
export function tokenIds(encodings: readonly Encoding[], device = 'cpu'): Tensor {
  const longest = Math.max(...encodings.map(({ length }) => length));
  const ids = new BigInt64Array(encodings.length * longest);
  for (const [i, encoding] of encodings.entries()) ids.set(encoding.ids.subarray(0, longest), i * longest);
  return fromTypedArray(ids, [encodings.length, longest], { device });
}

export type EmbeddedText = {
  /** Of unit length, E values. */
  readonly embedding: Float32Array<ArrayBuffer>;
  /** As the network gives it, before it was scaled to unit length. */
  readonly features: Float32Array<ArrayBuffer>;
  /** Word pieces that the network did not see because the text is too long. */
  readonly droppedPieces: number;
};

/** Features of every text. Texts are cut to the network's context. */
export function embedTexts(model: Clip, tokenizer: WordPiece, texts: readonly string[]): EmbeddedText[] {
  const { context, vocabulary } = model.config.text;
  if (tokenizer.size > vocabulary) {
    throw new UsageError(
      `embedTexts: the tokeniser has ${tokenizer.size} pieces; the network '${model.config.name}' knows ${vocabulary}. Take the vocabulary that it was trained with.`,
    );
  }
  const encodings = texts.map((text) => tokenizer.encode(text, context));
  return encodings.map((encoding) => {
    const features = noGrad(() =>
      tidy(() => model.encodeText(tokenIds([encoding], model.device)).toFloat32Array()),
    );
    const length = Math.hypot(...features);
    const embedding = features.map((value) => value / length);
    return { embedding, features, droppedPieces: encoding.dropped };
  });
}
