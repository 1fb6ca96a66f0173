// Token after token: the prompt goes through LLaMA once and into a cache, then each new token alone.
// Between tokens the event loop runs and a signal can end it. Not here: text (answer.ts).
// Shapes: L tokens of the prompt, D channels, V pieces of the vocabulary.

import { setImmediate as turn } from 'node:timers/promises';
import { fromTypedArray, noGrad, type Tensor, tidy } from '@maskrank/torch';
import { EngineError, UsageError } from '@maskrank/torch/errors';
import type { Llama } from './llama.ts';
import { likeliest, type SamplingOptions, sample } from './sampling.ts';

export type GenerateOptions = {
  /** Tokens at most. */
  readonly maxNewTokens: number;
  /** Ids that end the text; they are not given out. */
  readonly stopIds: readonly number[];
  /** How to draw; null takes the likeliest token each time. */
  readonly sampling?: SamplingOptions | null;
  readonly signal?: AbortSignal;
};

/**
 * The ids that follow a prompt, one by one; returns whether a stop id ended them (else there were `maxNewTokens`).
 * `prompt`: embeddings [1, L, D], which must live until the first id is there.
 */
export async function* generate(
  llama: Llama,
  prompt: Tensor,
  { maxNewTokens, stopIds, sampling = null, signal }: GenerateOptions,
): AsyncGenerator<number, 'stopped' | 'length', void> {
  const [batch, length] = prompt.shape as [number, number];
  if (batch !== 1) throw new UsageError(`generate: ${batch} prompts at once, allowed 1.`);
  if (!(Number.isInteger(maxNewTokens) && maxNewTokens > 0))
    throw new UsageError(`generate: maxNewTokens ${maxNewTokens}, allowed whole numbers from 1.`);
  const { maxPositions } = llama.config;
  const needed = length + maxNewTokens - 1; // the last one is not read again
  if (needed > maxPositions)
    throw new UsageError(
      `generate: a prompt of ${length} tokens and ${maxNewTokens} new ones; the model places ${maxPositions}.`,
    );
  const choose = (logits: Float32Array): number => {
    if (logits.some(Number.isNaN))
      throw new EngineError(
        `generate: the network gave logits that are no numbers; computing in ${prompt.dtype} may overflow: choose float32 or bfloat16.`,
      );
    return sampling === null ? likeliest(logits) : sample(logits, sampling);
  };
  const cache = llama.newCache(1, needed);
  const follow = (before: number | null): number =>
    noGrad(() =>
      tidy(() => {
        const input = before === null ? prompt : llama.embed(idsTensor([before], prompt.device));
        return choose(lastLogits(llama, llama.features(input, cache)));
      }),
    );
  try {
    let id: number | null = null;
    for (let count = 0; count < maxNewTokens; count++) {
      signal?.throwIfAborted();
      id = follow(id);
      if (stopIds.includes(id)) return 'stopped';
      yield id;
      await turn();
    }
    return 'length';
  } finally {
    cache.dispose();
  }
}

/** Ids as a tensor [1, L] for `embed`. */
export function idsTensor(ids: readonly number[], device: string): Tensor {
  return fromTypedArray(BigInt64Array.from(ids, BigInt), [1, ids.length], { device });
}

/** Features [1, L, D] -> the logits of what follows the last token, V numbers. */
export function lastLogits(llama: Llama, features: Tensor): Float32Array {
  return llama.logits(features.slice(1, -1)).toFloat32Array();
}
