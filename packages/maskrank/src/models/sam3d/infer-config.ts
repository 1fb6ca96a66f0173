// The configuration of a SAM-Med3D file, read off its tensors' shapes: no engine. Not here: loading (checkpoint.ts).

import { type CheckpointShapes, countOf, shapeReader } from '../checkpoint-shapes.ts';
import { SAM3D_CONFIGS, type Sam3dConfig } from './config.ts';
import { sam3dStateShapes } from './state-shapes.ts';

/** The configuration that fits these tensors. `source` opens the message of an error. */
export function inferSam3dConfig(shapes: CheckpointShapes, source: string): Sam3dConfig {
  const { size, fail } = shapeReader(shapes, { who: 'inferSam3dConfig', source, family: 'SAM-Med3D' });
  if (shapes.get('image_encoder.patch_embed.proj.weight')?.shape.length !== 5)
    throw fail("'image_encoder.patch_embed.proj.weight' has no five dimensions");
  const blocks = 'image_encoder.blocks';
  const grid = size('image_encoder.pos_embed', 1);
  const dim = size('image_encoder.pos_embed', 4);
  const patchSize = size('image_encoder.patch_embed.proj.weight', 2);
  const depth = countOf(shapes, blocks);
  const sides = Array.from({ length: depth }, (_, i) => (size(`${blocks}.${i}.attn.rel_pos_d`, 0) + 1) / 2);
  const head = 'mask_decoder.iou_prediction_head.layers';
  const embedDim = size('image_encoder.neck.0.weight', 0);
  const found: Sam3dConfig = {
    name: 'sam3d',
    volumeSize: grid * patchSize,
    patchSize,
    inChannels: size('image_encoder.patch_embed.proj.weight', 1),
    embedDim,
    maskInChannels: size('prompt_encoder.mask_downscaling.3.weight', 0),
    encoder: {
      dim,
      depth,
      heads: dim / size(`${blocks}.0.attn.rel_pos_d`, 1),
      mlpRatio: size(`${blocks}.0.mlp.lin1.weight`, 0) / dim,
      // A window as large as the grid is the same as none.
      windowSize: sides.find((side) => side !== grid) ?? grid,
      globalBlocks: sides.flatMap((side, i) => (side === grid ? [i] : [])),
      qkvBias: shapes.has(`${blocks}.0.attn.qkv.bias`),
      absolutePositions: true,
      relativePositions: true,
    },
    decoder: {
      depth: countOf(shapes, 'mask_decoder.transformer.layers'),
      // No tensor's shape shows the number of heads: the released model's, unless the shapes are those of another known one.
      heads: SAM3D_CONFIGS['sam-med3d'].decoder.heads,
      mlpDim: size('mask_decoder.transformer.layers.0.mlp.lin1.weight', 0),
      multimaskOutputs: size('mask_decoder.mask_tokens.weight', 0) - 1,
      iouHeadDepth: countOf(shapes, head),
      iouHeadDim: size(`${head}.0.weight`, 0),
    },
  };
  const own = shapesText(found);
  return Object.values<Sam3dConfig>(SAM3D_CONFIGS).find((config) => shapesText(config) === own) ?? found;
}

const shapesText = (config: Sam3dConfig): string => JSON.stringify([...sam3dStateShapes(config)]);

/** A configuration in a few words, for messages. */
export function describeSam3d({ volumeSize, encoder: { dim, depth, heads } }: Sam3dConfig): string {
  return `${volumeSize} voxels a side, ${depth} blocks of ${dim} channels and ${heads} heads`;
}
