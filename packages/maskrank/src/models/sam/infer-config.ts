// The configuration of a SAM file, read off its tensors' shapes: backbone, image size, windows, adapters, heads.
// Not here: loading (checkpoint.ts).

import { type CheckpointShapes, countOf, type ReadSize, shapeReader } from '../checkpoint-shapes.ts';
import { hasConvolutionStem, inferConvolutionStem } from '../convolution-stem.ts';
import { type DecoderConfig, type ImageEncoderConfig, SAM_CONFIGS, type SamConfig } from './config.ts';
import type { RefineConfig } from './refine.ts';

const STEM = 'image_encoder.patch_embed';

/** What the stem's tensors tell. */
function inferStem(
  shapes: CheckpointShapes,
  size: ReadSize,
): Pick<SamConfig, 'patchSize' | 'inChannels'> & Pick<ImageEncoderConfig, 'stem' | 'stemDepth'> {
  if (hasConvolutionStem(shapes, STEM)) {
    const inChannels = size(`${STEM}.0.weight`, 1);
    return { stem: 'convolutions', inChannels, ...inferConvolutionStem(shapes, STEM) };
  }
  const [inChannels, patchSize] = [1, 2].map((dim) => size(`${STEM}.proj.weight`, dim)) as [number, number];
  return { stem: 'patch', stemDepth: 1, inChannels, patchSize };
}

function inferEncoder(
  shapes: CheckpointShapes,
  size: ReadSize,
  grid: number,
): Omit<ImageEncoderConfig, 'stem' | 'stemDepth'> {
  const blocks = 'image_encoder.blocks';
  const dim = size('image_encoder.pos_embed', 3);
  const depth = countOf(shapes, blocks);
  const sides = Array.from({ length: depth }, (_, i) => (size(`${blocks}.${i}.attn.rel_pos_h`, 0) + 1) / 2);
  const isGlobal = (side: number) => side === grid;
  return {
    dim,
    depth,
    heads: dim / size(`${blocks}.0.attn.rel_pos_h`, 1),
    mlpRatio: size(`${blocks}.0.mlp.lin1.weight`, 0) / dim,
    // A window as large as the grid is the same as none.
    windowSize: sides.find((side) => !isGlobal(side)) ?? grid,
    globalBlocks: sides.flatMap((side, i) => (isGlobal(side) ? [i] : [])),
    qkvBias: shapes.has(`${blocks}.0.attn.qkv.bias`),
    absolutePositions: true,
    relativePositions: true,
    adapters: shapes.has(`${blocks}.0.Adapter.norm.weight`),
    loraRank: shapes.get(`${blocks}.0.attn.lora.q.a`)?.shape[0] ?? 0,
  };
}

function inferDecoder(shapes: CheckpointShapes, size: ReadSize): DecoderConfig {
  const head = 'mask_decoder.iou_prediction_head.layers';
  return {
    depth: countOf(shapes, 'mask_decoder.transformer.layers'),
    // No tensor's shape shows the number of heads; every released model has eight.
    heads: SAM_CONFIGS.sam_vit_b.decoder.heads,
    mlpDim: size('mask_decoder.transformer.layers.0.mlp.lin1.weight', 0),
    multimaskOutputs: size('mask_decoder.mask_tokens.weight', 0) - 1,
    iouHeadDepth: countOf(shapes, head),
    iouHeadDim: size(`${head}.0.weight`, 0),
    refine: inferRefine(shapes, size),
  };
}

function inferRefine(shapes: CheckpointShapes, size: ReadSize): RefineConfig | null {
  const layers = 'mask_decoder.refine.layers';
  if (!shapes.has(`${layers}.0.weight`)) return null;
  // Of every three layers the last, the activation, has no tensors.
  return { depth: Math.ceil(countOf(shapes, layers) / 3), channels: size(`${layers}.0.weight`, 0) };
}

const SAME_BACKBONE = ['dim', 'depth', 'heads', 'adapters'] as const;

/** The configuration that fits these tensors. `source` opens the message of an error. */
export function inferSamConfig(shapes: CheckpointShapes, source: string): SamConfig {
  const { size } = shapeReader(shapes, { who: 'inferSamConfig', source, family: 'SAM or SAM-Med2D' });
  const { patchSize, inChannels, stem, stemDepth } = inferStem(shapes, size);
  const grid = size('image_encoder.pos_embed', 1);
  const encoder = { ...inferEncoder(shapes, size, grid), stem, stemDepth };
  const decoder = inferDecoder(shapes, size);
  const sizes = {
    imageSize: grid * patchSize,
    patchSize,
    inChannels,
    embedDim: size('image_encoder.neck.0.weight', 0),
    highRes: shapes.has('mask_decoder.conv_s0.weight'),
    maskInChannels: size('prompt_encoder.mask_downscaling.3.weight', 0),
    textDim: shapes.get('prompt_encoder.text_proj.weight')?.shape[1] ?? SAM_CONFIGS.sam_vit_b.textDim,
  };
  const known = Object.values<SamConfig>(SAM_CONFIGS).find(
    (config) =>
      SAME_BACKBONE.every((key) => config.encoder[key] === encoder[key]) &&
      config.embedDim === sizes.embedDim,
  );
  const family = encoder.adapters ? SAM_CONFIGS['sam-med2d_b'] : SAM_CONFIGS.sam_vit_b;
  const base: SamConfig = known ?? family;
  return {
    ...base,
    ...sizes,
    name: known?.name ?? 'sam',
    encoder,
    decoder: { ...decoder, heads: base.decoder.heads },
  };
}

/** A configuration in a few words, for messages. */
export function describeSam({ imageSize, encoder }: SamConfig): string {
  const { dim, depth, heads, adapters } = encoder;
  return `${imageSize} px, ${depth} blocks of ${dim} channels and ${heads} heads, ${adapters ? 'with' : 'without'} adapters`;
}
