// Networks small enough for tests: every part of BiomedCLIP and of both of OpenAI's towers.

import { Generator, nn, randn, type Tensor, tidy } from '@maskrank/torch';
import {
  type BiomedClipConfig,
  type Clip,
  type ClipConfig,
  createClip,
  type OpenAiClipConfig,
} from '../../../src/models/clip/index.ts';

export const SMALL: BiomedClipConfig = {
  name: 'small',
  family: 'biomedclip',
  embedDim: 12,
  vision: {
    kind: 'timm-vit',
    imageSize: 32,
    patchSize: 8,
    dim: 16,
    depth: 3,
    heads: 2,
    mlpRatio: 2,
    stem: 'patch',
    stemDepth: 1,
  },
  text: { kind: 'bert', vocabulary: 40, context: 16, positions: 24, dim: 8, depth: 2, heads: 2, mlpDim: 16 },
};

/** BiomedCLIP's code with a stem of convolutions. */
export const SMALL_CONVOLUTIONS: BiomedClipConfig = {
  ...SMALL,
  name: 'small-convolutions',
  vision: { ...SMALL.vision, stem: 'convolutions', stemDepth: 2 },
};

const text = { kind: 'clip-text', vocabulary: 30, context: 9, dim: 8, depth: 2, heads: 2 } as const;

export const SMALL_VIT: OpenAiClipConfig = {
  name: 'small-vit',
  family: 'openai',
  embedDim: 10,
  vision: { kind: 'clip-vit', imageSize: 32, patchSize: 8, dim: 16, depth: 2, heads: 2 },
  text,
};

export const SMALL_RESNET = {
  name: 'small-resnet',
  family: 'openai',
  embedDim: 10,
  vision: { kind: 'clip-resnet', imageSize: 64, stages: [1, 2, 1, 1], width: 4, heads: 2 },
  text,
} as const satisfies OpenAiClipConfig;

export const ALL: readonly ClipConfig[] = [SMALL, SMALL_CONVOLUTIONS, SMALL_VIT, SMALL_RESNET];

/** A network with weights that all matter: norms and biases are drawn, too. */
export function smallClip(config: ClipConfig = SMALL, seed = 1): Clip {
  const generator = Generator.seeded(seed);
  const model = createClip(config, generator);
  for (const parameter of model.parameters()) {
    if (parameter.ndim === 0) continue;
    tidy(() => void parameter.detach().add_(randn(parameter.shape, { generator }).mul(0.2)));
  }
  return model.eval().requiresGrad_(false);
}

export function images(count: number, config: ClipConfig = SMALL, seed = 2): Tensor {
  const side = config.vision.imageSize;
  return randn([count, 3, side, side], { generator: Generator.seeded(seed) });
}

/** Largest absolute difference of two tensors. */
export function distance(a: Tensor, b: Tensor): number {
  if (`${a.shape}` !== `${b.shape}`) throw new Error(`shapes [${a.shape}] and [${b.shape}]`);
  return a.sub(b).abs().amax().item();
}

/** An embedding of unit length. */
export function unitVector(length: number, seed = 3): Float32Array<ArrayBuffer> {
  const data = tidy(() => randn([length], { generator: Generator.seeded(seed) }).toFloat32Array());
  const norm = Math.hypot(...data);
  return data.map((x) => x / norm);
}

export const stateOf = (model: Clip) => nn.saveStateDict(model);
