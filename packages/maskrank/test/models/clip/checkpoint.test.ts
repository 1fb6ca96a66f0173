import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { noGrad, tidy } from '@maskrank/torch';
import { DataError } from '@maskrank/torch/errors';
import { type TensorData, writeSafetensors } from '@maskrank/torch/io';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  buildClip,
  CLIP_CONFIGS,
  type ClipConfig,
  clipFromState,
  clipStateShapes,
  countClipParameters,
  inferClipConfig,
  loadClip,
} from '../../../src/models/clip/index.ts';
import { ALL, distance, images, SMALL, SMALL_RESNET, SMALL_VIT, smallClip, stateOf } from './small.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'clip-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

type State = Map<string, TensorData>;
const asText = (shapes: Iterable<readonly [string, readonly number[]]>) =>
  [...shapes].map(([name, shape]) => `${name} ${shape}`).sort();

function messageOf(body: () => unknown): string {
  try {
    body();
  } catch (error) {
    expect(error).toBeInstanceOf(DataError);
    return (error as Error).message;
  }
  throw new Error('nothing was thrown');
}

/** BiomedCLIP's state under the names of its transformers port, with projections split and unit dimensions dropped. */
function asPort(state: State): State {
  const port: State = new Map();
  const rows = ({ dtype, shape, data }: TensorData, part: number): TensorData => {
    const length = data.length / 3;
    const third = (data as Float32Array).slice(part * length, (part + 1) * length);
    return { dtype, shape: [(shape[0] as number) / 3, ...shape.slice(1)], data: third } as TensorData;
  };
  const rename = (key: string): string =>
    key
      .replace('visual.head.proj', 'visual_projection')
      .replace('visual.trunk.norm', 'vision_model.post_layernorm')
      .replace('visual.trunk.patch_embed.proj', 'vision_model.embeddings.patch_embedding')
      .replace('visual.trunk.cls_token', 'vision_model.embeddings.class_embedding')
      .replace('visual.trunk.pos_embed', 'vision_model.embeddings.position_embedding.weight')
      .replace(/visual\.trunk\.blocks\.(\d+)\.norm/, 'vision_model.encoder.layers.$1.layer_norm')
      .replace(
        /visual\.trunk\.blocks\.(\d+)\.attn\.proj/,
        'vision_model.encoder.layers.$1.self_attn.out_proj',
      )
      .replace(/visual\.trunk\.blocks\.(\d+)\.mlp/, 'vision_model.encoder.layers.$1.mlp')
      .replace('text.proj.0', 'text_projection.fc1')
      .replace('text.proj.2', 'text_projection.fc2')
      .replace(
        /text\.transformer\.embeddings\.(token_type|position)_embeddings/,
        'text_model.embeddings.$1_embedding',
      )
      .replace('text.transformer.embeddings.word_embeddings', 'text_model.embeddings.token_embedding')
      .replace('text.transformer.embeddings.LayerNorm', 'text_model.embeddings.layer_norm')
      .replace(/text\.transformer\.encoder\.layer\.(\d+)\./, 'text_model.encoder.layers.$1.')
      .replace('attention.self.query', 'self_attn.q_proj')
      .replace('attention.self.key', 'self_attn.k_proj')
      .replace('attention.self.value', 'self_attn.v_proj')
      .replace('attention.output.dense', 'self_attn.out_proj')
      .replace('attention.output.LayerNorm', 'layer_norm1')
      .replace('intermediate.dense', 'mlp.fc1')
      .replace('output.dense', 'mlp.fc2')
      .replace('output.LayerNorm', 'layer_norm2');
  for (const [key, tensor] of state) {
    const packed = /^visual\.trunk\.blocks\.(\d+)\.attn\.qkv\.(\w+)$/.exec(key);
    if (packed !== null) {
      for (const [i, name] of ['q_proj', 'k_proj', 'v_proj'].entries()) {
        port.set(`vision_model.encoder.layers.${packed[1]}.self_attn.${name}.${packed[2]}`, rows(tensor, i));
      }
      continue;
    }
    const dropped = key === 'visual.trunk.cls_token' ? 2 : key === 'visual.trunk.pos_embed' ? 1 : 0;
    port.set(rename(key), { ...tensor, shape: tensor.shape.slice(dropped) } as TensorData);
  }
  return port;
}

