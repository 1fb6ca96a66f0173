// Keys and values of tokens that a causal transformer has already seen, so that a further token costs one pass of one token.
// Room is made once. Inference only: the cache is written in place and carries no gradients.
// Shapes: B batch, h heads, L new tokens, T capacity, d channels of a head.

import { keep, noGrad, type Tensor, zeros } from '@maskrank/torch';
import { UsageError } from '@maskrank/torch/errors';

export type CacheShape = {
  readonly batch: number;
  readonly layers: number;
  readonly heads: number;
  /** Channels of a head. */
  readonly headDim: number;
  /** Tokens that fit. */
  readonly capacity: number;
};

/** Keys and values, [B, h, tokens, d] each. */
export type KeysAndValues = { readonly keys: Tensor; readonly values: Tensor };

/** What a pass over the layers remembers tokens by. */
export interface TokenMemory {
  /** Tokens seen before the current pass. */
  readonly length: number;
  /** Refuses what does not fit; to be asked before a pass. */
  requireRoom(tokens: number): void;
  /** Takes the new tokens' keys and values [B, h, L, d] of one layer; gives those of all tokens so far. */
  extend(layer: number, keys: Tensor, values: Tensor): KeysAndValues;
  /** Counts the tokens of a pass whose layers have all been extended. */
  advance(tokens: number): void;
}

export class KeyValueCache implements TokenMemory {
  readonly capacity: number;
  readonly #layers: readonly KeysAndValues[]; // T tokens each
  #length = 0;

  constructor(shape: CacheShape, like: Pick<Tensor, 'dtype' | 'device'>) {
    const { batch, layers, heads, headDim, capacity } = shape;
    const room = () =>
      keep(zeros([batch, heads, capacity, headDim], { dtype: like.dtype, device: like.device }));
    this.capacity = capacity;
    this.#layers = Array.from({ length: layers }, () => ({ keys: room(), values: room() }));
  }

  get length(): number {
    return this.#length;
  }

  requireRoom(tokens: number): void {
    if (this.#length + tokens <= this.capacity) return;
    throw new UsageError(
      `KeyValueCache: ${tokens} tokens more than the ${this.#length} it holds, allowed ${this.capacity} together.`,
    );
  }

  extend(layer: number, keys: Tensor, values: Tensor): KeysAndValues {
    const room = this.#layers[layer] as KeysAndValues;
    const [start, end] = [this.#length, this.#length + keys.size(2)];
    const put = (all: Tensor, fresh: Tensor): Tensor => {
      noGrad(() => all.slice(2, start, end).copy_(fresh));
      return all.slice(2, 0, end);
    };
    return { keys: put(room.keys, keys), values: put(room.values, values) };
  }

  advance(tokens: number): void {
    this.#length += tokens;
  }

  dispose(): void {
    for (const { keys, values } of this.#layers) {
      keys.dispose();
      values.dispose();
    }
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
