// Fixtures gscorecam_clip_vit and gscorecam_clip_rn: OpenAI's CLIP (features, logits, gradients of the contrastive loss) and the
// maps that gScoreCAM's code makes with it: activations, gradients, kept channels, scores, weights, low and full resolution.

import { fromTensorData, type Tensor, tidy } from '@maskrank/torch';
import type { Size } from '../imaging/types.ts';
import { type Clip, clipFromState, infoNce, type OpenAiClipConfig, unitRows } from '../models/clip/index.ts';
import {
  CamImage,
  type CamLayer,
  channelMasks,
  gatherEvidence,
  meanGradients,
  SALIENCY_METHODS,
  type SaliencyMethod,
  toWholeImage,
} from '../prompting/saliency/index.ts';
import { checkFact, compareElements, type Numbers, need, numbers, under } from './compare.ts';
import { compareGradients } from './gradients.ts';
import type { CheckResult, Fixture, GoldenCheck } from './types.ts';

const FEATURES = { absolute: 1e-4, relative: 0 };
const MAPS = { absolute: 1e-3, relative: 0 };

function configOf({ name, json }: Fixture): OpenAiClipConfig {
  const { CLIP, vision_heads: heads } = json.config;
  const { vision_width: width, vision_layers: layers, image_resolution: imageSize } = CLIP;
  return {
    name,
    family: 'openai',
    embedDim: CLIP.embed_dim,
    vision: Array.isArray(layers)
      ? { kind: 'clip-resnet', imageSize, width, heads, stages: layers as [number, number, number, number] }
      : { kind: 'clip-vit', imageSize, patchSize: CLIP.vision_patch_size, dim: width, depth: layers, heads },
    text: {
      kind: 'clip-text',
      vocabulary: CLIP.vocab_size,
      context: CLIP.context_length,
      dim: CLIP.transformer_width,
      depth: CLIP.transformer_layers,
      heads: CLIP.transformer_heads,
    },
  };
}

const compareTo =
  (fixture: Fixture, tolerance: typeof FEATURES) =>
  (name: string, got: Numbers): CheckResult =>
    compareElements(name, got, numbers(fixture, name), tolerance);

/** Features, logits, the loss and its gradients. */
function checkNetwork(fixture: Fixture, model: Clip): CheckResult[] {
  const compare = (name: string, got: Tensor) => compareTo(fixture, FEATURES)(name, got.toFloat32Array());
  const images = model.encodeImage(fromTensorData(need(fixture, 'in/images2')));
  const texts = model.encodeText(fromTensorData(need(fixture, 'in/tokens')));
  const logits = model.logitsPerImage(unitRows(images), unitRows(texts));
  const loss = infoNce(logits);
  loss.backward();
  return [
    compare('out/image_features', images),
    compare('out/text_features', texts),
    compare('out/logits_per_image', logits),
    compare('out/logits_per_text', logits.t().contiguous()),
    compare('out/clip_loss_eval_mode', loss),
    ...compareGradients(fixture, model),
  ];
}

type Case = {
  readonly fixture: Fixture;
  readonly model: Clip;
  readonly planes: Float32Array<ArrayBuffer>;
  readonly text: Float32Array;
  readonly layer: CamLayer;
  /** `text0` */
  readonly key: string;
};

function checkEvidence({ fixture, model, planes, text, layer, key }: Case): CheckResult[] {
  const compare = compareTo(fixture, FEATURES);
  const evidence = gatherEvidence({ model, planes, text, layer });
  const results = [
    compare(`out/${key}.activations`, evidence.activations),
    compare(`out/${key}.gradients`, evidence.gradients),
    compare(`out/${key}.importance`, meanGradients(evidence)),
  ];
  const mask = `out/${key}.upsampled_mask_of_first_index`;
  if (!fixture.tensors.has(mask)) return results;
  const first = [...fixture.tensors.keys()].find(
    (name) => name.startsWith(`out/${key}.gscorecam`) && name.endsWith('.indices'),
  );
  const channel = numbers(fixture, first as string)[0] as number;
  const side = model.config.vision.imageSize;
  const got = tidy(() => channelMasks(evidence, [channel], { side, epsilon: 1e-6 }).toFloat32Array());
  return [...results, compare(mask, got)];
}