describe('shapes without a network', () => {
  it.each(ALL.map((config) => [config.name, config] as const))("equal the modules' of %s", (_, config) => {
    const model = buildClip(config);
    const own = [...model.stateDict()].map(([name, tensor]) => [name, tensor.shape] as const);
    expect(asText(clipStateShapes(config))).toEqual(asText(own));
    const count = model.parameters().reduce((sum, parameter) => sum + parameter.numel, 0);
    expect(countClipParameters(config)).toBe(count);
    model.dispose();
  });

  it("equal the modules' whatever the sizes", () => {
    const size = fc.integer({ min: 1, max: 3 });
    fc.assert(
      fc.property(size, size, size, size, (a, b, c, d) => {
        const configs: ClipConfig[] = [
          {
            ...SMALL,
            embedDim: 3 * a,
            vision: { ...SMALL.vision, dim: 8 * b, depth: c, imageSize: 8 * d, mlpRatio: a },
            text: { ...SMALL.text, dim: 4 * d, depth: b, vocabulary: 10 + c, mlpDim: 5 * a },
          },
          {
            ...SMALL_RESNET,
            vision: { ...SMALL_RESNET.vision, width: 2 * a, stages: [b, c, d, a], imageSize: 32 * c },
          },
        ];
        for (const config of configs) {
          const model = buildClip(config);
          const own = [...model.stateDict()].map(([name, tensor]) => [name, tensor.shape] as const);
          expect(asText(clipStateShapes(config))).toEqual(asText(own));
          model.dispose();
        }
      }),
      { numRuns: 5 },
    );
  });

  it('of the full-size BiomedCLIP are those of the released file', () => {
    const { vision, text } = CLIP_CONFIGS.biomedclip;
    const shapes = clipStateShapes(CLIP_CONFIGS.biomedclip);
    const block = (i: number): [string, number[]][] => [
      [`visual.trunk.blocks.${i}.norm1.weight`, [768]],
      [`visual.trunk.blocks.${i}.norm2.bias`, [768]],
      [`visual.trunk.blocks.${i}.attn.qkv.weight`, [2304, 768]],
      [`visual.trunk.blocks.${i}.attn.qkv.bias`, [2304]],
      [`visual.trunk.blocks.${i}.attn.proj.weight`, [768, 768]],
      [`visual.trunk.blocks.${i}.mlp.fc1.weight`, [3072, 768]],
      [`visual.trunk.blocks.${i}.mlp.fc2.weight`, [768, 3072]],
    ];
    const layer = (i: number): [string, number[]][] => [
      ...['query', 'key', 'value'].map((name): [string, number[]] => [
        `text.transformer.encoder.layer.${i}.attention.self.${name}.weight`,
        [768, 768],
      ]),
      [`text.transformer.encoder.layer.${i}.attention.output.dense.weight`, [768, 768]],
      [`text.transformer.encoder.layer.${i}.attention.output.LayerNorm.weight`, [768]],
      [`text.transformer.encoder.layer.${i}.intermediate.dense.weight`, [3072, 768]],
      [`text.transformer.encoder.layer.${i}.output.dense.weight`, [768, 3072]],
      [`text.transformer.encoder.layer.${i}.output.LayerNorm.bias`, [768]],
    ];
    const expected: [string, number[]][] = [
      ['logit_scale', []],
      ['visual.trunk.cls_token', [1, 1, 768]],
      ['visual.trunk.pos_embed', [1, 197, 768]],
      ['visual.trunk.patch_embed.proj.weight', [768, 3, 16, 16]],
      ['visual.trunk.patch_embed.proj.bias', [768]],
      ['visual.trunk.norm.weight', [768]],
      ['visual.head.proj.weight', [512, 768]],
      ['text.transformer.embeddings.word_embeddings.weight', [30522, 768]],
      ['text.transformer.embeddings.position_embeddings.weight', [512, 768]],
      ['text.transformer.embeddings.token_type_embeddings.weight', [2, 768]],
      ['text.transformer.embeddings.LayerNorm.weight', [768]],
      ['text.proj.0.weight', [640, 768]],
      ['text.proj.2.weight', [512, 640]],
      ...Array.from({ length: vision.depth }, (_, i) => block(i)).flat(),
      ...Array.from({ length: text.depth }, (_, i) => layer(i)).flat(),
    ];
    for (const [name, shape] of expected) expect([name, shapes.get(name)]).toEqual([name, shape]);
    expect(shapes.has('visual.head.proj.bias')).toBe(false);
    expect([...shapes.keys()].some((key) => key.includes('pooler'))).toBe(false);
    // 784 MB of float32.
    expect((4 * countClipParameters(CLIP_CONFIGS.biomedclip)) / 1e6).toBeCloseTo(784, 0);
  });

  it("of OpenAI's full-size networks are the released ones", () => {
    const vit = clipStateShapes(CLIP_CONFIGS['clip-vit-b-16']);
    expect(vit.get('visual.proj')).toEqual([768, 512]);
    expect(vit.get('visual.positional_embedding')).toEqual([197, 768]);
    expect(vit.get('token_embedding.weight')).toEqual([49_408, 512]);
    expect(countClipParameters(CLIP_CONFIGS['clip-vit-b-16'])).toBe(149_620_737);
    const resNet = clipStateShapes(CLIP_CONFIGS['clip-rn50']);
    expect(resNet.get('visual.attnpool.positional_embedding')).toEqual([50, 2048]);
    expect(resNet.get('visual.layer4.2.conv3.weight')).toEqual([2048, 512, 1, 1]);
    expect(countClipParameters(CLIP_CONFIGS['clip-rn50'])).toBe(102_007_137);
  });
});

