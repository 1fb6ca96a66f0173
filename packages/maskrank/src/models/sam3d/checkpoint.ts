// Loads SAM-Med3D from files: sam_med3d.pth and sam_med3d_turbo.pth as released (weights in `model_state_dict`, beside an
// optimiser that is not read), bare state dicts, and this project's own, as .pth, .pt or .safetensors. The network is the one that
// the shapes describe; any difference is an error that lists all of them. Not here: the formats (@maskrank/torch/io).

import { nn } from '@maskrank/torch';
import type { TensorData } from '@maskrank/torch/io';
import { type CheckpointShapes, countOf, shapeReader } from '../checkpoint-shapes.ts';
import { readWeightFile } from '../weight-file.ts';
import { SAM3D_CONFIGS, type Sam3dConfig } from './config.ts';
import { Sam3d } from './sam3d.ts';
import { sam3dStateShapes } from './state-shapes.ts';

const ENDINGS = ['.pth', '.pt', '.safetensors'] as const;

/** SAM's code registers these as buffers that some exports write out; nothing uses them here. */
const CONSTANT_BUFFERS = /^pixel_(mean|std)$/;

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

export type LoadSam3dOptions = {
  /** The network that must be in the file. Default: the one that its shapes describe. */
  readonly config?: Sam3dConfig;
};

export type LoadedSam3d = {
  readonly sam: Sam3d;
  /** What else the file holds (an optimiser, an epoch), as `key: description`. */
  readonly ignored: readonly string[];
};

/** The network with the file's weights. Throws DataError with every difference at once; then nothing was loaded. */
export async function loadSam3d(path: string, options: LoadSam3dOptions = {}): Promise<LoadedSam3d> {
  const { tensors, ignored } = await readWeightFile(path, { who: 'loadSam3d', allowed: ENDINGS });
  return { sam: sam3dFromState(tensors, path, options), ignored };
}

/** The same from tensors in memory. `source` opens messages. */
export function sam3dFromState(
  tensors: ReadonlyMap<string, TensorData>,
  source: string,
  { config }: LoadSam3dOptions = {},
): Sam3d {
  const found = inferSam3dConfig(tensors, source);
  const sam = new Sam3d(config ?? found);
  try {
    nn.loadStateDict(sam, tensors, {
      source: `${source} (${describeSam3d(found)})`,
      allowUnexpected: [CONSTANT_BUFFERS],
    });
    return sam;
  } catch (error) {
    sam.dispose();
    throw error;
  }
}
