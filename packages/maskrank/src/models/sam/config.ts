// The numbers that make a SAM: released SAM (Kirillov 2023), SAM-Med2D (Cheng 2023, 256 px with adapters), and two small
// networks of the same code that train on two CPU cores from few images, helped by a convolutional stem, its maps and further
// convolutions in the decoder, and drawn boxes and clicks. A configuration is plain data and is saved beside the weights.
// Not here: guessing the configuration of a weight file (checkpoint.ts).

import { UsageError } from '@maskrank/torch/errors';
import type { GeometryRule } from '../../imaging/geometry.ts';
import type { RefineConfig } from './refine.ts';

export type ImageEncoderConfig = {
  /** Channels of a token. */
  readonly dim: number;
  /** Transformer blocks. */
  readonly depth: number;
  /** Attention heads; `dim / heads` channels each. */
  readonly heads: number;
  /** Hidden channels of a block's MLP, as a multiple of `dim`. */
  readonly mlpRatio: number;
  /** Side of an attention window in tokens, for the blocks that are not global. */
  readonly windowSize: number;
  /** Blocks (from 0) in which every token attends to every other. */
  readonly globalBlocks: readonly number[];
  /** Whether the projection to queries, keys and values has a bias. */
  readonly qkvBias: boolean;
  /** Whether tokens get a learned embedding of their place. */
  readonly absolutePositions: boolean;
  /** Whether attention gets learned terms for the distance along rows and columns. */
  readonly relativePositions: boolean;
  /** SAM-Med2D's convolutional adapter beside every MLP. */
  readonly adapters: boolean;
  /**
   * How pixels become tokens. `patch`: one linear map of each patch, as released. `convolutions`: 3x3 convolutions that
   * halve the image until a token is left (Xiao 2021), which learn from few images.
   */
  readonly stem: 'patch' | 'convolutions';
  /** For a stem of convolutions: how many at each of its last three sizes, the first of them with stride 2. */
  readonly stemDepth: number;
  /** Rank of low-rank updates of queries and values in every block (SAMed: 4); 0 is none. */
  readonly loraRank: number;
};

export type DecoderConfig = {
  /** Two-way layers. */
  readonly depth: number;
  /** Attention heads. */
  readonly heads: number;
  /** Hidden channels of the MLPs on tokens. */
  readonly mlpDim: number;
  /** Masks for an ambiguous prompt; one more head answers unambiguous ones. */
  readonly multimaskOutputs: number;
  /** Linear layers of the head that predicts the IoU. */
  readonly iouHeadDepth: number;
  /** Hidden channels of that head. */
  readonly iouHeadDim: number;
  /** Convolutions on the upscaled map before masks are read off it; released models: null. */
  readonly refine: RefineConfig | null;
};

export type SamConfig = {
  readonly name: string;
  /** Side of the square input, px. */
  readonly imageSize: number;
  /** Side of a token, px. */
  readonly patchSize: number;
  /** Colour channels of the input. */
  readonly inChannels: number;
  /** Channels of the image embedding, of prompt tokens and of the decoder. */
  readonly embedDim: number;
  readonly encoder: ImageEncoderConfig;
  readonly decoder: DecoderConfig;
  /** Channels inside the convolutions that read a mask prompt. */
  readonly maskInChannels: number;
  /** Whether boxes are also drawn as a mask prompt when no mask is given; released models: no. */
  readonly boxMaps: boolean;
  /** Whether clicks are also drawn as spots on the mask prompt; released models: no. */
  readonly clickMaps: boolean;
  /** Whether maps of the convolutional stem join the decoder's upscaling (SAM 2); released models: no. */
  readonly highRes: boolean;
  /** Length of a text feature (BiomedCLIP: 512); 0 builds no text branch. */
  readonly textDim: number;
  /** How images are laid on the canvas for this family. */
  readonly geometry: GeometryRule;
  /** What a mask prompt holds: SAM is trained with raw logits, SAM-Med2D with probabilities. */
  readonly maskPrompt: 'logits' | 'probabilities';
};

