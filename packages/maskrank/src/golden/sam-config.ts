// The configuration of a SAM fixture, from the constructor arguments in its JSON to ours.

import type { DecoderConfig, ImageEncoderConfig, SamConfig } from '../models/sam/index.ts';
import { SAM_CONFIGS } from '../models/sam/index.ts';
import type { Fixture } from './types.ts';

type Json = Fixture['json'];

function encoderConfig(vit: Json): ImageEncoderConfig {
  return {
    dim: vit.embed_dim,
    depth: vit.depth,
    heads: vit.num_heads,
    mlpRatio: vit.mlp_ratio,
    windowSize: vit.window_size,
    globalBlocks: vit.global_attn_indexes,
    qkvBias: vit.qkv_bias,
    absolutePositions: vit.use_abs_pos ?? true,
    relativePositions: vit.use_rel_pos,
    adapters: vit.adapter_train ?? false,
    stem: 'patch',
    stemDepth: 1,
    loraRank: 0,
  };
}

function decoderConfig(config: Json): DecoderConfig {
  const transformer = config.TwoWayTransformer;
  const decoder = config.MaskDecoder ?? config;
  return {
    depth: transformer?.depth ?? 2,
    heads: transformer?.num_heads ?? config.decoder_heads,
    mlpDim: transformer?.mlp_dim ?? config.decoder_mlp_dim,
    multimaskOutputs: decoder.num_multimask_outputs,
    iouHeadDepth: decoder.iou_head_depth ?? 3,
    iouHeadDim: decoder.iou_head_hidden_dim,
    refine: null,
  };
}

/** Whole or partial: what the JSON does not say stays as in a released model and is not used by that fixture. */
export function configOf(fixture: Fixture): SamConfig {
  const { config } = fixture.json;
  const vit = config.ImageEncoderViT;
  const prompts = config.PromptEncoder;
  const hasDecoder = config.MaskDecoder !== undefined || config.transformer_dim !== undefined;
  const base = SAM_CONFIGS.sam_vit_b;
  return {
    ...base,
    name: fixture.name,
    imageSize: vit?.img_size ?? prompts?.input_image_size[0] ?? base.imageSize,
    patchSize:
      vit?.patch_size ?? (prompts ? prompts.input_image_size[0] / prompts.image_embedding_size[0] : 16),
    inChannels: vit?.in_chans ?? 3,
    embedDim: prompts?.embed_dim ?? config.MaskDecoder?.transformer_dim ?? vit?.out_chans,
    maskInChannels: prompts?.mask_in_chans ?? config.mask_in_chans ?? base.maskInChannels,
    encoder: vit ? encoderConfig(vit) : base.encoder,
    decoder: hasDecoder ? decoderConfig(config) : base.decoder,
    textDim: 0,
  };
}
