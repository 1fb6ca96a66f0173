// The configuration of a SAM file, read off its tensors' shapes: backbone, image size, windows, adapters, heads.
// Not here: loading (checkpoint.ts).

import { type CheckpointShapes, countOf, type ReadSize, shapeReader } from '../checkpoint-shapes.ts';
import { type DecoderConfig, type ImageEncoderConfig, SAM_CONFIGS, type SamConfig } from './config.ts';

const stemOf = (shapes: CheckpointShapes): ImageEncoderConfig['stem'] =>
  shapes.has('image_encoder.patch_embed.0.weight') ? 'convolutions' : 'patch';

/** How many convolutions of the stem halve the map (and change its channels), and how many keep it. */
function stemConvolutions(shapes: CheckpointShapes): { halving: number; keeping: number } {
  const all = [...shapes].filter(
    ([key, { shape }]) => key.startsWith('image_encoder.patch_embed.') && shape.length === 4,
  );
  const keeping = all.filter(([, { shape }]) => shape[0] === shape[1]).length;
  return { halving: all.length - keeping, keeping };
}

function inferPatch(shapes: CheckpointShapes, size: ReadSize) {
  const stem = 'image_encoder.patch_embed';
  if (stemOf(shapes) === 'patch') {
    return { patchSize: size(`${stem}.proj.weight`, 2), inChannels: size(`${stem}.proj.weight`, 1) };
  }
  return { patchSize: 2 ** stemConvolutions(shapes).halving, inChannels: size(`${stem}.0.weight`, 1) };
}

function inferEncoder(shapes: CheckpointShapes, size: ReadSize, grid: number): ImageEncoderConfig {
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
    stem: stemOf(shapes),
    // The last three sizes have the same number of convolutions.
    stemDepth: stemOf(shapes) === 'patch' ? 1 : 1 + stemConvolutions(shapes).keeping / 3,
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
  };
}

const SAME_BACKBONE = ['dim', 'depth', 'heads', 'adapters'] as const;

/** The configuration that fits these tensors. `source` opens the message of an error. */
export function inferSamConfig(shapes: CheckpointShapes, source: string): SamConfig {
  const { size } = shapeReader(shapes, { who: 'inferSamConfig', source, family: 'SAM or SAM-Med2D' });
  const { patchSize, inChannels } = inferPatch(shapes, size);
  const grid = size('image_encoder.pos_embed', 1);
  const encoder = inferEncoder(shapes, size, grid);
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