/** Tokens along a side of the image. */
export function gridSize(config: Pick<SamConfig, 'imageSize' | 'patchSize'>): number {
  return config.imageSize / config.patchSize;
}

const SAM_DECODER: DecoderConfig = {
  depth: 2,
  heads: 8,
  mlpDim: 2048,
  multimaskOutputs: 3,
  iouHeadDepth: 3,
  iouHeadDim: 256,
  refine: null,
};

type Backbone = Pick<ImageEncoderConfig, 'dim' | 'depth' | 'heads' | 'globalBlocks'>;

const VIT_B: Backbone = { dim: 768, depth: 12, heads: 12, globalBlocks: [2, 5, 8, 11] };
const VIT_L: Backbone = { dim: 1024, depth: 24, heads: 16, globalBlocks: [5, 11, 17, 23] };
const VIT_H: Backbone = { dim: 1280, depth: 32, heads: 16, globalBlocks: [7, 15, 23, 31] };

function encoder(
  backbone: Backbone,
  adapters: boolean,
  changes: Partial<ImageEncoderConfig> = {},
): ImageEncoderConfig {
  return {
    ...backbone,
    mlpRatio: 4,
    windowSize: 14,
    qkvBias: true,
    absolutePositions: true,
    relativePositions: true,
    adapters,
    stem: 'patch',
    stemDepth: 1,
    loraRank: 0,
    ...changes,
  };
}

/** SAM at 1024 px: a bare ViT, the longer side fills the canvas. */
function sam(name: string, backbone: Backbone): SamConfig {
  return {
    name,
    imageSize: 1024,
    patchSize: 16,
    inChannels: 3,
    embedDim: 256,
    encoder: encoder(backbone, false),
    decoder: SAM_DECODER,
    maskInChannels: 16,
    boxMaps: false,
    clickMaps: false,
    highRes: false,
    textDim: 512,
    geometry: 'longest-side',
    maskPrompt: 'logits',
  };
}

/** SAM-Med2D at 256 px: adapters in every block, centred or stretched on the canvas. */
function samMed2d(
  name: string,
  imageEncoder: ImageEncoderConfig,
  changes: Partial<SamConfig> = {},
): SamConfig {
  return {
    ...sam(name, VIT_B),
    imageSize: 256,
    encoder: imageEncoder,
    geometry: 'sammed2d',
    maskPrompt: 'probabilities',
    ...changes,
  };
}

const SMALL_DECODER: DecoderConfig = {
  ...SAM_DECODER,
  mlpDim: 512,
  iouHeadDim: 128,
  refine: { depth: 3, channels: 64 },
};
const TINY_DECODER: DecoderConfig = {
  ...SAM_DECODER,
  heads: 4,
  mlpDim: 256,
  iouHeadDim: 64,
  refine: { depth: 3, channels: 32 },
};

/** What lets a small network learn from few images, in the encoder and around it. */
const FEW_IMAGES = { stem: 'convolutions', stemDepth: 3 } as const;
const SMALL = { boxMaps: true, clickMaps: true, highRes: true } as const;

export const SAM_CONFIGS = {
  sam_vit_b: sam('sam_vit_b', VIT_B),
  sam_vit_l: sam('sam_vit_l', VIT_L),
  sam_vit_h: sam('sam_vit_h', VIT_H),
  'sam-med2d_b': samMed2d('sam-med2d_b', encoder(VIT_B, true)),
  /** 23 million parameters; for fine-tuning on a GPU or overnight. */
  'sam-med2d-small': samMed2d(
    'sam-med2d-small',
    encoder({ dim: 256, depth: 8, heads: 4, globalBlocks: [1, 3, 5, 7] }, true, {
      windowSize: 8,
      ...FEW_IMAGES,
    }),
    { embedDim: 128, decoder: SMALL_DECODER, ...SMALL },
  ),
  /** 2.5 million parameters, half of them in the stem: for tests, demonstrations and machines with two cores. */
  'sam-med2d-tiny': samMed2d(
    'sam-med2d-tiny',
    encoder({ dim: 128, depth: 2, heads: 4, globalBlocks: [1] }, true, {
      windowSize: 8,
      mlpRatio: 3,
      ...FEW_IMAGES,
    }),
    { embedDim: 128, decoder: TINY_DECODER, ...SMALL, textDim: 128 }, // as biomedclip-tiny tells names
  ),
} as const satisfies Record<string, SamConfig>;

