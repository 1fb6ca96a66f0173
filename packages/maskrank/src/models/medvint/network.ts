// MedVInT-TD (Zhang 2023): PMC-CLIP's features of an image become soft tokens, which stand before a question in LLaMA's input.
// The tree spells the released keys, but for wrappers that other libraries put around LLaMA (released-names.ts).
// Not here: preparing the image (preprocess.ts), the words around the question (template.ts), choosing tokens (generate.ts).
// Shapes: B batch, S side of the image in px, C feature channels, Q soft tokens, L text tokens, D channels of a token.

import { cat, type Generator, nn, type Tensor } from '@maskrank/torch';
import { checkMedvintConfig, featureDim, type MedvintConfig } from './config.ts';
import { Llama } from './llama.ts';
import { sinePositions } from './positions.ts';
import { QueryDecoder } from './query-decoder.ts';
import { SharedPrefix } from './shared-prefix.ts';
import type { WeightStorage } from './stored-weights.ts';
import { createVisionModel } from './vision.ts';

export class Medvint extends nn.Module {
  readonly vision_model: nn.Sequential;
  readonly query_embed: nn.Embedding; // [Q, C]
  readonly decoder: QueryDecoder;
  readonly fc_l1: nn.Linear;
  readonly fc_l2: nn.Linear;
  readonly llamacasual: Llama;
  readonly config: MedvintConfig;
  readonly storage: WeightStorage;

  /** Holds zeros until it is loaded or initialised. `storage` is how LLaMA's large matrices are kept. */
  constructor(config: MedvintConfig, storage: WeightStorage = 'float32') {
    super();
    checkMedvintConfig(config);
    const dim = featureDim(config);
    this.config = config;
    this.storage = storage;
    this.vision_model = createVisionModel(config.vision);
    this.query_embed = new nn.Embedding(config.decoder.queries, dim);
    this.decoder = new QueryDecoder(dim, config.decoder);
    this.fc_l1 = new nn.Linear(dim, dim);
    this.fc_l2 = new nn.Linear(dim, config.llama.dim);
    this.llamacasual = new Llama(config.llama, storage);
    this.eval();
  }

  /** Device and element type in which it computes. */
  get place(): { readonly device: string; readonly dtype: Tensor['dtype'] } {
    const { device, dtype } = this.fc_l1.weight;
    return { device, dtype };
  }

  /** Converts everything but LLaMA's large matrices, and with it what is computed. */
  computeIn(dtype: Tensor['dtype']): this {
    const { vision_model, query_embed, decoder, fc_l1, fc_l2, llamacasual } = this;
    for (const part of [vision_model, query_embed, decoder, fc_l1, fc_l2]) part.to(dtype);
    for (const [, part] of llamacasual.namedModules()) if (part instanceof nn.RMSNorm) part.to(dtype);
    return this;
  }

  /** Image [B, 3, S, S], normalised -> [B, C, S / 16, S / 16] */
  visionFeatures(image: Tensor): Tensor {
    if (this.config.decoder.positions === 'none') return this.vision_model.forward(image);
    const { layers } = this.vision_model;
    const before = layers.slice(0, -1).reduce((x, layer) => layer.forward(x), image);
    // Told before the last stage, places and what is there meet in its layers: what queries see when they look everywhere, as
    // they do at first, then says already what lies where.
    return (layers.at(-1) as nn.Layer).forward(withPlaces(before));
  }

  /** What the queries have seen in the features: [B, Q, C] */
  queryFeatures(features: Tensor): Tensor {
    const value = features.flatten(2).transpose(1, 2); // [B, H W, C]
    const key =
      this.config.decoder.positions === 'none'
        ? value
        : withPlaces(features, KEY_PLACES).flatten(2).transpose(1, 2);
    const queries = this.query_embed.weight.unsqueeze(0).expand([features.size(0), -1, -1]);
    return this.decoder.forward(queries, { key, value });
  }

  /** Features [B, C, S / 16, S / 16] -> the tokens that stand for their image, [B, Q, D] */
  tokensOf(features: Tensor): Tensor {
    return this.fc_l2.forward(this.fc_l1.forward(this.queryFeatures(features)).relu());
  }

  /** Image [B, 3, S, S] -> the tokens that stand for it, [B, Q, D] */
  softTokens(image: Tensor): Tensor {
    return this.tokensOf(this.visionFeatures(image));
  }

  /** LLaMA's input: the image first, even before the marker of the beginning. Ids [B, L] int64 -> [B, Q + L, D] */
  prompt(image: Tensor, ids: Tensor): Tensor {
    return cat([this.softTokens(image), this.llamacasual.embed(ids)], 1);
  }

  /** Logits of the token that follows each of the prompt's, [B, Q + L, V] */
  forward(image: Tensor, ids: Tensor): Tensor {
    return this.llamacasual.logits(this.llamacasual.features(this.prompt(image, ids)));
  }

  /**
   * For training: several texts about each of B images, which were looked at once (`soft` [B, Q, D]); texts of about one length
   * come together. Gives the logits of the tokens that follow at the places, [P, V], group after group; gradients reach every
   * parameter.
   */
  logitsAt(soft: Tensor, groups: readonly OwnedTexts[]): Tensor {
    const { llamacasual: llama, config } = this;
    const prefix = new SharedPrefix();
    llama.features(soft, prefix);
    const features = groups.map(({ owner, ids, places }) =>
      llama
        .features(llama.embed(ids), prefix.under(owner)) // [N, L, D]
        .reshape([-1, config.llama.dim])
        .indexSelect(0, places),
    );
    return llama.logits(cat(features, 0));
  }
}

/** N texts of L tokens, each about one image of a batch. */
export type OwnedTexts = {
  /** Number of the image, [N] int64. */
  readonly owner: Tensor;
  /** [N, L] int64; shorter texts are filled up at the end with anything. */
  readonly ids: Tensor;
  /** Where logits are wanted, as `text * L + token`: [P] int64. */
  readonly places: Tensor;
};

/** Places in keys, so that queries can tell a place from its neighbours in spite of what is there. */
const KEY_PLACES = 8;

/** Features [B, C, H, W] with the sines of their places added, so many times. */
function withPlaces(features: Tensor, times = 1): Tensor {
  const [, channels, height, width] = features.shape as [number, number, number, number];
  return features.add(sinePositions(height, width, channels, features), times);
}

/** A fresh network: it answers nonsense. For tests, and for its shape. */
export function createMedvint(
  config: MedvintConfig,
  generator: Generator,
  storage: WeightStorage = 'float32',
): Medvint {
  return nn.initialise(new Medvint(config, storage), generator);
}
