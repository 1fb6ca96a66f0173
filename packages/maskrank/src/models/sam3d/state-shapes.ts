// Names and shapes of a SAM-Med3D's state dict from its configuration alone: no engine, no memory. Kept equal to the modules by a
// test.

import { mlp, twoWay } from '../sam/state-shapes.ts';
import { type Entry, linear, norm, type Shape, times, under } from '../state-entries.ts';
import { gridSide, type Sam3dConfig } from './config.ts';

const conv = (name: string, from: number, to: number, side: number): Entry => [
  `${name}.weight`,
  [to, from, side, side, side],
];

const biasedConv = (name: string, from: number, to: number, side: number): Entry[] => [
  conv(name, from, to, side),
  [`${name}.bias`, [to]],
];

function block(config: Sam3dConfig, i: number): Entry[] {
  const { dim, heads, mlpRatio, windowSize, globalBlocks, ...e } = config.encoder;
  const side = globalBlocks.includes(i) ? gridSide(config) : windowSize;
  const hidden = Math.floor(dim * mlpRatio);
  const qkv = linear('attn.qkv', dim, 3 * dim);
  const axes = e.relativePositions ? ['d', 'h', 'w'] : [];
  return [
    ...norm('norm1', dim),
    ...(e.qkvBias ? qkv : qkv.slice(0, 1)),
    ...linear('attn.proj', dim, dim),
    ...axes.map((axis): Entry => [`attn.rel_pos_${axis}`, [2 * side - 1, dim / heads]]),
    ...norm('norm2', dim),
    ...linear('mlp.lin1', dim, hidden),
    ...linear('mlp.lin2', hidden, dim),
  ];
}

function imageEncoder(config: Sam3dConfig): Entry[] {
  const { embedDim, encoder, inChannels, patchSize } = config;
  const grid = gridSide(config);
  return [
    ...biasedConv('patch_embed.proj', inChannels, encoder.dim, patchSize),
    ...(encoder.absolutePositions ? [['pos_embed', [1, grid, grid, grid, encoder.dim]] as Entry] : []),
    ...times(encoder.depth, 'blocks', (i) => block(config, i)),
    conv('neck.0', encoder.dim, embedDim, 1),
    ...norm('neck.1', embedDim),
    conv('neck.2', embedDim, embedDim, 3),
    ...norm('neck.3', embedDim),
  ];
}

function promptEncoder({ embedDim, maskInChannels }: Sam3dConfig): Entry[] {
  const one: Shape = [1, embedDim];
  const few = maskInChannels / 4;
  return [
    ['pe_layer.positional_encoding_gaussian_matrix', [3, embedDim / 3]],
    ...times(2, 'point_embeddings', () => [['weight', one]]),
    ['not_a_point_embed.weight', one],
    ...biasedConv('mask_downscaling.0', 1, few, 2),
    ...norm('mask_downscaling.1', few),
    ...biasedConv('mask_downscaling.3', few, maskInChannels, 2),
    ...norm('mask_downscaling.4', maskInChannels),
    ...biasedConv('mask_downscaling.6', maskInChannels, embedDim, 1),
    ['no_mask_embed.weight', one],
  ];
}

/** A transposed convolution that doubles the map. */
const doubling = (name: string, from: number, to: number): Entry[] => [
  [`${name}.weight`, [from, to, 2, 2, 2]],
  [`${name}.bias`, [to]],
];

function maskDecoder({ embedDim: dim, decoder }: Sam3dConfig): Entry[] {
  const count = decoder.multimaskOutputs + 1;
  const hidden = new Array<number>(decoder.iouHeadDepth - 1).fill(decoder.iouHeadDim);
  return [
    ...under('transformer', twoWay(dim, decoder)),
    ['iou_token.weight', [1, dim]],
    ['mask_tokens.weight', [count, dim]],
    ...doubling('output_upscaling.0', dim, dim / 4),
    ...norm('output_upscaling.1', dim / 4),
    ...doubling('output_upscaling.3', dim / 4, dim / 8),
    ...times(count, 'output_hypernetworks_mlps', () => mlp([dim, dim, dim, dim / 8])),
    ...under('iou_prediction_head', mlp([dim, ...hidden, count])),
  ];
}

/** Shape by name of every parameter and buffer that a state dict of this network holds. */
export function sam3dStateShapes(config: Sam3dConfig): ReadonlyMap<string, Shape> {
  return new Map([
    ...under('image_encoder', imageEncoder(config)),
    ...under('prompt_encoder', promptEncoder(config)),
    ...under('mask_decoder', maskDecoder(config)),
  ]);
}
