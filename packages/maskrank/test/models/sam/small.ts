// A network small enough for tests: every part of SAM-Med2D at 64 px, a grid of 4 x 4 tokens, windows that hang over it.

import { Generator, randn, type Tensor } from '@maskrank/torch';
import { createSam, SAM_CONFIGS, type Sam, type SamConfig } from '../../../src/models/sam/index.ts';

const tiny = SAM_CONFIGS['sam-med2d-tiny'];

export const SMALL: SamConfig = {
  ...tiny,
  highRes: false,
  name: 'test',
  imageSize: 64,
  embedDim: 16,
  textDim: 6,
  maskInChannels: 4,
  encoder: { ...tiny.encoder, dim: 16, depth: 2, heads: 2, windowSize: 3, globalBlocks: [1], mlpRatio: 2 },
  decoder: { ...tiny.decoder, heads: 2, mlpDim: 16, iouHeadDim: 8, refine: null },
};

export function smallSam(changes: Partial<SamConfig> = {}, seed = 1): Sam {
  return createSam({ ...SMALL, ...changes }, Generator.seeded(seed));
}

export function images(count: number, side = SMALL.imageSize, seed = 2): Tensor {
  return randn([count, 3, side, side], { generator: Generator.seeded(seed) });
}

/** Largest absolute difference of two tensors. */
export function distance(a: Tensor, b: Tensor): number {
  if (`${a.shape}` !== `${b.shape}`) throw new Error(`shapes [${a.shape}] and [${b.shape}]`);
  return a.sub(b).abs().amax().item();
}
