// Prompt encoder of SAM (Kirillov 2023): points and boxes become tokens, a mask becomes a map added to the image embedding.
// Added for this project: tokens from text features, several boxes a mask, and batches in which not every sample has the same
// prompts. Not here: moving prompts onto the model's canvas (imaging/geometry.ts), gathering them into tensors (prompts.ts).
// Shapes: N prompts (masks asked for), P points, K boxes, T text tokens, C channels, G grid side, S canvas side in px.

import { cat, type Generator, nn, randn, stack, type Tensor, zeros } from '@maskrank/torch';
import { UsageError } from '@maskrank/torch/errors';
import { boxMap } from './box-map.ts';
import { clickMap } from './click-map.ts';
import { gridSize, type SamConfig } from './config.ts';

/** Prompts of N masks, all of one image or each of its own; every field has the same N. */
export type PromptTensors = {
  readonly points?: {
    /** [N, P, 2] float: x, y in canvas pixels. */
    readonly coords: Tensor;
    /** [N, P] int64: 1 foreground, 0 background, -1 no point (padding). */
    readonly labels: Tensor;
  };
  /** [N, 4] or [N, K, 4] float: x0, y0, x1, y1 in canvas pixels. */
  readonly boxes?: Tensor;
  /** [N, K] float, 1 where the box exists; corners of absent boxes become padding points. Absent: all exist. */
  readonly boxPresent?: Tensor;
  /** [N, 1, S/4, S/4] float: what the configuration's `maskPrompt` says. */
  readonly masks?: Tensor;
  /** [N, T, textDim] float: text features. */
  readonly text?: Tensor;
  /** [N, T] float, 1 where the text exists; absent ones become padding points. Absent: all exist. */
  readonly textPresent?: Tensor;
};

/** Gaussian random Fourier features of places (Tancik 2020). */
class PositionEmbeddingRandom extends nn.Module {
  readonly positional_encoding_gaussian_matrix: nn.Buffer; // [2, C / 2]

  constructor(features: number) {
    super();
    this.positional_encoding_gaussian_matrix = new nn.Buffer(zeros([2, features]));
  }
  override resetParameters(generator: Generator): void {
    const drawn = randn(this.positional_encoding_gaussian_matrix.shape, { generator });
    this.positional_encoding_gaussian_matrix.copy_(drawn);
    drawn.dispose();
  }
  /** Places (x, y) in 0..1 [..., 2] -> [..., C] */
  forward(places: Tensor): Tensor {
    const [fromX, fromY] = this.positional_encoding_gaussian_matrix.unbind(0) as [Tensor, Tensor]; // [C / 2] each
    const [x, y] = places.mul(2).sub(1).unsqueeze(-1).unbind(-2) as [Tensor, Tensor]; // [..., 1] each
    // Not a matrix product: autocast would round angles of many turns to 8 bits.
    const angles = x
      .mul(fromX)
      .add(y.mul(fromY))
      .mul(2 * Math.PI);
    return cat([angles.sin(), angles.cos()], -1);
  }
}

/** Text feature to token. Zero at first, so a text token starts as a padding point, which released models know. */
class TextProjection extends nn.Linear {
  override resetParameters(): void {}
}

export type PromptEncoderConfig = Pick<
  SamConfig,
  'imageSize' | 'patchSize' | 'embedDim' | 'maskInChannels' | 'boxMaps' | 'clickMaps' | 'textDim'
>;

export class PromptEncoder extends nn.Module {
  readonly pe_layer: PositionEmbeddingRandom;
  /** Background, foreground, upper left corner, lower right corner. */
  readonly point_embeddings: readonly nn.Embedding[];
  readonly not_a_point_embed: nn.Embedding;
  readonly mask_downscaling: nn.Sequential;
  readonly no_mask_embed: nn.Embedding;
  readonly text_proj: TextProjection | null;
  readonly #config: PromptEncoderConfig;

  constructor(config: PromptEncoderConfig) {
    super();
    const { embedDim, maskInChannels, textDim } = config;
    this.#config = config;
    this.pe_layer = new PositionEmbeddingRandom(embedDim / 2);
    this.point_embeddings = Array.from({ length: 4 }, () => new nn.Embedding(1, embedDim));
    this.not_a_point_embed = new nn.Embedding(1, embedDim);
    this.mask_downscaling = new nn.Sequential(
      new nn.Conv2d(1, maskInChannels / 4, 2, { stride: 2 }),
      new nn.LayerNorm2d(maskInChannels / 4),
      new nn.GELU(),
      new nn.Conv2d(maskInChannels / 4, maskInChannels, 2, { stride: 2 }),
      new nn.LayerNorm2d(maskInChannels),
      new nn.GELU(),
      new nn.Conv2d(maskInChannels, embedDim, 1),
    );
    this.no_mask_embed = new nn.Embedding(1, embedDim);
    this.text_proj = textDim > 0 ? new TextProjection(textDim, embedDim) : null;
  }

