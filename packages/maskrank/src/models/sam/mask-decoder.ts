// Mask decoder of SAM (Kirillov 2023, fig. 14): output tokens and prompt tokens meet the image embedding in a two-way
// transformer; each mask token gives, through a small network, the weights of a dot product with the upscaled image, which small
// networks refine by convolutions first (refine.ts).
// The upscaling convolutions have stride = kernel, so each place is upscaled for itself: they are done as matrix products on
// places, and only the finished masks are put into image order. Holds no image state. Not here: resizing masks (postprocess.ts).
// Shapes: N prompts, T prompt tokens, M masks, C channels, G grid side, L = G G places.

import { type Generator, nn, op, type Tensor } from '@maskrank/torch';
import type { SamConfig } from './config.ts';
import { dotProductWeights, doublePlaces, headsOf, joinTokens } from './decoder-parts.ts';
import { type HighRes, highResChannels, unpackHighRes } from './high-res.ts';
import { Mlp, rows } from './layers.ts';
import { inImageOrder, Refine, type RefineInputs } from './refine.ts';
import { TwoWayTransformer } from './two-way-transformer.ts';

/** Of SAM's LayerNorm2d. */
const NORM_EPS = 1e-6;
const bernoulliInPlace = op('aten::bernoulli_.float');
const emptyLike = op('aten::new_empty');

export type DecoderInput = {
  /** [N, C, G, G], or [1, C, G, G] for N prompts of one image; with high-resolution features packed behind where the model has them. */
  readonly imageEmbeddings: Tensor;
  /** [1, C, G, G] */
  readonly imagePe: Tensor;
  /** [N, T, C] */
  readonly sparse: Tensor;
  /** [N, C, G, G] */
  readonly dense: Tensor;
  /** What was drawn of the prompts, [N, 1, 4 G, 4 G], for models that refine by it; null: nothing. */
  readonly drawn?: Tensor | null;
};

export type DecoderOutput = {
  /** Logits of the masks at a quarter of the canvas: [N, M, 4 G, 4 G]. */
  readonly masks: Tensor;
  /** Predicted IoU of each mask: [N, M]. */
  readonly iou: Tensor;
};

export class MaskDecoder extends nn.Module {
  readonly transformer: TwoWayTransformer;
  readonly iou_token: nn.Embedding;
  readonly mask_tokens: nn.Embedding;
  readonly output_upscaling: nn.Sequential;
  readonly output_hypernetworks_mlps: readonly Mlp[];
  readonly iou_prediction_head: Mlp;
  /** Projections of the high-resolution features, at a quarter (s0) and at half (s1) of a token's side; SAM 2's names. */
  readonly conv_s0: nn.Conv2d | null;
  readonly conv_s1: nn.Conv2d | null;
  readonly refine: Refine | null;
  readonly #fine: { readonly half: number; readonly quarter: number };

  /**
   * Probability with which whole channels are dropped before each of the two upscaling convolutions, and before the
   * refinement, for each prompt anew; 0 is off. It has no parameters and does not follow train() or eval(): it is on when set, for training and for proposals.
   */
  dropoutP = 0;
  /** Stream for the dropped channels; null: the engine's own. */
  dropoutGenerator: Generator | null = null;

