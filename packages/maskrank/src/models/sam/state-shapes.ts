// Names and shapes of a SAM's state dict from its configuration alone: no engine, no memory. A file can be compared with a model
// of 640 million numbers before anything is built. Kept equal to the modules by a test.

import { convolutionStemEntries } from '../convolution-stem.ts';
import { conv, type Entry, linear, norm, type Shape, times, under } from '../state-entries.ts';
import { type DecoderConfig, gridSize, type SamConfig } from './config.ts';
import { highResChannels } from './high-res.ts';
import { refineInputs } from './mask-decoder.ts';
import type { RefineConfig, RefineInputs } from './refine.ts';

const biasedConv = (name: string, from: number, to: number, side: number): Entry[] => [
  ...conv(name, from, to, side),
  [`${name}.bias`, [to]],
];

const stem = ({ patchSize, inChannels, encoder: { stem: kind, stemDepth, dim } }: SamConfig): Entry[] =>
  kind === 'patch'
    ? biasedConv('proj', inChannels, dim, patchSize)
    : convolutionStemEntries({ patchSize, inChannels, dim, stemDepth });

function block(config: SamConfig, i: number): Entry[] {
  const { dim, heads, mlpRatio, windowSize, globalBlocks, ...e } = config.encoder;
  const side = globalBlocks.includes(i) ? gridSize(config) : windowSize;
  const table: readonly number[] = [2 * side - 1, dim / heads];
  const hidden = Math.floor(dim * mlpRatio);
  const squeezed = Math.floor(dim / 4);
  const qkv = linear('attn.qkv', dim, 3 * dim);
  return [
    ...norm('norm1', dim),
    ...(e.qkvBias ? qkv : qkv.slice(0, 1)),
    ...linear('attn.proj', dim, dim),
    ...(e.relativePositions ? ['h', 'w'].map((axis): Entry => [`attn.rel_pos_${axis}`, table]) : []),
    ...(e.loraRank > 0 ? ['q', 'v'].flatMap((part) => lora(`attn.lora.${part}`, dim, e.loraRank)) : []),
    ...norm('norm2', dim),
    ...linear('mlp.lin1', dim, hidden),
    ...linear('mlp.lin2', hidden, dim),
    ...(e.adapters
      ? under('Adapter', [
          ...norm('norm', dim),
          ['channel.0.weight', [squeezed, dim]],
          ['channel.2.weight', [dim, squeezed]],
          ...conv('spatial.0', dim, dim, 3),
          ...conv('spatial.2', dim, dim, 4),
        ])
      : []),
  ];
}

const lora = (name: string, dim: number, rank: number): Entry[] => [
  [`${name}.a`, [rank, dim]],
  [`${name}.b`, [dim, rank]],
];

function imageEncoder(config: SamConfig): Entry[] {
  const { embedDim, encoder } = config;
  const grid = gridSize(config);
  return [
    ...under('patch_embed', stem(config)),
    ...(encoder.absolutePositions ? [['pos_embed', [1, grid, grid, encoder.dim]] as Entry] : []),
    ...times(encoder.depth, 'blocks', (i) => block(config, i)),
    ...conv('neck.0', encoder.dim, embedDim, 1),
    ...norm('neck.1', embedDim),
    ...conv('neck.2', embedDim, embedDim, 3),
    ...norm('neck.3', embedDim),
  ];
}

function promptEncoder({ embedDim, maskInChannels, textDim }: SamConfig): Entry[] {
  const one: Shape = [1, embedDim];
  const few = maskInChannels / 4;
  return [
    ['pe_layer.positional_encoding_gaussian_matrix', [2, embedDim / 2]],
    ...times(4, 'point_embeddings', () => [['weight', one]]),
    ['not_a_point_embed.weight', one],
    ...biasedConv('mask_downscaling.0', 1, few, 2),
    ...norm('mask_downscaling.1', few),
    ...biasedConv('mask_downscaling.3', few, maskInChannels, 2),
    ...norm('mask_downscaling.4', maskInChannels),
    ...biasedConv('mask_downscaling.6', maskInChannels, embedDim, 1),
    ['no_mask_embed.weight', one],
    ...(textDim > 0 ? linear('text_proj', textDim, embedDim) : []),
  ];
}

const attention = (name: string, dim: number, inner: number): Entry[] =>
  under(name, [
    ...['q_proj', 'k_proj', 'v_proj'].flatMap((part) => linear(part, dim, inner)),
    ...linear('out_proj', inner, dim),
  ]);

/** The two-way transformer of a decoder of `dim` channels. */
export function twoWay(dim: number, { depth, mlpDim }: Pick<DecoderConfig, 'depth' | 'mlpDim'>): Entry[] {
  return [
    ...times(depth, 'layers', () => [
      ...attention('self_attn', dim, dim),
      ...attention('cross_attn_token_to_image', dim, dim / 2),
      ...linear('mlp.lin1', dim, mlpDim),
      ...linear('mlp.lin2', mlpDim, dim),
      ...[1, 2, 3, 4].flatMap((i) => norm(`norm${i}`, dim)),
      ...attention('cross_attn_image_to_token', dim, dim / 2),
    ]),
    ...attention('final_attn_token_to_image', dim, dim / 2),
    ...norm('norm_final_attn', dim),
  ];
}

/** Linear layers one after another, of so many channels. */
export const mlp = (sizes: readonly number[]): Entry[] =>
  sizes.slice(1).flatMap((to, i) => linear(`layers.${i}`, sizes[i] as number, to));

/** A transposed convolution that doubles the map. */
const doubling = (name: string, from: number, to: number): Entry[] => [
  [`${name}.weight`, [from, to, 2, 2]],
  [`${name}.bias`, [to]],
];

const refine = (
  { mapChannels: map, edgeChannels: edges, drawn }: RefineInputs,
  { depth, channels }: RefineConfig,
): Entry[] => [
  ...(edges > 0 ? biasedConv('edges', edges, channels, 1) : []),
  ...(drawn ? biasedConv('prompt', 1, channels, 3) : []),
  ...Array.from({ length: depth }, (_, i) => [
    ...conv(`layers.${3 * i}`, i === 0 ? map : channels, channels, 3),
    ...norm(`layers.${3 * i + 1}`, channels),
  ]).flat(),
  ...biasedConv('out', channels, map, 1),
];

function maskDecoder(config: SamConfig): Entry[] {
  const { embedDim: dim, decoder, highRes } = config;
  const count = decoder.multimaskOutputs + 1;
  const { half, quarter } = highResChannels(config);
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
    ...(highRes
      ? [...biasedConv('conv_s0', quarter, dim / 8, 1), ...biasedConv('conv_s1', half, dim / 4, 1)]
      : []),
    ...(decoder.refine === null ? [] : under('refine', refine(refineInputs(config), decoder.refine))),
  ];
}

/** Shape by name of every parameter and buffer that a state dict of this network holds. */
export function samStateShapes(config: SamConfig): ReadonlyMap<string, Shape> {
  return new Map([
    ...under('image_encoder', imageEncoder(config)),
    ...under('prompt_encoder', promptEncoder(config)),
    ...under('mask_decoder', maskDecoder(config)),
  ]);
}
