// Fixture biomedclip: BiomedCLIP's towers against open_clip's (timm and transformers underneath): features, embeddings, logits,
// every block's output, and the gradients of one logit with respect to all blocks and parameters.

import { fromTensorData, type Tensor, tidy } from '@maskrank/torch';
import { type BiomedClipConfig, type Clip, clipFromState, unitRows } from '../models/clip/index.ts';
import { checkFact, compareElements, compareGradient, need, numbers, under } from './compare.ts';
import type { CheckResult, Fixture, GoldenCheck } from './types.ts';

const GRADIENTS = 'grad/logit_0_1/';

function configOf({ json }: Fixture): BiomedClipConfig {
  const { vision, text } = json;
  return {
    name: 'fixture',
    family: 'biomedclip',
    embedDim: json.embed_dim,
    vision: {
      kind: 'timm-vit',
      imageSize: vision.img_size,
      patchSize: vision.patch_size,
      dim: vision.embed_dim,
      depth: vision.depth,
      heads: vision.num_heads,
      mlpRatio: 4,
      stem: 'patch',
      stemDepth: 1,
    },
    text: {
      kind: 'bert',
      vocabulary: text.vocab_size,
      context: text.max_position_embeddings,
      positions: text.max_position_embeddings,
      dim: text.hidden_size,
      depth: text.num_hidden_layers,
      heads: text.num_attention_heads,
      mlpDim: text.intermediate_size,
    },
  };
}

/** |got - ref| <= t + t |ref|: the JSON states one number. */
function compareForward(fixture: Fixture, name: string, got: Tensor): CheckResult {
  const t = fixture.json.tolerance.forward as number;
  return compareElements(name, got.toFloat32Array(), numbers(fixture, name), { absolute: t, relative: t });
}

/** Gradient of one logit: of blocks and of every parameter. */
function compareGradients(fixture: Fixture, model: Clip, blocks: readonly Tensor[]): CheckResult[] {
  const tensors = new Map<string, Tensor>([
    ...model.namedParameters(),
    ...blocks.map((tokens, i) => [`block${i}`, tokens] as const),
  ]);
  return [...under(fixture, GRADIENTS).keys()].map((name) => {
    const what = GRADIENTS + name;
    const tensor = tensors.get(name);
    if (tensor === undefined) return checkFact(what, false, 'the model has no such parameter');
    const got = tensor.grad?.toFloat32Array() ?? new Float32Array(tensor.numel);
    return compareGradient(what, got, numbers(fixture, what));
  });
}

/** Class pooling: no patch of the last block reaches the logit. */
function checkLastPatches(last: Tensor): CheckResult {
  const patches = last.grad?.slice(1, 1).toFloat32Array() ?? new Float32Array([Number.NaN]);
  const isZero = patches.every((g) => g === 0);
  return checkFact('gradient of the last block: zero at every patch', isZero, 'some patch has a gradient');
}

function run(fixture: Fixture, model: Clip): CheckResult[] {
  const blocks: Tensor[] = [];
  const value = (site: string, tokens: Tensor): Tensor => {
    if (/^blocks\.\d+$/.test(site)) blocks.push(tokens.retainGrad());
    return tokens;
  };
  const images = model.encodeImage(fromTensorData(need(fixture, 'in/image')), { value });
  const texts = model.encodeText(fromTensorData(need(fixture, 'in/token_ids')));
  const [imageEmbedding, textEmbedding] = [unitRows(images), unitRows(texts)];
  const logits = model.logitsPerImage(imageEmbedding, textEmbedding);
  logits.select(0, 0).select(0, 1).backward();
  return [
    compareForward(fixture, 'out/image_features', images),
    compareForward(fixture, 'out/text_features', texts),
    compareForward(fixture, 'out/image_embedding', imageEmbedding),
    compareForward(fixture, 'out/text_embedding', textEmbedding),
    compareForward(fixture, 'out/logits_per_image', logits),
    ...blocks.map((tokens, i) => compareForward(fixture, `out/block${i}`, tokens)),
    ...compareGradients(fixture, model, blocks),
    checkLastPatches(blocks.at(-1) as Tensor),
  ];
}

export const biomedclip: GoldenCheck = {
  covers: (name) => name === 'biomedclip',
  run: (fixture) => {
    const model = clipFromState(under(fixture, 'weights/'), {
      config: configOf(fixture),
      source: fixture.name,
    });
    try {
      return tidy(() => run(fixture, model));
    } finally {
      model.dispose();
    }
  },
};
