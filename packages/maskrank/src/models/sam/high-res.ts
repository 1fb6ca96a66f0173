// High-resolution features beside the image embedding, as SAM 2 has them (Ravi 2024, "high-res features"): the stem's maps at a
// quarter and at half of a token's side join the decoder's two upscaling steps, so that a contour need not be read off tokens
// alone. They travel packed behind the embedding's channels, a place's pixels as channels, in the order in which the decoder
// upscales: whoever keeps or moves an embedding need not know. Not here: the features (stem.ts), their use (mask-decoder.ts).
// Shapes: B images, E channels of the embedding, G grid side, L = G G places.

import { cat, type Tensor } from '@maskrank/torch';
import type { SamConfig } from './config.ts';

/** Maps of the stem: `half` [B, c, 2 G, 2 G] and `quarter` [B, c', 4 G, 4 G]. */
export type HighRes = { readonly half: Tensor; readonly quarter: Tensor };

/** Channels of both maps. */
export function highResChannels({ encoder }: Pick<SamConfig, 'encoder'>): { half: number; quarter: number } {
  return { half: encoder.dim / 2, quarter: encoder.dim / 4 };
}

/** Channels of what the image encoder gives: the embedding's, and those of the packed maps where the model has them. */
export function embeddingChannels(config: Pick<SamConfig, 'embedDim' | 'encoder' | 'highRes'>): number {
  const { half, quarter } = highResChannels(config);
  return config.embedDim + (config.highRes ? 4 * half + 16 * quarter : 0);
}

/** embedding [B, E, G, G] with both maps behind it: [B, E + 4 c + 16 c', G, G]. */
export function packHighRes(embedding: Tensor, { half, quarter }: HighRes): Tensor {
  const [b, , g] = embedding.shape as [number, number, number];
  const [, c] = half.shape as [number, number];
  const [, d] = quarter.shape as [number, number];
  const halves = half
    .reshape([b, c, g, 2, g, 2])
    .permute([0, 3, 5, 1, 2, 4]) // [B, row, column, c, G, G]
    .reshape([b, 4 * c, g, g]);
  const quarters = quarter
    .reshape([b, d, g, 2, 2, g, 2, 2])
    .permute([0, 3, 6, 4, 7, 1, 2, 5]) // [B, row, column of the first doubling, of the second, c', G, G]
    .reshape([b, 16 * d, g, g]);
  return cat([embedding, halves, quarters], 1);
}

/** Undoes `packHighRes` for the decoder: the embedding [B, E, G, G], and the maps by place, half [B, 4 L, c], quarter [B, 16 L, c']. */
export function unpackHighRes(
  packed: Tensor,
  embedDim: number,
  { half: c, quarter: d }: { readonly half: number; readonly quarter: number },
): { embedding: Tensor } & HighRes {
  const [b, channels, g] = packed.shape as [number, number, number];
  const byPlace = (from: number, to: number, width: number): Tensor =>
    packed
      .slice(1, from, to)
      .flatten(2)
      .transpose(1, 2) // [B, L, parts c]
      .reshape([b, g * g * ((to - from) / width), width]);
  const middle = embedDim + 4 * c;
  return {
    embedding: packed.slice(1, 0, embedDim),
    half: byPlace(embedDim, middle, c),
    quarter: byPlace(middle, channels, d),
  };
}
