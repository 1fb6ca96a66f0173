// Fixture sammed3d: encoder, prompt encoder and decoder of SAM-Med3D for three kinds of prompts, masks enlarged to the volume, and
// sums over the gradient of every parameter.

import { arange, fromTensorData, nn, type Tensor, tidy } from '@maskrank/torch';
import { logitsToVolume, Sam3d, type Sam3dConfig, type VolumePrompts } from '../models/sam3d/index.ts';
import { compareElements, FORWARD, need, numbers, under } from './compare.ts';
import { compareGradients } from './gradients.ts';
import type { CheckResult, Fixture, GoldenCheck } from './types.ts';

function configOf(fixture: Fixture): Sam3dConfig {
  const {
    ImageEncoderViT3D: vit,
    PromptEncoder3D: prompts,
    MaskDecoder3D: decoder,
    TwoWayTransformer3D: transformer,
  } = fixture.json.config;
  return {
    name: fixture.name,
    volumeSize: vit.img_size,
    patchSize: vit.patch_size,
    inChannels: vit.in_chans,
    embedDim: prompts.embed_dim,
    maskInChannels: prompts.mask_in_chans,
    encoder: {
      dim: vit.embed_dim,
      depth: vit.depth,
      heads: vit.num_heads,
      mlpRatio: vit.mlp_ratio,
      windowSize: vit.window_size,
      globalBlocks: vit.global_attn_indexes,
      qkvBias: true,
      absolutePositions: true,
      relativePositions: true,
    },
    decoder: {
      depth: transformer.depth,
      heads: transformer.num_heads,
      mlpDim: transformer.mlp_dim,
      multimaskOutputs: 3,
      iouHeadDepth: 3,
      iouHeadDim: decoder.iou_head_hidden_dim,
    },
  };
}

/** What the fixture's loss takes of a call: sum(masks w) / sqrt(voxels) + sum(iou cotangent), w = cos(0, 1, 2, ...). */
function lossOf(masks: Tensor, iou: Tensor, cotangent: Tensor): Tensor {
  const [, , d, h, w] = masks.shape as [number, number, number, number, number];
  const weights = arange(0, masks.numel, 1, { dtype: 'float32' }).cos().view(masks.shape);
  return masks
    .mul(weights)
    .sum()
    .div(Math.sqrt(d * h * w))
    .add(iou.mul(cotangent).sum());
}

function run(fixture: Fixture): CheckResult[] {
  const sam = new Sam3d(configOf(fixture));
  nn.loadStateDict(sam, under(fixture, 'weights/'), { source: fixture.name });
  const input = (name: string) => fromTensorData(need(fixture, `in/${name}`));
  const results: CheckResult[] = [];
  const compare = (name: string, got: Tensor) => {
    results.push(compareElements(name, got.toFloat32Array(), numbers(fixture, name), FORWARD));
  };

  const embedding = sam.embed(input('image'));
  compare('out/image_embedding', embedding);
  compare('out/dense_pe', sam.prompt_encoder.densePositions());
  const points = { coords: input('points'), labels: input('labels') };
  const masks = input('masks');
  const cases: Readonly<Record<string, VolumePrompts>> = {
    points: { points },
    points_mask: { points, masks },
    mask: { masks },
  };
  const losses: Tensor[] = [];
  for (const [name, prompts] of Object.entries(cases)) {
    const { sparse, dense } = sam.prompt_encoder.forward(prompts);
    compare(`out/${name}.sparse`, sparse);
    // The fixture keeps one place of a map that is the same everywhere.
    compare(`out/${name}.dense`, prompts.masks === undefined ? dense.flatten(2).select(2, 0) : dense);
    for (const [kind, multimask] of [
      ['multi', true],
      ['single', false],
    ] as const) {
      const decoded = sam.decode(embedding, prompts, { multimask });
      compare(`out/${name}.${kind}.low_res`, decoded.masks);
      compare(`out/${name}.${kind}.iou`, decoded.iou);
      losses.push(lossOf(decoded.masks, decoded.iou, input(`${name}.${kind}.cot_iou`)));
      if (name !== 'points' || multimask) continue;
      const whole = logitsToVolume(decoded.masks, sam.config.volumeSize);
      compare('out/points.single.upsampled_slice_mid', whole.select(2, sam.config.volumeSize / 2));
    }
  }
  const loss = losses.reduce((sum, x) => sum.add(x));
  compare('out/loss', loss);
  loss.backward();
  results.push(...compareGradients(fixture, sam));
  sam.dispose();
  return results;
}

export const sammed3d: GoldenCheck = {
  covers: (name) => name === 'sammed3d',
  run: (fixture) => tidy(() => run(fixture)),
};
