// The numbers that make a MedVInT-TD (Zhang 2023, "PMC-VQA"): the released one, on LLaMA-7B, and two small ones of the same code.
// A configuration is plain data. Not here: names and shapes of the tensors (shapes.ts).

import { UsageError } from '@maskrank/torch/errors';

/** PMC-CLIP's ResNet (a "modified ResNet" of CLIP) up to the third of its four stages. */
export type VisionConfig = {
  /** Channels of the first stage's bottlenecks; a stage puts out four times its own, and each doubles the one before. */
  readonly width: number;
  /** Bottleneck blocks of the three stages. */
  readonly blocks: readonly [number, number, number];
  /** Side of the square input, px; stride 16. */
  readonly imageSize: number;
};

export type QueryDecoderConfig = {
  /** Learned queries: so many soft tokens stand for the image. */
  readonly queries: number;
  readonly layers: number;
  readonly heads: number;
  /** Hidden channels of the feed-forward networks. */
  readonly ffnDim: number;
  /**
   * Whether features are told their places (positions.ts). The released network is told none and knows what the convolutions'
   * padding gives away; `sine` adds them, without parameters, before the last stage of the vision tower and behind it, so that
   * places are learned from few images.
   */
  readonly positions: 'none' | 'sine';
};

export type LlamaConfig = {
  readonly vocabularySize: number;
  /** Channels of a token. */
  readonly dim: number;
  readonly layers: number;
  readonly heads: number;
  /** Hidden channels of the gated feed-forward networks. */
  readonly ffnDim: number;
  readonly normEps: number;
  /** Base of the rotary wavelengths. */
  readonly ropeTheta: number;
  /** Tokens that the model has learned to place. */
  readonly maxPositions: number;
};

/** Low-rank updates that released files keep beside LLaMA's weights; loading merges them. */
export type LoraConfig = {
  readonly rank: number;
  /** The update is scaled by `alpha / rank`. */
  readonly alpha: number;
  /** Projections that have one, in every layer. */
  readonly targets: readonly ('q_proj' | 'k_proj' | 'v_proj' | 'o_proj')[];
};

export type MedvintConfig = {
  readonly name: string;
  readonly vision: VisionConfig;
  readonly decoder: QueryDecoderConfig;
  readonly llama: LlamaConfig;
  readonly lora: LoraConfig;
  /** Ids that end an answer; training writes the first. Released weights were trained to end on 1; LLaMA alone ends on 2. */
  readonly stopIds: readonly number[];
};

/** Px of the image that a place of the vision features stands for, in each direction. */
const PLACE_PX = 16;

/** Places along a side of the vision features. */
export function featureSide({ vision }: Pick<MedvintConfig, 'vision'>): number {
  return vision.imageSize / PLACE_PX;
}

/** Channels of the vision features, of the queries and of the decoder. */
export function featureDim({ vision }: Pick<MedvintConfig, 'vision'>): number {
  return 16 * vision.width;
}

