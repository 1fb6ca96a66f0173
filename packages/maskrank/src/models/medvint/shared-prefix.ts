// Keys and values of tokens that several texts begin with: computed once, with gradients, and put before each text's own. For
// training, where many questions are asked about one image. Not here: token after token (key-value-cache.ts).
// Shapes: B prefixes, N texts, h heads, P tokens of a prefix, L of a text, d channels of a head.

import { cat, type Tensor } from '@maskrank/torch';
import type { KeysAndValues, TokenMemory } from './key-value-cache.ts';

/** Takes in the prefixes in one pass; then gives them out. */
export class SharedPrefix implements TokenMemory {
  readonly #layers: KeysAndValues[] = []; // [B, h, P, d]
  #length = 0;

  get length(): number {
    return this.#length;
  }

  requireRoom(): void {}

  extend(layer: number, keys: Tensor, values: Tensor): KeysAndValues {
    this.#layers[layer] = { keys, values };
    return { keys, values };
  }

  advance(tokens: number): void {
    this.#length += tokens;
  }

  /** For a pass over N texts, of which text i goes on after prefix `owner[i]`; owner [N] int64. */
  under(owner: Tensor): TokenMemory {
    return {
      length: this.#length,
      requireRoom: () => {},
      extend: (layer, keys, values) => {
        const before = this.#layers[layer] as KeysAndValues;
        return {
          keys: cat([before.keys.indexSelect(0, owner), keys], 2), // [N, h, P + L, d]
          values: cat([before.values.indexSelect(0, owner), values], 2),
        };
      },
      advance: () => {},
    };
  }
}
