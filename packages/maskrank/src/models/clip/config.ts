// The numbers that make a CLIP: BiomedCLIP (Zhang 2023; a timm ViT beside a BERT), OpenAI's CLIP with a ViT or a modified ResNet
// (Radford 2021), and a small network of BiomedCLIP's code for tests and small machines. Plain data, saved beside the weights.
// Not here: guessing the configuration of a weight file (infer-config.ts), the state dict's shapes (state-shapes.ts).

import { UsageError } from '@maskrank/torch/errors';

/** Vision transformer of timm, class token pooled (BiomedCLIP). */
export type TimmVitConfig = {
  readonly kind: 'timm-vit';
  /** Side of the square input, px. */
  readonly imageSize: number;
  /** Side of a token, px. */
  readonly patchSize: number;
  /** Channels of a token. */
  readonly dim: number;
  /** Transformer blocks. */
  readonly depth: number;
  /** Attention heads; `dim / heads` channels each. */
  readonly heads: number;
  /** Hidden channels of a block's MLP, as a multiple of `dim`. */
  readonly mlpRatio: number;
  /** Pixels to tokens: a linear map of patches as released, or 3x3 convolutions, from which small networks learn sooner. */
  readonly stem: 'patch' | 'convolutions';
  /** For a stem of convolutions: how many at each of its last three sizes, the first of them with stride 2. */
  readonly stemDepth: number;
};

/** Vision transformer of OpenAI's CLIP: a norm before the blocks, MLPs of 4 `dim`, no bias on the patches. */
export type ClipVitConfig = Omit<TimmVitConfig, 'kind' | 'mlpRatio' | 'stem' | 'stemDepth'> & {
  readonly kind: 'clip-vit';
};

/** Modified ResNet of OpenAI's CLIP with attention pooling. */
export type ClipResNetConfig = {
  readonly kind: 'clip-resnet';
  /** Side of the square input, px; the last stage has a 32nd of it. */
  readonly imageSize: number;
  /** Bottleneck blocks in each of the four stages. */
  readonly stages: readonly [number, number, number, number];
  /** Channels after the stem; the last stage has 32 times as many. */
  readonly width: number;
  /** Heads of the attention that pools. */
  readonly heads: number;
};

export type ClipVisionConfig = TimmVitConfig | ClipVitConfig | ClipResNetConfig;

/** BERT (Devlin 2018) with a projection of two layers on the class token's last state. */
export type BertTextConfig = {
  readonly kind: 'bert';
  /** Word pieces. */
  readonly vocabulary: number;
  /** Word pieces of a text, `[CLS]` and `[SEP]` among them; longer ones are cut. */
  readonly context: number;
  /** Rows of the table of positions; at least `context`. */
  readonly positions: number;
  readonly dim: number;
  readonly depth: number;
  readonly heads: number;
  /** Hidden channels of a layer's MLP. */
  readonly mlpDim: number;
};

/** Causal transformer of OpenAI's CLIP, read at the end-of-text token. */
export type ClipTextConfig = {
  readonly kind: 'clip-text';
  /** Tokens; the largest id ends a text. */
  readonly vocabulary: number;
  /** Tokens of a text. */
  readonly context: number;
  readonly dim: number;
  readonly depth: number;
  readonly heads: number;
};

type Common = {
  readonly name: string;
  /** Channels that images and texts share. */
  readonly embedDim: number;
};

export type BiomedClipConfig = Common & {
  readonly family: 'biomedclip';
  readonly vision: TimmVitConfig;
  readonly text: BertTextConfig;
};

export type OpenAiClipConfig = Common & {
  readonly family: 'openai';
  readonly vision: ClipVitConfig | ClipResNetConfig;
  readonly text: ClipTextConfig;
};

export type ClipConfig = BiomedClipConfig | OpenAiClipConfig;

/** Channels between the two layers of BERT's projection: open_clip's rule. */
export function projectionDim(textDim: number, embedDim: number): number {
  return Math.floor((textDim + embedDim) / 2);
}

/** Cells along a side of the vision tower's last map. */
export function visionGrid(vision: ClipVisionConfig): number {
  return vision.imageSize / (vision.kind === 'clip-resnet' ? 32 : vision.patchSize);
}

const VIT_B_16 = { imageSize: 224, patchSize: 16, dim: 768, depth: 12, heads: 12 } as const;

const CLIP_TEXT: ClipTextConfig = {
  kind: 'clip-text',
  vocabulary: 49_408,
  context: 77,
  dim: 512,
  depth: 12,
  heads: 8,
};