  constructor(config: Pick<SamConfig, 'embedDim' | 'decoder' | 'encoder' | 'highRes' | 'boxMaps'>) {
    super();
    const { embedDim, decoder, highRes } = config;
    this.#fine = highResChannels(config);
    const count = decoder.multimaskOutputs + 1;
    this.transformer = new TwoWayTransformer(embedDim, decoder);
    this.iou_token = new nn.Embedding(1, embedDim);
    this.mask_tokens = new nn.Embedding(count, embedDim);
    this.output_upscaling = new nn.Sequential(
      new nn.ConvTranspose2d(embedDim, embedDim / 4, 2, { stride: 2 }),
      new nn.LayerNorm2d(embedDim / 4),
      new nn.GELU(),
      new nn.ConvTranspose2d(embedDim / 4, embedDim / 8, 2, { stride: 2 }),
      new nn.GELU(),
    );
    this.output_hypernetworks_mlps = Array.from(
      { length: count },
      () => new Mlp(embedDim, embedDim, embedDim / 8, 3),
    );
    this.iou_prediction_head = new Mlp(embedDim, decoder.iouHeadDim, count, decoder.iouHeadDepth);
    this.conv_s0 = highRes ? new nn.Conv2d(this.#fine.quarter, embedDim / 8, 1) : null;
    this.conv_s1 = highRes ? new nn.Conv2d(this.#fine.half, embedDim / 4, 1) : null;
    this.refine = decoder.refine === null ? null : new Refine(refineInputs(config), decoder.refine);
  }

  /** `multimask`: the heads for ambiguous prompts (1 to 3); else the one for unambiguous ones (0). */
  forward(
    { imageEmbeddings, imagePe, sparse, dense, drawn = null }: DecoderInput,
    multimask: boolean,
  ): DecoderOutput {
    const tokens = joinTokens(this.iou_token.weight, this.mask_tokens.weight, sparse);
    const fine =
      this.conv_s0 === null
        ? null
        : unpackHighRes(imageEmbeddings, this.mask_tokens.weight.size(1), this.#fine);
    const places = (fine?.embedding ?? imageEmbeddings).add(dense).flatten(2).transpose(1, 2); // [N, L, C]
    const pe = imagePe.flatten(2).transpose(1, 2); // [1, L, C]
    const { tokens: told, image } = this.transformer.forward(places, pe, tokens);
    const heads = headsOf(multimask, this.mask_tokens.weight.size(0));
    const masks = this.#masks(
      dotProductWeights(this.output_hypernetworks_mlps, told, heads),
      this.#upscale(image, fine),
      {
        quarter: fine?.quarter ?? null,
        drawn,
        side: imageEmbeddings.size(2),
      },
    );
    const iou = this.iou_prediction_head.forward(told.select(1, 0)).slice(1, heads.from, heads.to); // [N, M]
    return { masks, iou };
  }

  /** weights [N, M, C / 8], upscaled [N, L 16, C / 8], quarter [N or 1, L 16, c'], drawn [N, 1, 4 G, 4 G] -> [N, M, 4 G, 4 G] */
  #masks(
    weights: Tensor,
    upscaled: Tensor,
    { quarter, drawn, side }: { quarter: Tensor | null; drawn: Tensor | null; side: number },
  ): Tensor {
    const [n, count] = weights.shape as [number, number];
    const size = [n, count, 4 * side, 4 * side];
    if (this.refine !== null) {
      const edges = quarter === null ? null : inImageOrder(quarter, side);
      const map = this.#dropChannels(inImageOrder(upscaled, side));
      const refined = this.refine.forward(map, edges, drawn);
      return weights.bmm(refined.flatten(1, 2).transpose(1, 2)).view(size);
    }
    const logits = weights.bmm(upscaled.transpose(1, 2)); // [N, M, L 16]
    return logits
      .view([n, count, side, side, 2, 2, 2, 2]) // row, column, then (row, column) within each doubling
      .permute([0, 1, 2, 4, 6, 3, 5, 7])
      .reshape(size);
  }

  /** image [N, L, C], fine by place -> [N, L 16, C / 8]; the 16 are (row, column) of the first doubling, then of the second. */
  #upscale(image: Tensor, fine: HighRes | null): Tensor {
    const [first, norm, , second] = this.output_upscaling.layers as unknown as readonly [
      nn.ConvTranspose2d,
      nn.LayerNorm2d,
      unknown,
      nn.ConvTranspose2d,
    ];
    const once = joined(doublePlaces(this.#dropChannels(image), first), fine?.half, this.conv_s1); // [N, L 4, C / 4]
    const normal = nn.F.layerNorm(once, [once.size(-1)], norm.weight, norm.bias, NORM_EPS).gelu();
    return joined(doublePlaces(this.#dropChannels(normal), second), fine?.quarter, this.conv_s0).gelu();
  }

  /** x [N, places, channels] or [N, S, S, channels] without the channels that chance picks, the rest scaled up. */
  #dropChannels(x: Tensor): Tensor {
    const keepP = 1 - this.dropoutP;
    if (keepP === 1) return x;
    const kept = bernoulliInPlace(
      emptyLike(x, [x.size(0), ...new Array<number>(x.ndim - 2).fill(1), x.size(-1)]),
      keepP,
      this.dropoutGenerator,
    );
    return x.mul(kept.div(keepP));
  }
}

/** What the refinement of a decoder is given. */
export const refineInputs = (
  config: Pick<SamConfig, 'embedDim' | 'encoder' | 'highRes' | 'boxMaps'>,
): RefineInputs => ({
  mapChannels: config.embedDim / 8,
  edgeChannels: config.highRes ? highResChannels(config).quarter : 0,
  drawn: config.boxMaps,
});

/** x [N, places, out] with the projection of finer features [N or 1, places, in] added; x itself where there are none. */
function joined(x: Tensor, features: Tensor | undefined, conv: nn.Conv2d | null): Tensor {
  if (features === undefined || conv === null) return x;
  return x.add(rows(features, conv.weight.flatten(1), conv.bias));
}
