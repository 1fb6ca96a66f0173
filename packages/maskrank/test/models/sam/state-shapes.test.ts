// The plain tables of names and shapes against the modules of small networks, and the released ones against published tables.

import { Generator } from '@maskrank/torch';
import { describe, expect, it } from 'vitest';
import { createSam, SAM_CONFIGS, type SamConfig, samStateShapes } from '../../../src/models/sam/index.ts';
import { SMALL } from './small.ts';

const PLAIN: SamConfig = {
  ...SMALL,
  boxMaps: false,
  highRes: false,
  encoder: { ...SMALL.encoder, stem: 'patch', adapters: false, loraRank: 2 },
};

describe('samStateShapes', () => {
  it.each([
    ['small', SMALL],
    ['plain with low-rank updates', PLAIN],
    ['sam-med2d-tiny', SAM_CONFIGS['sam-med2d-tiny']],
  ])('is the state dict of %s', (_, config) => {
    using sam = createSam(config, Generator.seeded(1));
    const built = [...sam.stateDict()].map(([name, { shape }]) => [name, [...shape]]);
    const byName = (a: unknown[], b: unknown[]) => (String(a[0]) < String(b[0]) ? -1 : 1);
    const stated = [...samStateShapes(config)].map(([name, shape]) => [name, [...shape]]);
    expect(stated.sort(byName)).toEqual(built.sort(byName));
  });

  it('has the published shapes of SAM ViT-B at 1024 px and of SAM-Med2D at 256 px', () => {
    const sam = samStateShapes(SAM_CONFIGS.sam_vit_b);
    const med = samStateShapes(SAM_CONFIGS['sam-med2d_b']);
    const both: [string, number[], number[]][] = [
      ['image_encoder.pos_embed', [1, 64, 64, 768], [1, 16, 16, 768]],
      ['image_encoder.blocks.0.attn.rel_pos_h', [27, 64], [27, 64]],
      ['image_encoder.blocks.2.attn.rel_pos_w', [127, 64], [31, 64]],
    ];
    for (const [name, large, small] of both) {
      expect([name, sam.get(name)]).toEqual([name, large]);
      expect([name, med.get(name)]).toEqual([name, small]);
    }
    const same: Record<string, number[]> = {
      'image_encoder.patch_embed.proj.weight': [768, 3, 16, 16],
      'image_encoder.blocks.11.attn.qkv.weight': [2304, 768],
      'image_encoder.blocks.11.mlp.lin1.weight': [3072, 768],
      'image_encoder.neck.0.weight': [256, 768, 1, 1],
      'image_encoder.neck.2.weight': [256, 256, 3, 3],
      'prompt_encoder.pe_layer.positional_encoding_gaussian_matrix': [2, 128],
      'prompt_encoder.point_embeddings.3.weight': [1, 256],
      'prompt_encoder.mask_downscaling.0.weight': [4, 1, 2, 2],
      'prompt_encoder.mask_downscaling.3.weight': [16, 4, 2, 2],
      'prompt_encoder.mask_downscaling.6.weight': [256, 16, 1, 1],
      'mask_decoder.transformer.layers.1.self_attn.q_proj.weight': [256, 256],
      'mask_decoder.transformer.layers.0.cross_attn_token_to_image.k_proj.weight': [128, 256],
      'mask_decoder.transformer.layers.0.cross_attn_image_to_token.out_proj.weight': [256, 128],
      'mask_decoder.transformer.layers.0.mlp.lin1.weight': [2048, 256],
      'mask_decoder.mask_tokens.weight': [4, 256],
      'mask_decoder.output_upscaling.0.weight': [256, 64, 2, 2],
      'mask_decoder.output_upscaling.3.weight': [64, 32, 2, 2],
      'mask_decoder.output_hypernetworks_mlps.3.layers.2.weight': [32, 256],
      'mask_decoder.iou_prediction_head.layers.2.weight': [4, 256],
    };
    for (const [name, shape] of Object.entries(same)) {
      expect([name, sam.get(name)]).toEqual([name, shape]);
      expect([name, med.get(name)]).toEqual([name, shape]);
    }
    const adapter: Record<string, number[]> = {
      'norm.weight': [768],
      'channel.0.weight': [192, 768],
      'channel.2.weight': [768, 192],
      'spatial.0.weight': [768, 768, 3, 3],
      'spatial.2.weight': [768, 768, 4, 4],
    };
    for (const [name, shape] of Object.entries(adapter)) {
      expect(med.get(`image_encoder.blocks.11.Adapter.${name}`)).toEqual(shape);
      expect(sam.has(`image_encoder.blocks.11.Adapter.${name}`)).toBe(false);
    }
    expect(samStateShapes(SAM_CONFIGS.sam_vit_h).get('image_encoder.blocks.7.attn.rel_pos_h')).toEqual([
      127, 80,
    ]);
  });
});
