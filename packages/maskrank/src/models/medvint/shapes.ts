// Names and shapes of every tensor of a MedVInT-TD, computed from its numbers: a file can be checked, and a model's size
// told, without allocating it. The names are those of the network's state (network.ts); files spell some of them otherwise
// (released-names.ts).

import {
  batchNorm,
  conv,
  countTrained,
  type Entry,
  linear,
  norm,
  resNetStage,
  times,
  under,
} from '../state-entries.ts';
import {
  featureDim,
  type LlamaConfig,
  type MedvintConfig,
  type QueryDecoderConfig,
  type VisionConfig,
} from './config.ts';

/** Places of the parts in the released `Sequential`: three convolutions with norm and ReLU, a pool, three stages. */
function visionShapes({ width, blocks }: VisionConfig): Entry[] {
  const half = width / 2;
  const stem = [
    ...[...conv('0', 3, half, 3), ...batchNorm('1', half)],
    ...[...conv('3', half, half, 3), ...batchNorm('4', half)],
    ...[...conv('6', half, width, 3), ...batchNorm('7', width)],
  ];
  const stages = blocks.flatMap((count, stage) =>
    resNetStage(`${10 + stage}`, { stage, width, blocks: count }),
  );
  return [...stem, ...stages];
}

const attention = (name: string, dim: number): Entry[] => [
  [`${name}.in_proj_weight`, [3 * dim, dim]],
  [`${name}.in_proj_bias`, [3 * dim]],
  ...linear(`${name}.out_proj`, dim, dim),
];

function decoderShapes({ layers, ffnDim }: QueryDecoderConfig, dim: number): Entry[] {
  const layer = [
    ...attention('self_attn', dim),
    ...attention('multihead_attn', dim),
    ...linear('linear1', dim, ffnDim),
    ...linear('linear2', ffnDim, dim),
    ...['norm1', 'norm2', 'norm3'].flatMap((name) => norm(name, dim)),
  ];
  return [...times(layers, 'layers', () => layer), ...norm('norm', dim)];
}

function llamaShapes({ vocabularySize, dim, layers, ffnDim }: LlamaConfig): Entry[] {
  const layer: Entry[] = [
    ...['q_proj', 'k_proj', 'v_proj', 'o_proj'].map(
      (name): Entry => [`self_attn.${name}.weight`, [dim, dim]],
    ),
    ['mlp.gate_proj.weight', [ffnDim, dim]],
    ['mlp.up_proj.weight', [ffnDim, dim]],
    ['mlp.down_proj.weight', [dim, ffnDim]],
    ['input_layernorm.weight', [dim]],
    ['post_attention_layernorm.weight', [dim]],
  ];
  return [
    ['model.embed_tokens.weight', [vocabularySize, dim]],
    ...times(layers, 'model.layers', () => layer),
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
  return countTrained([...medvintShapes(config)].filter(([name]) => name.startsWith(prefix)));
}

/** Whether a tensor is one of LLaMA's large ones: those that may be stored in fewer bits. */
export function isCompressible(name: string): boolean {
  return /^llamacasual\.(lm_head|model\.embed_tokens|model\.layers\.\d+\.(self_attn|mlp)\.\w+_proj)\.weight$/.test(
    name,
  );
}