  /**
   * Sparse tokens [N, tokens, C] (points, box corners, text; none: 0 tokens), the dense map [N, C, G, G], and what it was made of:
   * mask, boxes and clicks as the configuration draws them [N, 1, 4 G, 4 G], null where there is nothing.
   */
  forward(prompts: PromptTensors): { sparse: Tensor; dense: Tensor; drawn: Tensor | null } {
    const { points, boxes, masks, text } = prompts;
    const n = (points?.coords ?? boxes ?? masks ?? text)?.size(0) ?? 1;
    const tokens: Tensor[] = [];
    if (points !== undefined) {
      tokens.push(this.#points(points.coords, points.labels));
      // The reference appends one padding point when points come without a box.
      if (boxes === undefined) tokens.push(this.#padding(n, 1));
    }
    if (boxes !== undefined) tokens.push(this.#boxes(boxes, prompts.boxPresent));
    if (text !== undefined) tokens.push(this.#text(text, prompts.textPresent));
    const { weight } = this.no_mask_embed;
    const sparse =
      tokens.length > 0
        ? cat(tokens, 1)
        : zeros([n, 0, weight.size(1)], { dtype: weight.dtype, device: weight.device });
    return { sparse, ...this.#dense(prompts, n) };
  }

  /** Encoding of the grid's places, [1, C, G, G]. */
  densePositions(): Tensor {
    const side = gridSize(this.#config);
    const { dtype, device } = this.no_mask_embed.weight;
    const axis = zeros([side], { dtype, device }).add(1).cumsum(0).sub(0.5).div(side); // [G]: centres in 0..1
    const x = axis.unsqueeze(0).expand([side, side]);
    const y = axis.unsqueeze(1).expand([side, side]);
    return this.pe_layer
      .forward(stack([x, y], -1))
      .permute([2, 0, 1])
      .unsqueeze(0);
  }

  /** Places [N, P, 2] in canvas pixels -> [N, P, C]; a coordinate means the pixel's upper left corner, its centre is meant. */
  #places(coords: Tensor): Tensor {
    return this.pe_layer.forward(coords.add(0.5).div(this.#config.imageSize));
  }

  #points(coords: Tensor, labels: Tensor): Tensor {
    const [background, foreground] = this.point_embeddings as [nn.Embedding, nn.Embedding];
    const kinds = cat([this.not_a_point_embed.weight, background.weight, foreground.weight]); // [3, C]
    const placed = labels.ne(-1).to(coords.dtype).unsqueeze(-1); // [N, P, 1]
    return this.#places(coords)
      .mul(placed)
      .add(nn.F.embedding(kinds, labels.add(1))); // [N, P, C]
  }

  #boxes(boxes: Tensor, present: Tensor | undefined): Tensor {
    const [, , upper, lower] = this.point_embeddings as readonly [
      unknown,
      unknown,
      nn.Embedding,
      nn.Embedding,
    ];
    const n = boxes.size(0);
    const corners = this.#places(boxes.reshape([n, -1, 2])); // [N, 2 K, C]
    const [, count, c] = corners.shape as [number, number, number];
    const kinds = cat([upper.weight, lower.weight]); // [2, C]
    const tokens = corners.view([n, count / 2, 2, c]).add(kinds); // [N, K, 2, C]
    if (present === undefined) return tokens.view([n, count, c]);
    const mixed = this.#orPadding(tokens, present.unsqueeze(-1).unsqueeze(-1));
    return mixed.reshape([n, count, c]);
  }

  #text(text: Tensor, present: Tensor | undefined): Tensor {
    if (this.text_proj === null)
      throw new UsageError(
        'PromptEncoder: text was given, but this model has no text branch (textDim 0); build it with one, or leave the text out.',
      );
    const projected = this.text_proj.forward(text); // [N, T, C]
    const update = present === undefined ? projected : projected.mul(present.unsqueeze(-1));
    return update.add(this.not_a_point_embed.weight);
  }

  /** `tokens` where `present` is 1, the padding point where it is 0. */
  #orPadding(tokens: Tensor, present: Tensor): Tensor {
    return tokens.mul(present).add(this.not_a_point_embed.weight.mul(present.rsub(1)));
  }

  #padding(n: number, count: number): Tensor {
    const { weight } = this.not_a_point_embed;
    return weight.unsqueeze(0).expand([n, count, weight.size(1)]);
  }

  /** The mask, else the boxes drawn, and the clicks drawn over either, if the configuration wants that; else the embedding of no mask. */
  #dense(
    { masks, boxes, boxPresent, points }: PromptTensors,
    n: number,
  ): { dense: Tensor; drawn: Tensor | null } {
    const { boxMaps, clickMaps, embedDim, imageSize } = this.#config;
    const side = gridSize(this.#config);
    const cells = 4 * side;
    const size = { cells, cell: imageSize / cells };
    const clicks =
      clickMaps && points !== undefined ? clickMap(points.coords, points.labels, size) : undefined;
    if (masks !== undefined) {
      const told = clicks === undefined ? masks : masks.add(clicks);
      return { dense: this.mask_downscaling.forward(told), drawn: told };
    }
    const none = this.no_mask_embed.weight.view([1, -1, 1, 1]).expand([n, embedDim, side, side]);
    const filled =
      boxMaps && boxes !== undefined ? boxMap(boxes.view([n, -1, 4]), boxPresent, size) : undefined;
    const map = filled === undefined ? clicks : clicks === undefined ? filled : filled.add(clicks);
    if (map === undefined) return { dense: none, drawn: null };
    const seen = this.mask_downscaling.forward(map); // [N, C, G, G]
    if (filled !== undefined && boxPresent === undefined) return { dense: seen, drawn: map };
    // Prompts of which nothing is drawn have no mask.
    const some = map.abs().amax([1, 2, 3], true).gt(0).to(map.dtype); // [N, 1, 1, 1]
    return { dense: seen.mul(some).add(none.mul(some.rsub(1))), drawn: map };
  }
}
