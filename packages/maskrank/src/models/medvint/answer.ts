// Asks MedVInT-TD about an image. Open questions are answered in words, the likeliest token each time unless told otherwise;
// with choices, one pass tells which letter it would begin with.
// Where the original takes the likeliest of all pieces and looks for the most similar choice, only the letters of the choices
// compete here: the same where the likeliest piece is a letter, and never no answer.

import { keep, noGrad, tidy } from '@maskrank/torch';
import { DataError } from '@maskrank/torch/errors';
import type { Image } from '../../imaging/types.ts';
import { generate, idsTensor, lastLogits } from './generate.ts';
import type { Medvint } from './network.ts';
import { imageTensor } from './preprocess.ts';
import type { SamplingOptions } from './sampling.ts';
import { CHOICE_LETTERS, questionPrompt } from './template.ts';
import type { LlamaTokenizer } from './tokenizer/index.ts';

export type MedvintModel = { readonly network: Medvint; readonly tokenizer: LlamaTokenizer };

export type AnswerOptions = {
  /** What to choose from; without them the answer is free text. */
  readonly choices?: readonly string[] | null;
  /** Tokens of a free answer at most. Default 50, as the original. */
  readonly maxNewTokens?: number;
  /** How to draw the tokens of a free answer; null (default) takes the likeliest. */
  readonly sampling?: SamplingOptions | null;
  /** Ends the work between two tokens. */
  readonly signal?: AbortSignal;
};

export type MedvintAnswer = {
  /** The free answer, or the choice. */
  readonly text: string;
  /** `stopped`: the model ended; `length`: it was cut at `maxNewTokens`; `choice`: one of the choices. */
  readonly ended: 'stopped' | 'length' | 'choice';
  /** Of the free answer. */
  readonly ids: readonly number[];
  /** Position of the choice, and how probable each is against the others; null for a free answer. */
  readonly choice: { readonly index: number; readonly probabilities: readonly number[] } | null;
  /** What the model was told beside the image. */
  readonly prompt: string;
};

/** The model's answer to a question about an image. */
export async function answer(
  model: MedvintModel,
  image: Image,
  question: string,
  options: AnswerOptions = {},
): Promise<MedvintAnswer> {
  const { choices = null } = options;
  options.signal?.throwIfAborted();
  const prompt = questionPrompt(question, choices);
  return choices === null
    ? answerFreely(model, image, prompt, options)
    : choose(model, image, prompt, choices);
}

async function answerFreely(
  { network, tokenizer }: MedvintModel,
  image: Image,
  prompt: string,
  { maxNewTokens = 50, sampling = null, signal }: AnswerOptions,
): Promise<MedvintAnswer> {
  const embeddings = keep(noGrad(() => tidy(() => embed({ network, tokenizer }, image, prompt))));
  try {
    const ids: number[] = [];
    const tokens = generate(network.llamacasual, embeddings, {
      maxNewTokens,
      sampling,
      stopIds: network.config.stopIds,
      ...(signal && { signal }),
    });
    for (;;) {
      const { value, done } = await tokens.next();
      if (done) return { text: tokenizer.decode(ids).trim(), ended: value, ids, choice: null, prompt };
      ids.push(value);
    }
  } finally {
    embeddings.dispose();
  }
}

function embed({ network, tokenizer }: MedvintModel, image: Image, prompt: string) {
  return network.prompt(
    imageTensor(image, network),
    idsTensor(tokenizer.encode(prompt), network.place.device),
  );
}

function choose(
  model: MedvintModel,
  image: Image,
  prompt: string,
  choices: readonly string[],
): MedvintAnswer {
  const { network, tokenizer } = model;
  const letters = choices.map((_, i) => letterId(tokenizer, CHOICE_LETTERS[i] as string));
  const logits = noGrad(() =>
    tidy(() => {
      const llama = network.llamacasual;
      return lastLogits(llama, llama.features(embed(model, image, prompt)));
    }),
  );
  const largest = Math.max(...letters.map((id) => logits[id]!));
  const weights = letters.map((id) => Math.exp(logits[id]! - largest));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const index = weights.indexOf(Math.max(...weights));
  const probabilities = weights.map((weight) => weight / total);
  return { text: choices[index]!.trim(), ended: 'choice', ids: [], choice: { index, probabilities }, prompt };
}

/** The piece that an answer beginning with this letter begins with. */
function letterId(tokenizer: LlamaTokenizer, letter: string): number {
  const piece = `\u2581${letter}`;
  const id = tokenizer.idOf(piece);
  if (id === undefined)
    throw new DataError(
      `answer: the tokeniser has no piece '${piece}', which choices need: take LLaMA's own.`,
    );
  return id;
}