const TINY_TEXT: BertTextConfig = {
  kind: 'bert',
  vocabulary: 2048,
  context: 64,
  positions: 64,
  dim: 64,
  depth: 2,
  heads: 1,
  mlpDim: 256,
};

export const CLIP_CONFIGS = {
  /** 196 million parameters. */
  biomedclip: {
    name: 'biomedclip',
    family: 'biomedclip',
    embedDim: 512,
    vision: { kind: 'timm-vit', ...VIT_B_16, mlpRatio: 4, stem: 'patch', stemDepth: 1 },
    text: {
      kind: 'bert',
      vocabulary: 30_522,
      context: 256,
      positions: 512,
      dim: 768,
      depth: 12,
      heads: 12,
      mlpDim: 3072,
    },
  },
  /**
   * 0.9 million parameters: for tests, demonstrations and training on two cores. Its map is as fine as BiomedCLIP's. Channels of
   * tokens and of what images and texts share are equally many, so that places can be compared with texts in training.
   */
  'biomedclip-tiny': {
    name: 'biomedclip-tiny',
    family: 'biomedclip',
    embedDim: 128,
    vision: {
      kind: 'timm-vit',
      imageSize: 112,
      patchSize: 8,
      dim: 128,
      depth: 3,
      heads: 2,
      mlpRatio: 2,
      stem: 'convolutions',
      stemDepth: 2,
    },
    text: TINY_TEXT,
  },
  /** The same with a third of the places: what two busy cores train in minutes from few images. */
  'biomedclip-nano': {
    name: 'biomedclip-nano',
    family: 'biomedclip',
    embedDim: 128,
    vision: {
      kind: 'timm-vit',
      imageSize: 128,
      patchSize: 16,
      dim: 128,
      depth: 3,
      heads: 2,
      mlpRatio: 2,
      stem: 'convolutions',
      stemDepth: 1,
    },
    text: TINY_TEXT,
  },
  'clip-vit-b-16': {
    name: 'clip-vit-b-16',
    family: 'openai',
    embedDim: 512,
    vision: { kind: 'clip-vit', ...VIT_B_16 },
    text: CLIP_TEXT,
  },
  'clip-rn50': {
    name: 'clip-rn50',
    family: 'openai',
    embedDim: 1024,
    vision: { kind: 'clip-resnet', imageSize: 224, stages: [3, 4, 6, 3], width: 64, heads: 32 },
    text: CLIP_TEXT,
  },
} as const satisfies Record<string, ClipConfig>;

export type ClipConfigName = keyof typeof CLIP_CONFIGS;

/** The configuration of that name. */
export function clipConfig(name: string): ClipConfig {
  if (Object.hasOwn(CLIP_CONFIGS, name)) return CLIP_CONFIGS[name as ClipConfigName];
  throw new UsageError(
    `clipConfig: no model is named '${name}'; there are ${Object.keys(CLIP_CONFIGS).join(', ')}.`,
  );
}

/** Refuses numbers that cannot make a network. */
export function checkClipConfig({ name, vision, text }: ClipConfig): void {
  const wrong: string[] = [];
  const need = (holds: boolean, message: string) => {
    if (!holds) wrong.push(message);
  };
  const grid = visionGrid(vision);
  const cell = vision.kind === 'clip-resnet' ? 32 : vision.patchSize;
  need(
    Number.isInteger(grid) && grid > 0,
    `vision.imageSize ${vision.imageSize} is not a multiple of ${cell}`,
  );
  const channels = vision.kind === 'clip-resnet' ? 32 * vision.width : vision.dim;
  need(
    channels % vision.heads === 0,
    `vision: ${channels} channels cannot be divided into ${vision.heads} heads`,
  );
  if (vision.kind === 'timm-vit' && vision.stem === 'convolutions') {
    need(
      Math.log2(cell) >= 3 && Number.isInteger(Math.log2(cell)) && vision.dim % (cell / 2) === 0,
      `vision: a stem of convolutions ends at tokens of 8, 16, 32, ... px whose half divides vision.dim; found ${cell} px and ${vision.dim}`,
    );
  }
  need(text.dim % text.heads === 0, `text.dim ${text.dim} is not a multiple of text.heads ${text.heads}`);
  if (text.kind === 'bert') {
    need(
      text.context <= text.positions,
      `text.context ${text.context} is more than the ${text.positions} positions`,
    );
  }
  if (wrong.length > 0) throw new UsageError(`model '${name}': ${wrong.join('; ')}.`);
}