export type SamConfigName = keyof typeof SAM_CONFIGS;

export function isSamConfigName(name: string): name is SamConfigName {
  return Object.hasOwn(SAM_CONFIGS, name);
}

/** The configuration of that name. */
export function samConfig(name: string): SamConfig {
  if (isSamConfigName(name)) return SAM_CONFIGS[name];
  throw new UsageError(
    `samConfig: no model is named '${name}'; there are ${Object.keys(SAM_CONFIGS).join(', ')}.`,
  );
}

/** Refuses numbers that cannot make a network. */
export function checkSamConfig(config: SamConfig): void {
  const { encoder: e, decoder: d } = config;
  const wrong: string[] = [];
  const need = (holds: boolean, message: string) => {
    if (!holds) wrong.push(message);
  };
  const grid = gridSize(config);
  need(
    Number.isInteger(grid) && grid > 0,
    `imageSize ${config.imageSize} is not a multiple of patchSize ${config.patchSize}`,
  );
  need(
    e.stem === 'patch' || (Math.log2(config.patchSize) % 1 === 0 && e.dim % (config.patchSize / 2) === 0),
    `a stem of convolutions needs a patchSize that is a power of two and encoder.dim a multiple of half of it; found ${config.patchSize} and ${e.dim}`,
  );
  need(
    !config.highRes || (e.stem === 'convolutions' && config.patchSize >= 8),
    `highRes needs a stem of convolutions and a patchSize of at least 8; found ${e.stem} and ${config.patchSize}`,
  );
  need(Number.isInteger(e.stemDepth) && e.stemDepth > 0, `encoder.stemDepth ${e.stemDepth} is not positive`);
  need(
    !(config.boxMaps || config.clickMaps) || config.maskPrompt === 'probabilities',
    'boxMaps and clickMaps need maskPrompt probabilities',
  );
  need(e.dim % e.heads === 0, `encoder.dim ${e.dim} is not a multiple of encoder.heads ${e.heads}`);
  need(!e.adapters || grid % 2 === 0, `adapters halve the grid, which has an odd side of ${grid} tokens`);
  need(!e.adapters || e.dim % 4 === 0, `adapters need encoder.dim divisible by 4, found ${e.dim}`);
  need(
    Number.isInteger(e.loraRank) && e.loraRank >= 0 && e.loraRank <= e.dim,
    `encoder.loraRank ${e.loraRank} is not within 0..${e.dim}`,
  );
  need(e.windowSize > 0, `encoder.windowSize ${e.windowSize} is not positive`);
  need(
    e.globalBlocks.every((i) => Number.isInteger(i) && i >= 0 && i < e.depth),
    `encoder.globalBlocks [${e.globalBlocks}] are not all below depth ${e.depth}`,
  );
  need(config.embedDim % 8 === 0, `embedDim ${config.embedDim} is not a multiple of 8`);
  need(
    (config.embedDim / 2) % d.heads === 0,
    `embedDim / 2 = ${config.embedDim / 2} is not a multiple of decoder.heads ${d.heads}`,
  );
  need(
    d.refine === null || [d.refine.depth, d.refine.channels].every((x) => Number.isInteger(x) && x > 0),
    `decoder.refine ${JSON.stringify(d.refine)} is neither null nor made of positive whole numbers`,
  );
  need(config.maskInChannels % 4 === 0, `maskInChannels ${config.maskInChannels} is not a multiple of 4`);
  if (wrong.length > 0) throw new UsageError(`model '${config.name}': ${wrong.join('; ')}.`);
}
