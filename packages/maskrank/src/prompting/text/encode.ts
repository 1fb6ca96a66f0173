// Texts to features, once for every text that later stages may ask for: cut to the network's context (join.ts), a few at a time
// through its text tower, to unit length, into the file (features.ts). Features that the file has are not made again.
// The last digits of a feature depend on which texts went through together, as with any matrix product.

import { createHash } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { noGrad, tidy } from '@maskrank/torch';
import { DataError, UsageError } from '@maskrank/torch/errors';
import { type Clip, tokenIds, type WordPiece } from '../../models/clip/index.ts';
import {
  checkTextFeatures,
  findTextFeatures,
  type TextFeatures,
  type TextFeaturesIdentity,
  writeTextFeatures,
} from './features.ts';
import { joinText, TEXT_BUDGET } from './join.ts';
import { wholeText } from './parts.ts';
import type { PromptText } from './types.ts';

/** Version of how a text becomes a feature; part of `encodingIdentity`. */
const RULE = 'maskrank text 1';

/** How texts become features. */
export type EncodeOptions = {
  /** Texts at a time. Default 16. */
  readonly batch?: number;
  /** Word pieces of a text at most. Default: the network's context, 256 at most. */
  readonly budget?: number;
  readonly signal?: AbortSignal;
  readonly progress?: (done: number, total: number) => void;
};

/** A text with its feature. */
export type EncodedText = {
  /** As `wholeText` gives it: what the feature is found by. */
  readonly text: string;
  /** Of unit length. */
  readonly feature: Float32Array<ArrayBuffer>;
  /** Word pieces that had no room. */
  readonly dropped: number;
};

const budgetOf = (model: Clip, budget?: number): number =>
  budget ?? Math.min(TEXT_BUDGET, model.config.text.context);

/** SHA-256 of everything but the network and the text that a feature depends on. */
export function encodingIdentity(model: Clip, tokenizer: WordPiece, budget?: number): string {
  const hash = createHash('sha256');
  hash.update(JSON.stringify([RULE, budgetOf(model, budget)]));
  for (const piece of tokenizer.vocabulary) hash.update(`\n${piece}`);
  return hash.digest('hex');
}

/** Features of texts, batch after batch, texts of similar length together. Between batches the event loop runs. */
export async function* encodeTexts(
  model: Clip,
  tokenizer: WordPiece,
  texts: readonly PromptText[],
  { batch = 16, budget, signal, progress }: EncodeOptions = {},
): AsyncGenerator<EncodedText[], void, void> {
  const { context, vocabulary } = model.config.text;
  const most = budgetOf(model, budget);
  if (!Number.isInteger(batch) || batch < 1)
    throw new UsageError(`encodeTexts: batch ${batch}; allowed: whole numbers from 1.`);
  if (most > context)
    throw new UsageError(
      `encodeTexts: a budget of ${most} word pieces; the network '${model.config.name}' reads ${context}.`,
    );
  if (tokenizer.size > vocabulary)
    throw new UsageError(
      `encodeTexts: the tokeniser has ${tokenizer.size} pieces; the network '${model.config.name}' knows ${vocabulary}. Take the vocabulary that it was trained with.`,
    );
  const distinct = new Map(texts.map((text) => [wholeText(text), text]));
  distinct.delete('');
  const queue = [...distinct]
    .map(([text, parts]) => {
      const joined = joinText(tokenizer, parts, most);
      return { text, dropped: joined.dropped, encoding: tokenizer.encode(joined.text, most) };
    })
    .sort((a, b) => a.encoding.length - b.encoding.length || (a.text < b.text ? -1 : 1));
  for (let start = 0; start < queue.length; start += batch) {
    signal?.throwIfAborted();
    const part = queue.slice(start, start + batch);
    const encodings = part.map(({ encoding }) => encoding);
    const rows = noGrad(() =>
      tidy(() => model.embedTexts(tokenIds(encodings, model.device)).toFloat32Array()),
    );
    const dim = rows.length / part.length;
    yield part.map(({ text, dropped }, i) => ({
      text,
      dropped,
      feature: checked(text, rows.slice(i * dim, (i + 1) * dim)),
    }));
    progress?.(start + part.length, queue.length);
    await turn();
  }
}

function checked(text: string, feature: Float32Array<ArrayBuffer>): Float32Array<ArrayBuffer> {
  if (feature.every(Number.isFinite)) return feature;
  throw new DataError(
    `encodeTexts: the feature of ${JSON.stringify(text.slice(0, 60))} holds values that are no numbers: the text network's weights are damaged.`,
  );
}

export type AddTextFeaturesOptions = EncodeOptions & {
  /** Newly made features after which the file is written, so that a stop loses no more. Default 256. */
  readonly writeEvery?: number;
};

/** What `addTextFeatures` did. */
export type AddedTexts = {
  readonly features: TextFeatures;
  readonly encoded: number;
  /** Features that the file had. */
  readonly reused: number;
  /** Newly encoded texts that were too long, and their word pieces that fell away. */
  readonly cut: { readonly texts: number; readonly pieces: number };
};

/**
 * Puts the features of texts into a file, beside those that are there.
 * @param model its `clipFingerprint` is given apart, since it takes a second to make
 */
export async function addTextFeatures(
  path: string,
  { model, fingerprint, tokenizer }: { model: Clip; fingerprint: string; tokenizer: WordPiece },
  texts: readonly PromptText[],
  { writeEvery = 256, ...options }: AddTextFeaturesOptions = {},
): Promise<AddedTexts> {
  const encoding = encodingIdentity(model, tokenizer, options.budget);
  const identity: TextFeaturesIdentity = { model: fingerprint, encoding };
  const old = await findTextFeatures(path);
  if (old !== undefined) checkTextFeatures(path, old, identity);
  const distinct = new Map(texts.map((text) => [wholeText(text), text]));
  distinct.delete('');
  const missing = [...distinct].flatMap(([whole, text]) => (old?.get(whole) === undefined ? [text] : []));
  let pending: EncodedText[] = [];
  const cut = { texts: 0, pieces: 0 };
  const flush = async () => {
    await writeTextFeatures(
      path,
      identity,
      pending.map(({ text, feature }) => [text, feature] as const),
    );
    pending = [];
  };
  for await (const batch of encodeTexts(model, tokenizer, missing, options)) {
    pending.push(...batch);
    for (const { dropped } of batch) {
      cut.texts += dropped > 0 ? 1 : 0;
      cut.pieces += dropped;
    }
    if (pending.length >= writeEvery) await flush();
  }
  if (pending.length > 0 || old === undefined) await flush();
  const features = (await findTextFeatures(path)) as TextFeatures;
  return { features, encoded: missing.length, reused: distinct.size - missing.length, cut };
}
