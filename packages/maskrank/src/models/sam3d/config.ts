// The numbers that make a SAM-Med3D (Wang 2023): the released network for volumes of 128 voxels a side, and a small one of the
// same code that trains on two CPU cores. A configuration is plain data and is saved beside the weights.
// Not here: guessing the configuration of a weight file (checkpoint.ts), bringing a volume to the canvas (canvas.ts).

import { UsageError } from '@maskrank/torch/errors';
import type { DecoderConfig, ImageEncoderConfig } from '../sam/config.ts';

/** As in two dimensions; a window is a cube. */
export type VolumeEncoderConfig = Pick<
  ImageEncoderConfig,
  | 'dim'
  | 'depth'
  | 'heads'
  | 'mlpRatio'
  | 'windowSize'
  | 'globalBlocks'
  | 'qkvBias'
  | 'absolutePositions'
  | 'relativePositions'
>;

export type VolumeDecoderConfig = Omit<DecoderConfig, 'refine'>;

export type Sam3dConfig = {
  readonly name: string;
  /** Side of the cubic input, voxels. */
  readonly volumeSize: number;
  /** Side of a token, voxels. */
  readonly patchSize: number;
  readonly inChannels: number;
  /** Channels of the embedding, of prompt tokens and of the decoder; a third of them a part of the encoding of places. */
  readonly embedDim: number;
  /** Channels inside the convolutions that read a mask prompt. */
  readonly maskInChannels: number;
  readonly encoder: VolumeEncoderConfig;
  readonly decoder: VolumeDecoderConfig;
};

/** Tokens along a side of the volume. */
export function gridSide({ volumeSize, patchSize }: Pick<Sam3dConfig, 'volumeSize' | 'patchSize'>): number {
  return volumeSize / patchSize;
}

const PLAIN = { qkvBias: true, absolutePositions: true, relativePositions: true } as const;

export const SAM3D_CONFIGS = {
  /** `vit_b_ori` of the released code: 100 million parameters; sam_med3d.pth and sam_med3d_turbo.pth. */
  'sam-med3d': {
    name: 'sam-med3d',
    volumeSize: 128,
    patchSize: 16,
    inChannels: 1,
    embedDim: 384,
    maskInChannels: 16,
    encoder: {
      ...PLAIN,
      dim: 768,
      depth: 12,
      heads: 12,
      mlpRatio: 4,
      windowSize: 14,
      globalBlocks: [2, 5, 8, 11],
    },
    decoder: { depth: 2, heads: 8, mlpDim: 2048, multimaskOutputs: 3, iouHeadDepth: 3, iouHeadDim: 256 },
  },
  /** 0.5 million parameters; for tests, trials and machines with two cores. Tokens are smaller, so that organs have contours. */
  'sam-med3d-tiny': {
    name: 'sam-med3d-tiny',
    volumeSize: 64,
    patchSize: 8,
    inChannels: 1,
    embedDim: 48,
    maskInChannels: 8,
    encoder: {
      ...PLAIN,
      dim: 96,
      depth: 3,
      heads: 4,
      mlpRatio: 3,
      windowSize: 4,
      globalBlocks: [1, 2],
    },
    decoder: { depth: 2, heads: 4, mlpDim: 128, multimaskOutputs: 3, iouHeadDepth: 3, iouHeadDim: 32 },
  },
} as const satisfies Record<string, Sam3dConfig>;

export type Sam3dConfigName = keyof typeof SAM3D_CONFIGS;

/** Throws UsageError that lists every number with which no network can be built. */
export function checkSam3dConfig(config: Sam3dConfig): void {
  const { encoder: e, decoder: d, embedDim } = config;
  const wrong: string[] = [];
  const need = (ok: boolean, text: string) => void (ok || wrong.push(text));
  need(
    Number.isInteger(gridSide(config)),
    `volumeSize ${config.volumeSize} is not a multiple of patchSize ${config.patchSize}`,
  );
  need(e.dim % e.heads === 0, `encoder.dim ${e.dim} is not a multiple of encoder.heads ${e.heads}`);
  need(e.windowSize > 0, `encoder.windowSize ${e.windowSize} is not positive`);
  need(
    e.globalBlocks.every((i) => Number.isInteger(i) && i >= 0 && i < e.depth),
    `encoder.globalBlocks [${e.globalBlocks}] are not all below depth ${e.depth}`,
  );
  need(
    embedDim % 24 === 0,
    `embedDim ${embedDim} is not a multiple of 24 (a third for each part of a place, an eighth in masks)`,
  );
  need(
    (embedDim / 2) % d.heads === 0,
    `embedDim / 2 = ${embedDim / 2} is not a multiple of decoder.heads ${d.heads}`,
  );
  need(config.maskInChannels % 4 === 0, `maskInChannels ${config.maskInChannels} is not a multiple of 4`);
  if (wrong.length > 0) throw new UsageError(`model '${config.name}': ${wrong.join('; ')}.`);
}
