// Where stage 2 takes embeddings from: the cache while the encoder stands still, the encoder itself when it learns too.

import { fromTypedArray, stack, type Tensor } from '@maskrank/torch';
import { DataError } from '@maskrank/torch/errors';
import type { Sam } from '../models/sam/index.ts';

/** Embeddings [B, E, g, g] of cases by id; the caller's scope owns them. */
export type EmbeddingSource = { readonly tensor: (caseIds: readonly string[], device: string) => Tensor };

/** Embeds anew at every call, with gradients where the mode says so. `inputs`: network input [3, S, S] by case id. */
export class LiveEmbeddings implements EmbeddingSource {
  readonly #sam: Sam;
  readonly #inputs: ReadonlyMap<string, Float32Array<ArrayBuffer>>;

  constructor(sam: Sam, inputs: ReadonlyMap<string, Float32Array<ArrayBuffer>>) {
    this.#sam = sam;
    this.#inputs = inputs;
  }

  tensor(caseIds: readonly string[], device: string): Tensor {
    const side = this.#sam.config.imageSize;
    const images = caseIds.map((id) => {
      const data = this.#inputs.get(id);
      if (data === undefined) throw new DataError(`case ${id}: its image was not loaded before use`);
      return fromTypedArray(data, [3, side, side], { share: true });
    });
    return this.#sam.embed(stack(images).to(device as 'cuda'));
  }
}
