// Names and shapes of a network's state dict from its configuration alone: no engine, no memory. A file can be compared with a
// model of 200 million numbers before anything is built. Kept equal to the modules by a test.

import { convolutionStemEntries } from '../convolution-stem.ts';
import {
  batchNorm,
  conv,
  countTrained,
  type Entry,
  linear,
  norm,
  resNetStage,
  type Shape,
  times,
  under,
} from '../state-entries.ts';
import {
  type BertTextConfig,
  type ClipConfig,
  type ClipResNetConfig,
  type ClipTextConfig,
  type ClipVitConfig,
  projectionDim,
  type TimmVitConfig,
  visionGrid,
} from './config.ts';

const timmStem = ({ stem, patchSize, dim, stemDepth }: TimmVitConfig): Entry[] =>
  stem === 'patch'
    ? [...conv('proj', 3, dim, patchSize), ['proj.bias', [dim]]]
    : convolutionStemEntries({ patchSize, inChannels: 3, dim, stemDepth });

function timmVit(config: TimmVitConfig, embedDim: number): Entry[] {
  const { dim, depth, mlpRatio } = config;
  const hidden = Math.floor(dim * mlpRatio);
  return [
    ['trunk.cls_token', [1, 1, dim]],
    ['trunk.pos_embed', [1, 1 + visionGrid(config) ** 2, dim]],
    ...under('trunk.patch_embed', timmStem(config)),
    ...times(depth, 'trunk.blocks', () => [
      ...norm('norm1', dim),
      ...linear('attn.qkv', dim, 3 * dim),
      ...linear('attn.proj', dim, dim),
      ...norm('norm2', dim),
      ...linear('mlp.fc1', dim, hidden),
      ...linear('mlp.fc2', hidden, dim),
    ]),
    ...norm('trunk.norm', dim),
    ['head.proj.weight', [embedDim, dim]],
  ];
}

function bert({ vocabulary, positions, dim, depth, mlpDim }: BertTextConfig, embedDim: number): Entry[] {
  const hidden = projectionDim(dim, embedDim);
  return [
    ...under('transformer.embeddings', [
      ['word_embeddings.weight', [vocabulary, dim]],
      ['position_embeddings.weight', [positions, dim]],
      ['token_type_embeddings.weight', [2, dim]],
      ...norm('LayerNorm', dim),
    ]),
    ...times(depth, 'transformer.encoder.layer', () => [
      ...['query', 'key', 'value'].flatMap((name) => linear(`attention.self.${name}`, dim, dim)),
      ...linear('attention.output.dense', dim, dim),
      ...norm('attention.output.LayerNorm', dim),
      ...linear('intermediate.dense', dim, mlpDim),
      ...linear('output.dense', mlpDim, dim),
      ...norm('output.LayerNorm', dim),
    ]),
    ['proj.0.weight', [hidden, dim]],
    ['proj.2.weight', [embedDim, hidden]],
  ];
}

const resblocks = (dim: number, depth: number): Entry[] =>
  times(depth, 'transformer.resblocks', () => [
    ['attn.in_proj_weight', [3 * dim, dim]],
    ['attn.in_proj_bias', [3 * dim]],
    ...linear('attn.out_proj', dim, dim),
    ...norm('ln_1', dim),
    ...linear('mlp.c_fc', dim, 4 * dim),
    ...linear('mlp.c_proj', 4 * dim, dim),
    ...norm('ln_2', dim),
  ]);

function clipVit(config: ClipVitConfig, embedDim: number): Entry[] {
  const { dim, depth, patchSize } = config;
  return [
    ['class_embedding', [dim]],
    ['positional_embedding', [1 + visionGrid(config) ** 2, dim]],
    ['proj', [dim, embedDim]],
    ...conv('conv1', 3, dim, patchSize),
    ...norm('ln_pre', dim),
    ...resblocks(dim, depth),
    ...norm('ln_post', dim),
  ];
}

function resNet(config: ClipResNetConfig, embedDim: number): Entry[] {
  const { stages, width } = config;
  const half = width / 2;
  const channels = 32 * width;
  const stem = [3, half, half, width].slice(0, -1).flatMap((from, i): Entry[] => {
    const to = i === 2 ? width : half;
    return [...conv(`conv${i + 1}`, from, to, 3), ...batchNorm(`bn${i + 1}`, to)];
  });
  return [
    ...stem,
    ...stages.flatMap((blocks, stage) => resNetStage(`layer${stage + 1}`, { stage, width, blocks })),
    ['attnpool.positional_embedding', [1 + visionGrid(config) ** 2, channels]],
    ...['k_proj', 'q_proj', 'v_proj'].flatMap((name) => linear(`attnpool.${name}`, channels, channels)),
    ...linear('attnpool.c_proj', channels, embedDim),
  ];
}

function clipText({ vocabulary, context, dim, depth }: ClipTextConfig, embedDim: number): Entry[] {
  return [
    ['positional_embedding', [context, dim]],
    ['text_projection', [dim, embedDim]],
    ...resblocks(dim, depth),
    ['token_embedding.weight', [vocabulary, dim]],
    ...norm('ln_final', dim),
  ];
}

function entries(config: ClipConfig): Entry[] {
  const { embedDim } = config;
  const scale: Entry = ['logit_scale', []];
  if (config.family === 'biomedclip') {
    return [
      scale,
      ...under('visual', timmVit(config.vision, embedDim)),
      ...under('text', bert(config.text, embedDim)),
    ];
  }
  const { vision, text } = config;
  const visual = vision.kind === 'clip-vit' ? clipVit(vision, embedDim) : resNet(vision, embedDim);
  return [scale, ...under('visual', visual), ...clipText(text, embedDim)];
}

/** Shape by name of every parameter and buffer that a state dict of this network holds. */
export function clipStateShapes(config: ClipConfig): ReadonlyMap<string, Shape> {
  return new Map(entries(config));
}

/** Numbers in the state dict without counters and statistics. */
export function countClipParameters(config: ClipConfig): number {
  return countTrained(entries(config));
}
