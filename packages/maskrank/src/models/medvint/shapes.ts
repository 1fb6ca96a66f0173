// Names and shapes of every tensor of a MedVInT-TD, computed from its numbers: a file can be checked, and a model's size
// told, without allocating it. The names are those of the network's state (network.ts); files spell some of them otherwise
// (released-names.ts).

import {
  featureDim,
  type LlamaConfig,
  type MedvintConfig,
  type QueryDecoderConfig,
  type VisionConfig,
} from './config.ts';

type Shapes = [name: string, shape: readonly number[]][];

const under = (prefix: string, shapes: Shapes): Shapes =>
  shapes.map(([name, shape]) => [`${prefix}.${name}`, shape]);

const linear = (name: string, inDim: number, outDim: number): Shapes => [
  [`${name}.weight`, [outDim, inDim]],
  [`${name}.bias`, [outDim]],
];

const norm = (name: string, dim: number): Shapes => [
  [`${name}.weight`, [dim]],
  [`${name}.bias`, [dim]],
];

const batchNorm = (name: string, channels: number): Shapes => [
  ...norm(name, channels),
  [`${name}.running_mean`, [channels]],
  [`${name}.running_var`, [channels]],
  [`${name}.num_batches_tracked`, []],
];

const conv = (name: string, inChannels: number, outChannels: number, side: number): Shapes => [
  [`${name}.weight`, [outChannels, inChannels, side, side]],
];

function bottleneck(inChannels: number, channels: number, hasShortcut: boolean): Shapes {
  const outChannels = 4 * channels;
  return [
    ...conv('conv1', inChannels, channels, 1),
    ...batchNorm('bn1', channels),
    ...conv('conv2', channels, channels, 3),
    ...batchNorm('bn2', channels),
    ...conv('conv3', channels, outChannels, 1),
    ...batchNorm('bn3', outChannels),
    ...(hasShortcut ? conv('downsample.0', inChannels, outChannels, 1) : []),
    ...(hasShortcut ? batchNorm('downsample.1', outChannels) : []),
  ];
}

/** Places of the parts in the released `Sequential`: three convolutions with norm and ReLU, a pool, three stages. */
function visionShapes({ width, blocks }: VisionConfig): Shapes {
  const half = width / 2;
  const stem = [
    ...[...conv('0', 3, half, 3), ...batchNorm('1', half)],
    ...[...conv('3', half, half, 3), ...batchNorm('4', half)],
    ...[...conv('6', half, width, 3), ...batchNorm('7', width)],
  ];
  const stages = blocks.flatMap((count, stage) => {
    const channels = width * 2 ** stage;
    const before = stage === 0 ? width : 2 * channels;
    return Array.from({ length: count }, (_, i) =>
      under(`${10 + stage}.${i}`, bottleneck(i === 0 ? before : 4 * channels, channels, i === 0)),
    ).flat();
  });
  return [...stem, ...stages];
}

const attention = (name: string, dim: number): Shapes => [
  [`${name}.in_proj_weight`, [3 * dim, dim]],
  [`${name}.in_proj_bias`, [3 * dim]],
  ...linear(`${name}.out_proj`, dim, dim),
];

function decoderShapes({ layers, ffnDim }: QueryDecoderConfig, dim: number): Shapes {
  const layer = [
    ...attention('self_attn', dim),
    ...attention('multihead_attn', dim),
    ...linear('linear1', dim, ffnDim),
    ...linear('linear2', ffnDim, dim),
    ...['norm1', 'norm2', 'norm3'].flatMap((name) => norm(name, dim)),
  ];
  const all = Array.from({ length: layers }, (_, i) => under(`layers.${i}`, layer));
  return [...all.flat(), ...norm('norm', dim)];
}

function llamaShapes({ vocabularySize, dim, layers, ffnDim }: LlamaConfig): Shapes {
  const layer: Shapes = [
    ...['q_proj', 'k_proj', 'v_proj', 'o_proj'].map((name): Shapes[number] => [
      `self_attn.${name}.weight`,
      [dim, dim],
    ]),
    ['mlp.gate_proj.weight', [ffnDim, dim]],
    ['mlp.up_proj.weight', [ffnDim, dim]],
    ['mlp.down_proj.weight', [dim, ffnDim]],
    ['input_layernorm.weight', [dim]],
    ['post_attention_layernorm.weight', [dim]],
  ];
  return [
    ['model.embed_tokens.weight', [vocabularySize, dim]],
    ...Array.from({ length: layers }, (_, i) => under(`model.layers.${i}`, layer)).flat(),
    ['model.norm.weight', [dim]],
    ['lm_head.weight', [vocabularySize, dim]],
  ];
}

/** Shape of every tensor by its name, in the network's order; nothing is allocated. */
export function medvintShapes(config: MedvintConfig): Map<string, readonly number[]> {
  const dim = featureDim(config);
  return new Map([
    ...under('vision_model', visionShapes(config.vision)),
    ['query_embed.weight', [config.decoder.queries, dim]],
    ...under('decoder', decoderShapes(config.decoder, dim)),
    ...linear('fc_l1', dim, dim),
    ...linear('fc_l2', dim, config.llama.dim),
    ...under('llamacasual', llamaShapes(config.llama)),
  ]);
}

/** Trained numbers (statistics of batch norms are none) of the whole, or of the part whose names begin with `prefix`. */
export function countParameters(config: MedvintConfig, prefix = ''): number {
  let count = 0;
  for (const [name, shape] of medvintShapes(config)) {
    const isStatistic = /\.(running_(mean|var)|num_batches_tracked)$/.test(name);
    if (!isStatistic && name.startsWith(prefix)) count += shape.reduce((product, n) => product * n, 1);
  }
  return count;
}

/** Whether a tensor is one of LLaMA's large ones: those that may be stored in fewer bits. */
export function isCompressible(name: string): boolean {
  return /^llamacasual\.(lm_head|model\.embed_tokens|model\.layers\.\d+\.(self_attn|mlp)\.\w+_proj)\.weight$/.test(
    name,
  );
}