describe('the configuration of a file', () => {
  it.each(Object.values<ClipConfig>(CLIP_CONFIGS).map((config) => [config.name, config] as const))(
    'is read off the shapes of %s',
    (_, config) => {
      const shapes = [...clipStateShapes(config)].map(
        ([name, shape]) => [name, { shape: [...shape] }] as const,
      );
      expect(inferClipConfig(new Map(shapes), 'file')).toEqual(config);
    },
  );

  it('is refused when it is no CLIP', () => {
    const message = messageOf(() => inferClipConfig(new Map([['layer.weight', { shape: [1] }]]), 'x.pt'));
    expect(message).toContain('x.pt');
    expect(message).toContain('visual.trunk.cls_token');
  });
});

describe('loading', () => {
  it('a saved network gives the same features', async () => {
    const model = smallClip();
    const path = join(dir, 'a.safetensors');
    await writeSafetensors(path, stateOf(model), {});
    const loaded = await loadClip(path, { config: SMALL });
    noGrad(() =>
      tidy(() => expect(distance(loaded.encodeImage(images(1)), model.encodeImage(images(1)))).toBe(0)),
    );
    expect(loaded.training).toBe(false);
    loaded.dispose();
    model.dispose();
  });

  it('reads the transformers port', () => {
    const model = smallClip();
    const state = stateOf(model);
    const port = asPort(state);
    expect([...port.keys()].filter((key) => state.has(key))).toEqual(['logit_scale']);
    const loaded = clipFromState(port, { config: SMALL, source: 'port' });
    for (const [key, tensor] of stateOf(loaded)) expect([key, tensor]).toEqual([key, state.get(key)]);
    loaded.dispose();
    model.dispose();
  });

  it.each(['module.', 'model.', 'module.model.'])('takes off the prefix %s of a wrapper', (prefix) => {
    const model = smallClip();
    const state = stateOf(model);
    const wrapped = new Map([...state].map(([key, tensor]) => [prefix + key, tensor]));
    const loaded = clipFromState(wrapped, { config: SMALL, source: 'wrapped' });
    noGrad(() =>
      tidy(() => expect(distance(loaded.encodeImage(images(1)), model.encodeImage(images(1)))).toBe(0)),
    );
    loaded.dispose();
    model.dispose();
  });

  it('accepts constants that older files hold, and nothing else', () => {
    const model = smallClip();
    const state = stateOf(model);
    const positions: TensorData = { dtype: 'I64', shape: [1, 24], data: new BigInt64Array(24) };
    const older = new Map(state).set('text.transformer.embeddings.position_ids', positions);
    clipFromState(older, { config: SMALL, source: 'older' }).dispose();
    const broken = new Map(state).set('visual.extra', positions);
    broken.delete('visual.head.proj.weight');
    broken.set('visual.head.proj.weight', { dtype: 'F32', shape: [5, 16], data: new Float32Array(80) });
    broken.delete('text.proj.2.weight');
    const message = messageOf(() => clipFromState(broken, { config: SMALL, source: 'broken.pt' }));
    expect(message).toContain('broken.pt');
    expect(message).toContain('missing: text.proj.2.weight');
    expect(message).toContain('unexpected: visual.extra');
    expect(message).toContain('wrong shape: visual.head.proj.weight: found [5,16], needed [12,16]');
    model.dispose();
  });

  it('refuses a file of unknown kind', async () => {
    await expect(loadClip(join(dir, 'a.onnx'))).rejects.toThrow('.bin, .pth, .pt, .safetensors');
  });

  it("reads OpenAI's names as they are", () => {
    const model = smallClip(SMALL_VIT);
    const loaded = clipFromState(stateOf(model), { config: SMALL_VIT, source: 'openai' });
    noGrad(() =>
      tidy(() => expect(distance(loaded.encodeImage(images(1)), model.encodeImage(images(1)))).toBe(0)),
    );
    loaded.dispose();
    model.dispose();
  });
});
