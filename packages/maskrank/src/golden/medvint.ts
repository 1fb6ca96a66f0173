// Fixture medvint_td: MedVInT-TD stage by stage, its logits with and without a cache, and the greedy continuation. The fixture
// holds no gradients: those of the same network are compared with finite differences in double precision.

import { cat, fromTensorData, noGrad, type Tensor, tidy } from '@maskrank/torch';
import { generate } from '../models/medvint/generate.ts';
import { type Medvint, type MedvintConfig, medvintFromState } from '../models/medvint/index.ts';
import { compareElements, compareExact, need, numbers, under } from './compare.ts';
import { checkDirectionalGradients } from './finite-differences.ts';
import type { CheckResult, Fixture, GoldenCheck } from './types.ts';

/** The sizes in the fixture's JSON as a configuration. */
function configOf({ name, json, tensors }: Fixture): MedvintConfig {
  const { resnet, decoder, llama, lora } = json;
  return {
    name,
    vision: {
      width: resnet.width,
      blocks: resnet.layers.slice(0, 3),
      imageSize: tensors.get('in/image')!.shape[2] as number,
    },
    decoder: {
      queries: decoder.queries,
      layers: decoder.layers,
      heads: decoder.heads,
      ffnDim: decoder.ffn,
      positions: 'none',
    },
    llama: {
      vocabularySize: llama.vocab_size,
      dim: llama.hidden_size,
      layers: llama.num_hidden_layers,
      heads: llama.num_attention_heads,
      ffnDim: llama.intermediate_size,
      normEps: llama.rms_norm_eps,
      ropeTheta: llama.rope_parameters.rope_theta,
      maxPositions: llama.max_position_embeddings,
    },
    lora: { rank: lora.r, alpha: lora.alpha, targets: lora.targets },
    stopIds: [],
  };
}

const load = (fixture: Fixture, name: string): Tensor => fromTensorData(need(fixture, name));

function compare(fixture: Fixture, name: string, got: Tensor, what = name): CheckResult {
  const absolute: number = fixture.json.tolerance.forward;
  return compareElements(what, got.toFloat32Array(), numbers(fixture, name), { absolute, relative: 1e-4 });
}

function checkForward(fixture: Fixture, network: Medvint): CheckResult[] {
  const llama = network.llamacasual;
  const image = load(fixture, 'in/image');
  const ids = load(fixture, 'in/input_ids');
  const features = network.visionFeatures(image);
  const prompt = network.prompt(image, ids);
  const cache = llama.newCache(ids.size(0), prompt.size(1));
  const half = Math.floor(prompt.size(1) / 2);
  const parts = [prompt.slice(1, 0, half), prompt.slice(1, half, -1), prompt.slice(1, -1)].map((part) =>
    llama.features(part, cache),
  );
  cache.dispose();
  return [
    compare(fixture, 'out/vision_features', features),
    compare(fixture, 'out/query_features', network.queryFeatures(features)),
    compare(fixture, 'out/soft_tokens', network.softTokens(image)),
    compare(fixture, 'out/logits', network.forward(image, ids)),
    compare(fixture, 'out/logits', llama.logits(cat(parts, 1)), 'out/logits (cache, three passes)'),
  ];
}

/** One row after the other: `generate` takes one prompt. */
async function checkGreedy(fixture: Fixture, network: Medvint): Promise<CheckResult> {
  const { shape } = need(fixture, 'out/greedy_ids');
  const [rows, maxNewTokens] = shape as [number, number];
  const got: number[] = [];
  for (let row = 0; row < rows; row++) {
    const prompt = noGrad(() =>
      tidy(() => {
        const one = (name: string) => load(fixture, name).slice(0, row, row + 1);
        return network.prompt(one('in/image'), one('in/input_ids'));
      }),
    );
    const ids = generate(network.llamacasual, prompt, { maxNewTokens, stopIds: [] });
    for await (const id of ids) got.push(id);
    prompt.dispose();
  }
  return compareExact('out/greedy_ids', got, numbers(fixture, 'out/greedy_ids'));
}

/** Parameters of every kind, by the stage whose output's mean square they are derived from. */
const DERIVED: Readonly<Record<'features' | 'logits', readonly string[]>> = {
  features: [
    'vision_model.0.weight',
    'vision_model.11.0.downsample.0.weight',
    'vision_model.12.1.bn3.weight',
  ],
  logits: [
    'vision_model.12.1.bn3.weight',
    'query_embed.weight',
    'decoder.layers.0.multihead_attn.in_proj_weight',
    'decoder.layers.2.linear1.weight',
    'fc_l2.bias',
    'llamacasual.model.embed_tokens.weight',
    'llamacasual.model.layers.0.self_attn.q_proj.weight',
    'llamacasual.model.layers.1.self_attn.v_proj.weight',
    'llamacasual.model.layers.1.mlp.gate_proj.weight',
    'llamacasual.model.layers.2.input_layernorm.weight',
    'llamacasual.lm_head.weight',
  ],
};

function checkGradients(fixture: Fixture, network: Medvint): CheckResult[] {
  network.to('float64').requiresGrad_(true);
  const image = load(fixture, 'in/image').to('float64').requiresGrad_();
  const ids = load(fixture, 'in/input_ids');
  const parameters = new Map<string, Tensor>(network.namedParameters());
  const named = (names: readonly string[]) =>
    names.map((name): [string, Tensor] => [name, parameters.get(name) as Tensor]);
  return [
    ...checkDirectionalGradients(
      () => network.visionFeatures(image).pow(2).mean(),
      [['image', image], ...named(DERIVED.features)],
    ),
    ...checkDirectionalGradients(() => network.forward(image, ids).pow(2).mean(), named(DERIVED.logits)),
  ];
}

export const medvint: GoldenCheck = {
  covers: (name) => name === 'medvint_td',
  run: async (fixture) => {
    const { network } = await medvintFromState(under(fixture, 'weights/'), {
      config: configOf(fixture),
      storage: 'float32',
      source: fixture.name,
    });
    try {
      const results = noGrad(() => tidy(() => checkForward(fixture, network)));
      results.push(await checkGreedy(fixture, network));
      results.push(...tidy(() => checkGradients(fixture, network)));
      return results;
    } finally {
      network.dispose();
    }
  },
};