/** The kept channels as a set, and each one's score, whatever their order. */
function checkChannels(
  fixture: Fixture,
  key: string,
  kept: readonly number[],
  scores: Float64Array,
): CheckResult[] {
  const reference = Array.from(numbers(fixture, `${key}.indices`));
  const sorted = (channels: readonly number[]) => [...channels].sort((a, b) => a - b).join(' ');
  const own = new Map(kept.map((channel, i) => [channel, scores[i] as number]));
  return [
    checkFact(`${key}.indices`, sorted(kept) === sorted(reference), `kept ${sorted(kept)}`),
    compareTo(fixture, FEATURES)(
      `${key}.scores`,
      reference.map((channel) => own.get(channel) ?? Number.NaN),
    ),
  ];
}

/** `gscorecam_k20` -> the method and its number of channels. */
function methodOf(name: string): { method: SaliencyMethod; k?: number } {
  const [, method, k] = /^([a-z+]+?)(?:_k(\d+))?$/.exec(name) as unknown as [
    string,
    string,
    string | undefined,
  ];
  return { method: method as SaliencyMethod, ...(k !== undefined && { k: Number(k) }) };
}

async function checkMethod(
  { fixture, model, planes, text, layer, key }: Case,
  name: string,
): Promise<CheckResult[]> {
  const { method, ...rest } = methodOf(name);
  // A batch that does not divide the number of channels.
  const image = new CamImage(model, planes, { layer, batch: 7, ...rest });
  const { grid, channels } = await SALIENCY_METHODS[method](image, text);
  const [width, height] = fixture.json.config.output_size_wh as [number, number];
  const size: Size = { width, height };
  const whole = toWholeImage(grid, { x0: 0, y0: 0, x1: width, y1: height }, size);
  const prefix = `out/${key}.${name}`;
  const has = (part: string) => fixture.tensors.has(`${prefix}.${part}`);
  return [
    compareTo(fixture, MAPS)(`${prefix}.cam`, whole.data),
    ...(has('weights') && channels
      ? [compareTo(fixture, FEATURES)(`${prefix}.weights`, channels.weights)]
      : []),
    ...(has('cam_lowres_before_relu')
      ? [compareTo(fixture, MAPS)(`${prefix}.cam_lowres_before_relu`, grid.data)]
      : []),
    ...(has('indices') && channels?.scores
      ? checkChannels(fixture, prefix, channels.kept, channels.scores)
      : []),
  ];
}

async function run(fixture: Fixture): Promise<CheckResult[]> {
  const model = clipFromState(under(fixture, 'weights/'), {
    config: configOf(fixture),
    source: fixture.name,
  });
  try {
    const results = tidy(() => checkNetwork(fixture, model));
    const side = model.config.vision.imageSize;
    const planes = Float32Array.from(
      { length: 3 * side * side },
      (_, i) => need(fixture, 'in/images2').data[i] as number,
    );
    const layer = fixture.json.config.is_transformer ? 'last-block-class' : 'last-stage';
    const embeddings = tidy(() =>
      model.embedTexts(fromTensorData(need(fixture, 'in/tokens'))).toFloat32Array(),
    );
    const { embedDim } = model.config;
    for (const i of [0, 1]) {
      const key = `text${i}`;
      const text = embeddings.subarray(i * embedDim, (i + 1) * embedDim);
      const item: Case = { fixture, model, planes, text, layer, key };
      results.push(...checkEvidence(item));
      const cams = [...under(fixture, `out/${key}.`).keys()].filter((name) => name.endsWith('.cam'));
      for (const cam of cams) results.push(...(await checkMethod(item, cam.slice(0, -'.cam'.length))));
    }
    return results;
  } finally {
    model.dispose();
  }
}

export const gscorecam: GoldenCheck = { covers: (name) => name.startsWith('gscorecam_clip_'), run };