export const MEDVINT_CONFIGS = {
  'medvint-td': {
    name: 'medvint-td',
    vision: { width: 64, blocks: [3, 4, 6], imageSize: 512 },
    decoder: { queries: 32, layers: 12, heads: 8, ffnDim: 1024, positions: 'none' },
    llama: {
      vocabularySize: 32000,
      dim: 4096,
      layers: 32,
      heads: 32,
      ffnDim: 11008,
      normEps: 1e-6,
      ropeTheta: 10000,
      maxPositions: 2048,
    },
    lora: { rank: 8, alpha: 32, targets: ['q_proj', 'v_proj'] },
    stopIds: [1, 2],
  },
  /** What `pretrain vqa` trains for use on small machines: some 3 M parameters. */
  'medvint-tiny': {
    name: 'medvint-tiny',
    vision: { width: 16, blocks: [1, 2, 3], imageSize: 128 },
    decoder: { queries: 24, layers: 2, heads: 8, ffnDim: 512, positions: 'sine' },
    llama: {
      vocabularySize: 768,
      dim: 96,
      layers: 3,
      heads: 3,
      ffnDim: 256,
      normEps: 1e-6,
      ropeTheta: 10000,
      maxPositions: 256,
    },
    lora: { rank: 8, alpha: 32, targets: ['q_proj', 'v_proj'] },
    stopIds: [2],
  },
  /** For tests: every part, 400 pieces. */
  'medvint-nano': {
    name: 'medvint-nano',
    vision: { width: 4, blocks: [2, 1, 1], imageSize: 64 },
    decoder: { queries: 4, layers: 2, heads: 4, ffnDim: 32, positions: 'none' },
    llama: {
      vocabularySize: 400,
      dim: 32,
      layers: 2,
      heads: 4,
      ffnDim: 48,
      normEps: 1e-6,
      ropeTheta: 10000,
      maxPositions: 256,
    },
    lora: { rank: 2, alpha: 8, targets: ['q_proj', 'v_proj'] },
    stopIds: [1, 2],
  },
} as const satisfies Record<string, MedvintConfig>;

export type MedvintConfigName = keyof typeof MEDVINT_CONFIGS;

export function isMedvintConfigName(name: string): name is MedvintConfigName {
  return Object.hasOwn(MEDVINT_CONFIGS, name);
}

/** The configuration of that name. */
export function medvintConfig(name: string): MedvintConfig {
  if (isMedvintConfigName(name)) return MEDVINT_CONFIGS[name];
  throw new UsageError(
    `medvintConfig: no model is named '${name}'; there are ${Object.keys(MEDVINT_CONFIGS).join(', ')}.`,
  );
}

/** Refuses numbers that cannot make a network. */
export function checkMedvintConfig(config: MedvintConfig): void {
  const { vision: v, decoder: d, llama: l, lora } = config;
  const wrong: string[] = [];
  const need = (holds: boolean, message: string) => void (holds || wrong.push(message));
  const counts = {
    'vision.width': v.width,
    'decoder.queries': d.queries,
    'decoder.layers': d.layers,
    'decoder.heads': d.heads,
    'decoder.ffnDim': d.ffnDim,
    'llama.vocabularySize': l.vocabularySize,
    'llama.layers': l.layers,
    'llama.heads': l.heads,
    'llama.ffnDim': l.ffnDim,
    'llama.maxPositions': l.maxPositions,
    'lora.rank': lora.rank,
  };
  for (const [name, count] of Object.entries(counts))
    need(Number.isInteger(count) && count > 0, `${name} ${count} is not a positive whole number`);
  need(v.width % 2 === 0, `vision.width ${v.width} is odd; the first convolutions have half of it`);
  need(
    v.blocks.every((n) => Number.isInteger(n) && n > 0),
    `vision.blocks [${v.blocks}] are not all positive whole numbers`,
  );
  need(
    Number.isInteger(featureSide(config)) && v.imageSize > 0,
    `vision.imageSize ${v.imageSize} is not a multiple of ${PLACE_PX}`,
  );
  need(
    d.positions === 'none' || featureDim(config) % 4 === 0,
    `${featureDim(config)} channels cannot hold sines of two directions, which takes a multiple of 4`,
  );
  need(
    featureDim(config) % d.heads === 0,
    `${featureDim(config)} channels (16 times vision.width) cannot be divided into ${d.heads} decoder.heads`,
  );
  need(
    l.dim % (2 * l.heads) === 0,
    `llama.dim ${l.dim} is not a multiple of twice llama.heads ${l.heads}; rotary positions turn channels in pairs`,
  );
  const inside = (id: number) => Number.isInteger(id) && id >= 0 && id < l.vocabularySize;
  need(config.stopIds.every(inside), `stopIds [${config.stopIds}] are not all below ${l.vocabularySize}`);
  if (wrong.length > 0) throw new UsageError(`checkMedvintConfig(${config.name}): ${wrong.join('; ')}.`);
}
