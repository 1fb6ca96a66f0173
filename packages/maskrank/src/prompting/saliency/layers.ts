// Where a map's activations come from and which gradients tell a channel's importance.
// In a transformer that pools its class token, nothing after the last block's attention mixes tokens: gradients of patches are
// exactly zero from there on. A map must read before that attention, or take the gradient of the class token.

import { UsageError } from '@maskrank/torch/errors';
import type { Clip, ClipVisionConfig, VisionSite } from '../../models/clip/index.ts';

/**
 * - `penultimate-block`: patches after the last block but one, gradients at the same patches
 * - `last-norm1`: patches before the last block's attention, gradients at the same patches
 * - `last-block-class`: patches after the last block, gradient of the class token (gScoreCAM's evaluation scripts)
 * - `medclip-sam`: patches after the last block's second norm, gradients at the same patches: always zero, so the kept channels
 *   are arbitrary. What MedCLIP-SAM released; for comparison only
 * - `last-stage`: the last stage of a ResNet
 */
export type CamLayer = 'penultimate-block' | 'last-norm1' | 'last-block-class' | 'medclip-sam' | 'last-stage';

export type CamSite = {
  readonly site: VisionSite;
  /** Whether gradients are those of every place, or one of the class token for all. */
  readonly gradient: 'places' | 'class';
};

type LayerRule = {
  readonly tower: 'transformer' | 'resnet';
  /** Blocks that the tower must have. */
  readonly minDepth: number;
  readonly site: (depth: number) => CamSite;
};

const transformer = (minDepth: number, site: (depth: number) => CamSite): LayerRule => ({
  tower: 'transformer',
  minDepth,
  site,
});

const LAYERS: Readonly<Record<CamLayer, LayerRule>> = {
  'penultimate-block': transformer(2, (depth) => ({ site: `blocks.${depth - 2}`, gradient: 'places' })),
  'last-norm1': transformer(1, (depth) => ({ site: `blocks.${depth - 1}.norm1`, gradient: 'places' })),
  'last-block-class': transformer(1, (depth) => ({ site: `blocks.${depth - 1}`, gradient: 'class' })),
  'medclip-sam': transformer(1, (depth) => ({ site: `blocks.${depth - 1}.norm2`, gradient: 'places' })),
  'last-stage': { tower: 'resnet', minDepth: 0, site: () => ({ site: 'layer4', gradient: 'places' }) },
};

/** Every place of a network at which activations can be read. */
export const CAM_LAYERS = Object.keys(LAYERS) as readonly CamLayer[];

const towerOf = ({ kind }: ClipVisionConfig): LayerRule['tower'] =>
  kind === 'clip-resnet' ? 'resnet' : 'transformer';

/** The layer that is used unless another is named. */
export function defaultCamLayer({ config: { vision } }: Clip): CamLayer {
  if (vision.kind === 'clip-resnet') return 'last-stage';
  return vision.depth > 1 ? 'penultimate-block' : 'last-norm1';
}

/** The place in this network's vision tower. */
export function camSite({ config: { vision, name } }: Clip, layer: CamLayer): CamSite {
  const rule = LAYERS[layer];
  const depth = vision.kind === 'clip-resnet' ? 0 : vision.depth;
  if (rule.tower === towerOf(vision) && depth >= rule.minDepth) return rule.site(depth);
  const allowed = CAM_LAYERS.filter(
    (other) => LAYERS[other].tower === towerOf(vision) && LAYERS[other].minDepth <= depth,
  );
  throw new UsageError(
    `saliency: the network '${name}' has no layer '${layer}' (its vision tower is a ${towerOf(vision)}); allowed are ${allowed.join(', ')}.`,
  );
}
