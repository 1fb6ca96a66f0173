// Refinement of the decoder's upscaled map: a few 3x3 convolutions at a quarter of the canvas, before the masks are read off it.
// The upscaling itself sees each place alone; here neighbours meet, the stem's map at that size tells where edges are, and what was
// drawn of the prompt (boxes, clicks, an earlier mask) where they are asked for, which grids of tokens tell only coarsely.
// Not in released models. It begins as the identity. Not here: upscaling and hypernetworks (mask-decoder.ts).
// Shapes: N prompts, c channels of the upscaled map, d of the stem's map, w of the convolutions, S side of the map.

import { nn, type Tensor } from '@maskrank/torch';

export type RefineConfig = {
  /** Convolutions, each normalised, GELU after it. */
  readonly depth: number;
  /** Their channels. */
  readonly channels: number;
};

/** What the refinement is given beside the upscaled map. */
export type RefineInputs = {
  readonly mapChannels: number;
  readonly edgeChannels: number;
  readonly drawn: boolean;
};

/** What is added to the map: zero at first. */
class Residual extends nn.Conv2d {
  override resetParameters(): void {}
}

export class Refine extends nn.Module {
  /** Brings the stem's map, the same for all prompts of an image, to the first convolution's output. */
  readonly edges: nn.Conv2d | null;
  /** Brings the drawn prompt there. */
  readonly prompt: nn.Conv2d | null;
  readonly layers: nn.Sequential;
  readonly out: nn.Conv2d;

  /** `mapChannels`: c; `edgeChannels`: d, 0 where the decoder has no high-resolution features; `drawn`: whether prompts are drawn. */
  constructor({ mapChannels, edgeChannels, drawn }: RefineInputs, { depth, channels }: RefineConfig) {
    super();
    this.prompt = drawn ? new nn.Conv2d(1, channels, 3, { padding: 1 }) : null;
    this.edges = edgeChannels > 0 ? new nn.Conv2d(edgeChannels, channels, 1) : null;
    this.layers = new nn.Sequential(
      ...Array.from({ length: depth }, (_, i) => [
        new nn.Conv2d(i === 0 ? mapChannels : channels, channels, 3, { padding: 1, bias: false }),
        new nn.LayerNorm2d(channels),
        new nn.GELU(),
      ]).flat(),
    );
    this.out = new Residual(channels, mapChannels, 1);
  }

  /** map [N, S, S, c], edges [N or 1, S, S, d], drawn [N, 1, S, S] -> [N, S, S, c] */
  forward(map: Tensor, edges: Tensor | null, drawn: Tensor | null): Tensor {
    const [first, ...rest] = this.layers.layers as [nn.Conv2d, ...nn.Layer[]];
    const seen = first.forward(map.permute([0, 3, 1, 2])); // [N, w, S, S]
    const beside = [
      edges === null ? undefined : this.edges?.forward(edges.permute([0, 3, 1, 2])),
      drawn === null ? undefined : this.prompt?.forward(drawn),
    ];
    const told = beside.reduce<Tensor>((x, more) => (more === undefined ? x : x.add(more)), seen);
    const last = rest.reduce((x, layer) => layer.forward(x), told);
    return map.add(this.out.forward(last).permute([0, 2, 3, 1]));
  }
}

/** x [N, 16 L, c], each place's pixels by (row, column) of both doublings -> image order [N, S, S, c]; L = side side, S = 4 side. */
export function inImageOrder(x: Tensor, side: number): Tensor {
  const [n, , c] = x.shape as [number, number, number];
  return x
    .view([n, side, side, 2, 2, 2, 2, c]) // row, column, then (row, column) of each doubling
    .permute([0, 1, 3, 5, 2, 4, 6, 7])
    .reshape([n, 4 * side, 4 * side, c]);
}
