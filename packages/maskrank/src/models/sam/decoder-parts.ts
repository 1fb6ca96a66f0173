// What the mask decoders of pictures and of volumes do alike: tokens in, weights of each mask's dot product out, and doublings
// of the map, place by place. Not here: the order of the finished masks, which has two axes or three (mask-decoder.ts of each).
// Shapes: N prompts, T prompt tokens, M masks, C channels, k = 4 places of a doubling in a plane, 8 in a volume.

import { cat, type nn, type Tensor } from '@maskrank/torch';
import { type Mlp, rows } from './layers.ts';

/** The heads that answer: from, and up to without. */
export type Heads = { readonly from: number; readonly to: number };

/** `multimask`: the heads for ambiguous prompts (1 to 3); else the one for unambiguous ones (0). */
export const headsOf = (multimask: boolean, count: number): Heads =>
  multimask ? { from: 1, to: count } : { from: 0, to: 1 };

/** IoU token [1, C], mask tokens [M, C] and prompts [N, T, C] -> [N, 1 + M + T, C] */
export function joinTokens(iouToken: Tensor, maskTokens: Tensor, sparse: Tensor): Tensor {
  const output = cat([iouToken, maskTokens]); // [1 + M, C]
  const [count, channels] = output.shape as [number, number];
  return cat([output.unsqueeze(0).expand([sparse.size(0), count, channels]), sparse], 1);
}

/** Of every mask's dot product: [N, M, C / 8], for tokens as the transformer gives them back, [N, 1 + M + T, C]. */
export function dotProductWeights(networks: readonly Mlp[], told: Tensor, { from, to }: Heads): Tensor {
  const weights = networks
    .slice(from, to)
    .map((mlp, i) => mlp.forward(told.select(1, 1 + from + i)).unsqueeze(1)); // [N, 1, C / 8] each
  return cat(weights, 1);
}

/** A transposed convolution whose stride is its kernel, 2 along each axis, on places: [N, places, in] -> [N, places k, out]. */
export function doublePlaces(x: Tensor, conv: nn.ConvTranspose2d | nn.ConvTranspose3d): Tensor {
  const [inChannels, outChannels, ...kernel] = conv.weight.shape as [number, number, ...number[]];
  const k = kernel.reduce((product, side) => product * side, 1);
  const axes = kernel.map((_, i) => 2 + i);
  const weight = conv.weight.permute([...axes, 1, 0]).reshape([k * outChannels, inChannels]); // rows: (axes, out)
  const y = rows(x, weight, conv.bias === null ? null : conv.bias.repeat([k])); // [N, places, k out]
  return y.view([x.size(0), -1, outChannels]);
}
