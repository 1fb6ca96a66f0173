// Names of the same weights in other files, turned into open_clip's: wrappers put around a network while it was trained, and the
// port of BiomedCLIP to the transformers library, which also splits the packed projection and drops unit dimensions.
// Not here: OpenAI's own names, which the modules have already.

import { DataError } from '@maskrank/torch/errors';
import type { TensorData } from '@maskrank/torch/io';

type State = ReadonlyMap<string, TensorData>;

/** Prefixes that wrappers (data parallel, MedCLIP-SAM's fine-tuning) put before every key. */
const WRAPPERS = ['module.', 'model.'] as const;

function unwrap(state: State): State {
  const prefix = WRAPPERS.find((p) => state.size > 0 && [...state.keys()].every((key) => key.startsWith(p)));
  if (prefix === undefined) return state;
  return unwrap(new Map([...state].map(([key, tensor]) => [key.slice(prefix.length), tensor])));
}

/** Whole names of the port, then its blocks' members. */
const PORT_NAMES: Readonly<Record<string, string>> = {
  'visual_projection.weight': 'visual.head.proj.weight',
  'vision_model.embeddings.class_embedding': 'visual.trunk.cls_token',
  'vision_model.embeddings.position_embedding.weight': 'visual.trunk.pos_embed',
  'text_projection.fc1.weight': 'text.proj.0.weight',
  'text_projection.fc2.weight': 'text.proj.2.weight',
  'text_model.embeddings.token_embedding.weight': 'text.transformer.embeddings.word_embeddings.weight',
  'text_model.embeddings.position_embedding.weight': 'text.transformer.embeddings.position_embeddings.weight',
  'text_model.embeddings.token_type_embedding.weight':
    'text.transformer.embeddings.token_type_embeddings.weight',
};

const PORT_MODULES: readonly (readonly [RegExp, string])[] = [
  [/^vision_model\.embeddings\.patch_embedding\./, 'visual.trunk.patch_embed.proj.'],
  [/^vision_model\.post_layernorm\./, 'visual.trunk.norm.'],
  [/^vision_model\.encoder\.layers\.(\d+)\.layer_norm([12])\./, 'visual.trunk.blocks.$1.norm$2.'],
  [/^vision_model\.encoder\.layers\.(\d+)\.self_attn\.out_proj\./, 'visual.trunk.blocks.$1.attn.proj.'],
  [/^vision_model\.encoder\.layers\.(\d+)\.mlp\./, 'visual.trunk.blocks.$1.mlp.'],
  [/^text_model\.embeddings\.layer_norm\./, 'text.transformer.embeddings.LayerNorm.'],
  [
    /^text_model\.encoder\.layers\.(\d+)\.self_attn\.q_proj\./,
    'text.transformer.encoder.layer.$1.attention.self.query.',
  ],
  [
    /^text_model\.encoder\.layers\.(\d+)\.self_attn\.k_proj\./,
    'text.transformer.encoder.layer.$1.attention.self.key.',
  ],
  [
    /^text_model\.encoder\.layers\.(\d+)\.self_attn\.v_proj\./,
    'text.transformer.encoder.layer.$1.attention.self.value.',
  ],
  [
    /^text_model\.encoder\.layers\.(\d+)\.self_attn\.out_proj\./,
    'text.transformer.encoder.layer.$1.attention.output.dense.',
  ],
  [
    /^text_model\.encoder\.layers\.(\d+)\.layer_norm1\./,
    'text.transformer.encoder.layer.$1.attention.output.LayerNorm.',
  ],
  [
    /^text_model\.encoder\.layers\.(\d+)\.mlp\.fc1\./,
    'text.transformer.encoder.layer.$1.intermediate.dense.',
  ],
  [/^text_model\.encoder\.layers\.(\d+)\.mlp\.fc2\./, 'text.transformer.encoder.layer.$1.output.dense.'],
  [
    /^text_model\.encoder\.layers\.(\d+)\.layer_norm2\./,
    'text.transformer.encoder.layer.$1.output.LayerNorm.',
  ],
];

/** One of the three projections that open_clip packs into one. */
const SPLIT = /^vision_model\.encoder\.layers\.(\d+)\.self_attn\.q_proj\.(weight|bias)$/;
const SPLIT_OTHERS = /^vision_model\.encoder\.layers\.\d+\.self_attn\.[kv]_proj\.(weight|bias)$/;

/** Dimensions of size one that the port dropped in front. */
const UNIT_DIMENSIONS: Readonly<Record<string, number>> = {
  'visual.trunk.cls_token': 2,
  'visual.trunk.pos_embed': 1,
};

function portName(key: string): string {
  const whole = PORT_NAMES[key];
  if (whole !== undefined) return whole;
  const rule = PORT_MODULES.find(([pattern]) => pattern.test(key));
  return rule === undefined ? key : key.replace(rule[0], rule[1]);
}

function joinRows(parts: readonly TensorData[]): TensorData {
  const [first] = parts as [TensorData];
  const length = parts.reduce((sum, { data }) => sum + data.length, 0);
  const data = new (first.data.constructor as typeof Float32Array)(length);
  let at = 0;
  for (const part of parts) {
    data.set(part.data as Float32Array, at);
    at += part.data.length;
  }
  const rows = parts.reduce((sum, { shape }) => sum + (shape[0] as number), 0);
  return { ...first, shape: [rows, ...first.shape.slice(1)], data } as TensorData;
}

/** Query, key and value rows of a block as one tensor. */
function packed(state: State, key: string): TensorData {
  const parts = ['q_proj', 'k_proj', 'v_proj'].map((name) => state.get(key.replace('q_proj', name)));
  const same = parts.every((part) => part !== undefined && part.dtype === parts[0]?.dtype);
  if (same) return joinRows(parts as TensorData[]);
  throw new DataError(
    `${key}: the file lacks its keys or values, or their type differs; allowed: all three alike.`,
  );
}

function fromPort(state: State): State {
  if (!state.has('vision_model.embeddings.class_embedding')) return state;
  const renamed = new Map<string, TensorData>();
  for (const [key, tensor] of state) {
    const split = SPLIT.exec(key);
    if (split !== null)
      renamed.set(`visual.trunk.blocks.${split[1]}.attn.qkv.${split[2]}`, packed(state, key));
    else if (!SPLIT_OTHERS.test(key)) {
      const name = portName(key);
      const ones = new Array<number>(UNIT_DIMENSIONS[name] ?? 0).fill(1);
      renamed.set(name, { ...tensor, shape: [...ones, ...tensor.shape] } as TensorData);
    }
  }
  return renamed;
}

/** The state under open_clip's names; what no rule knows keeps its name. */
export function toOpenClipKeys(state: State): State {
  return fromPort(unwrap(state));
}
