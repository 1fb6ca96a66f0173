// Mask decoder of SAM-Med3D: SAM's two-way transformer on the tokens of a volume, two doublings, and a dot product for each mask.
// The upscaling convolutions have stride = kernel, so each place is upscaled for itself: they are matrix products on places, and
// only the finished masks are put into the volume's order. Not here: enlarging masks to the volume (sam3d.ts).
// Shapes: N prompts, T prompt tokens, M masks, C channels, G grid side, L = G G G places.

import { nn, type Tensor } from '@maskrank/torch';
import { dotProductWeights, doublePlaces, headsOf, joinTokens } from '../sam/decoder-parts.ts';
import { Mlp } from '../sam/layers.ts';
import { TwoWayTransformer } from '../sam/two-way-transformer.ts';
import type { Sam3dConfig } from './config.ts';
import { LayerNorm3d, NORM_EPS } from './layers.ts';

export type VolumeDecoderInput = {
  /** [N, C, G, G, G], or [1, C, G, G, G] for N prompts of one volume. */
  readonly embeddings: Tensor;
  /** [1, C, G, G, G] */
  readonly positions: Tensor;
  /** [N, T, C] */
  readonly sparse: Tensor;
  /** [N, C, G, G, G] */
  readonly dense: Tensor;
};

export type VolumeDecoderOutput = {
  /** Logits of the masks at four places a token's side: [N, M, 4 G, 4 G, 4 G]. */
  readonly masks: Tensor;
  /** Predicted IoU of each mask: [N, M]. */
  readonly iou: Tensor;
};

export class VolumeMaskDecoder extends nn.Module {
  readonly transformer: TwoWayTransformer;
  readonly iou_token: nn.Embedding;
  readonly mask_tokens: nn.Embedding;
  readonly output_upscaling: nn.Sequential;
  readonly output_hypernetworks_mlps: readonly Mlp[];
  readonly iou_prediction_head: Mlp;

  constructor({ embedDim, decoder }: Pick<Sam3dConfig, 'embedDim' | 'decoder'>) {
    super();
    const count = decoder.multimaskOutputs + 1;
    this.transformer = new TwoWayTransformer(embedDim, decoder);
    this.iou_token = new nn.Embedding(1, embedDim);
    this.mask_tokens = new nn.Embedding(count, embedDim);
    this.output_upscaling = new nn.Sequential(
      new nn.ConvTranspose3d(embedDim, embedDim / 4, 2, { stride: 2 }),
      new LayerNorm3d(embedDim / 4),
      new nn.GELU(),
      new nn.ConvTranspose3d(embedDim / 4, embedDim / 8, 2, { stride: 2 }),
      new nn.GELU(),
    );
    this.output_hypernetworks_mlps = Array.from(
      { length: count },
      () => new Mlp(embedDim, embedDim, embedDim / 8, 3),
    );
    this.iou_prediction_head = new Mlp(embedDim, decoder.iouHeadDim, count, decoder.iouHeadDepth);
  }

  /** `multimask`: the heads for ambiguous prompts (1 to 3); else the one for unambiguous ones (0). */
  forward(
    { embeddings, positions, sparse, dense }: VolumeDecoderInput,
    multimask: boolean,
  ): VolumeDecoderOutput {
    const n = sparse.size(0);
    const tokens = joinTokens(this.iou_token.weight, this.mask_tokens.weight, sparse);
    const places = embeddings.add(dense).flatten(2).transpose(1, 2); // [N, L, C]
    const pe = positions.flatten(2).transpose(1, 2); // [1, L, C]
    const { tokens: told, image } = this.transformer.forward(places, pe, tokens);
    const heads = headsOf(multimask, this.mask_tokens.weight.size(0));
    const weights = dotProductWeights(this.output_hypernetworks_mlps, told, heads); // [N, M, C / 8]
    const g = embeddings.size(2);
    const masks = weights
      .bmm(this.#upscale(image).transpose(1, 2)) // [N, M, L 64]
      .view([n, heads.to - heads.from, g, g, g, 2, 2, 2, 2, 2, 2]) // place, then within each doubling
      .permute([0, 1, 2, 5, 8, 3, 6, 9, 4, 7, 10])
      .reshape([n, heads.to - heads.from, 4 * g, 4 * g, 4 * g]);
    const iou = this.iou_prediction_head.forward(told.select(1, 0)).slice(1, heads.from, heads.to); // [N, M]
    return { masks, iou };
  }

  /** [N, L, C] -> [N, L 64, C / 8]; the 64 are (d, h, w) of the first doubling, then of the second. */
  #upscale(image: Tensor): Tensor {
    const [first, norm, , second] = this.output_upscaling.layers as unknown as readonly [
      nn.ConvTranspose3d,
      LayerNorm3d,
      unknown,
      nn.ConvTranspose3d,
    ];
    const once = doublePlaces(image, first); // [N, L 8, C / 4]
    const normal = nn.F.layerNorm(once, [once.size(-1)], norm.weight, norm.bias, NORM_EPS).gelu();
    return doublePlaces(normal, second).gelu();
  }
}
