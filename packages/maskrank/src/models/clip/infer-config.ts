// The configuration of a CLIP file, read off its tensors' names and shapes.
// Not here: other libraries' names (key-maps.ts), loading (checkpoint.ts).

import { isDeepStrictEqual } from 'node:util';
import { type CheckpointShapes, countOf, type ReadSize, shapeReader } from '../checkpoint-shapes.ts';
import { hasConvolutionStem, inferConvolutionStem } from '../convolution-stem.ts';
import {
  type BiomedClipConfig,
  CLIP_CONFIGS,
  type ClipConfig,
  type ClipTextConfig,
  type OpenAiClipConfig,
  type TimmVitConfig,
} from './config.ts';

/** Channels of an attention head: no tensor's shape shows it; all released models have this many. */
const HEAD_DIM = 64;
const headsOf = (dim: number): number => Math.max(1, Math.floor(dim / HEAD_DIM));

function sides(cells: number, patchSize: number) {
  const grid = Math.sqrt(cells - 1);
  return { imageSize: grid * patchSize, patchSize };
}

function timmVit(shapes: CheckpointShapes, size: ReadSize): TimmVitConfig {
  const trunk = 'visual.trunk';
  const stem = `${trunk}.patch_embed`;
  const [cells, dim] = [1, 2].map((axis) => size(`${trunk}.pos_embed`, axis)) as [number, number];
  const { patchSize, ...kind } = hasConvolutionStem(shapes, stem)
    ? { stem: 'convolutions' as const, ...inferConvolutionStem(shapes, stem) }
    : { stem: 'patch' as const, patchSize: size(`${stem}.proj.weight`, 2), stemDepth: 1 };
  return {
    kind: 'timm-vit',
    ...sides(cells, patchSize),
    dim,
    depth: countOf(shapes, `${trunk}.blocks`),
    heads: headsOf(dim),
    mlpRatio: size(`${trunk}.blocks.0.mlp.fc1.weight`, 0) / dim,
    ...kind,
  };
}

function biomedClip(shapes: CheckpointShapes, size: ReadSize): BiomedClipConfig {
  const bert = 'text.transformer';
  const dim = size(`${bert}.embeddings.word_embeddings.weight`, 1);
  const positions = size(`${bert}.embeddings.position_embeddings.weight`, 0);
  return {
    name: 'clip',
    family: 'biomedclip',
    embedDim: size('visual.head.proj.weight', 0),
    vision: timmVit(shapes, size),
    text: {
      kind: 'bert',
      vocabulary: size(`${bert}.embeddings.word_embeddings.weight`, 0),
      // The table of positions may be longer than the texts the model saw: BiomedCLIP's has 512 rows for 256 word pieces.
      context: Math.min(positions, CLIP_CONFIGS.biomedclip.text.context),
      positions,
      dim,
      depth: countOf(shapes, `${bert}.encoder.layer`),
      heads: headsOf(dim),
      mlpDim: size(`${bert}.encoder.layer.0.intermediate.dense.weight`, 0),
    },
  };
}

function openAiText(shapes: CheckpointShapes, size: ReadSize): ClipTextConfig {
  const dim = size('token_embedding.weight', 1);
  return {
    kind: 'clip-text',
    vocabulary: size('token_embedding.weight', 0),
    context: size('positional_embedding', 0),
    dim,
    depth: countOf(shapes, 'transformer.resblocks'),
    heads: headsOf(dim),
  };
}

function openAi(
  shapes: CheckpointShapes,
  size: ReadSize,
  vision: OpenAiClipConfig['vision'],
): OpenAiClipConfig {
  const embedDim = size('text_projection', 1);
  return { name: 'clip', family: 'openai', embedDim, vision, text: openAiText(shapes, size) };
}

function openAiVit(shapes: CheckpointShapes, size: ReadSize): OpenAiClipConfig {
  const [dim, patchSize] = [size('visual.conv1.weight', 0), size('visual.conv1.weight', 2)];
  const depth = countOf(shapes, 'visual.transformer.resblocks');
  const square = sides(size('visual.positional_embedding', 0), patchSize);
  return openAi(shapes, size, { kind: 'clip-vit', ...square, dim, depth, heads: headsOf(dim) });
}

function openAiResNet(shapes: CheckpointShapes, size: ReadSize): OpenAiClipConfig {
  const width = size('visual.conv3.weight', 0);
  const grid = Math.sqrt(size('visual.attnpool.positional_embedding', 0) - 1);
  const [a, b, c, d] = [1, 2, 3, 4].map((s) => countOf(shapes, `visual.layer${s}`)) as [
    number,
    number,
    number,
    number,
  ];
  return openAi(shapes, size, {
    kind: 'clip-resnet',
    imageSize: 32 * grid,
    stages: [a, b, c, d],
    width,
    heads: headsOf(32 * width),
  });
}

/** A key that only this family has. */
const FAMILIES: readonly (readonly [string, (shapes: CheckpointShapes, size: ReadSize) => ClipConfig])[] = [
  ['visual.trunk.cls_token', biomedClip],
  ['visual.class_embedding', openAiVit],
  ['visual.attnpool.positional_embedding', openAiResNet],
];

/** Equal but for the name and how much of the table of positions a text may use, which no shape shows. */
const sameNetwork = (a: ClipConfig, b: ClipConfig): boolean =>
  isDeepStrictEqual(
    { ...a, name: '', text: { ...a.text, context: 0 } },
    { ...b, name: '', text: { ...b.text, context: 0 } },
  );

/** The configuration that fits these tensors. `source` opens the message of an error. */
export function inferClipConfig(shapes: CheckpointShapes, source: string): ClipConfig {
  const { size, fail } = shapeReader(shapes, {
    who: 'inferClipConfig',
    source,
    family: 'BiomedCLIP or CLIP',
  });
  const family = FAMILIES.find(([key]) => shapes.has(key));
  if (family === undefined) throw fail(`there is none of ${FAMILIES.map(([key]) => `'${key}'`).join(', ')}`);
  const found = family[1](shapes, size);
  return Object.values<ClipConfig>(CLIP_CONFIGS).find((known) => sameNetwork(known, found)) ?? found;
}

/** A configuration in a few words, for messages. */
export function describeClip({ family, vision, text, embedDim }: ClipConfig): string {
  const tower =
    vision.kind === 'clip-resnet'
      ? `a ResNet of ${vision.stages.join('-')} blocks and width ${vision.width}`
      : `${vision.depth} blocks of ${vision.dim} channels with ${'stem' in vision && vision.stem === 'convolutions' ? 'convolutions to' : 'patches of'} ${vision.patchSize} px`;
  return `${family}, ${vision.imageSize} px, ${tower}; ${text.depth} layers of ${text.dim} channels for ${text.vocabulary} tokens; ${embedDim} shared channels`;
}
