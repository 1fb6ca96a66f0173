import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromTensorData, Generator, nn, type Tensor, tidy } from '@maskrank/torch';
import { DataError, UsageError } from '@maskrank/torch/errors';
import { type TensorData, writeSafetensors } from '@maskrank/torch/io';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { attachLora, mergeLora, selectTrainable } from '../../../src/models/lora.ts';
import {
  inferSamConfig,
  loadSam,
  loadSamCheckpoint,
  SAM_CONFIGS,
  type Sam,
  Sam as SamModel,
  samFromState,
} from '../../../src/models/sam/index.ts';
import { distance, images, SMALL, smallSam } from './small.ts';

const generator = Generator.seeded(11);
let dir: string;
let sam: Sam;
let state: Map<string, TensorData>;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'sam-'));
  sam = smallSam();
  state = nn.saveStateDict(sam);
});
afterAll(() => {
  rmSync(dir, { recursive: true });
  sam.dispose();
});

/** Reads the message of what `body` throws. */
function messageOf(body: () => unknown): string {
  try {
    body();
  } catch (error) {
    expect(error).toBeInstanceOf(DataError);
    return (error as Error).message;
  }
  throw new Error('nothing was thrown');
}

describe('loading', () => {
  it('a saved network gives the same embedding', async () => {
    const path = join(dir, 'a.safetensors');
    await writeSafetensors(path, state, {});
    const warnings: string[] = [];
    const loaded = await loadSam(path, { config: SMALL, generator, warn: (text) => warnings.push(text) });
    tidy(() => expect(distance(loaded.embed(images(1)), sam.embed(images(1)))).toBe(0));
    expect(warnings).toEqual([]);
    loaded.dispose();
  });

  it('reports everything that does not fit at once and loads nothing', () => {
    const broken = new Map(state);
    broken.delete('mask_decoder.iou_token.weight');
    broken.set('extra.weight', { dtype: 'F32', shape: [1], data: Float32Array.of(1) });
    broken.set('image_encoder.neck.1.bias', { dtype: 'F32', shape: [3], data: new Float32Array(3) });
    const message = messageOf(() => samFromState(broken, { config: SMALL, generator, source: 'broken.pth' }));
    expect(message).toContain('broken.pth');
    expect(message).toContain('missing: mask_decoder.iou_token.weight');
    expect(message).toContain('unexpected: extra.weight');
    expect(message).toContain('wrong shape: image_encoder.neck.1.bias: found [3], needed [16]');
  });

  it('refuses a file that is no SAM and one of unknown kind', async () => {
    const other = new Map<string, TensorData>([
      ['layer.weight', { dtype: 'F32', shape: [1], data: Float32Array.of(1) }],
    ]);
    expect(messageOf(() => samFromState(other, { generator, source: 'x.pth' }))).toContain(
      'no SAM or SAM-Med2D checkpoint',
    );
    await expect(loadSam(join(dir, 'a.onnx'), { generator })).rejects.toThrow('.pth, .pt, .safetensors');
  });

  it('accepts the absence of the text branch, of adapters and of low-rank updates, and says so', async () => {
    const released = new Map([...state].filter(([key]) => !/text_proj|Adapter/.test(key)));
    const path = join(dir, 'released.safetensors');
    await writeSafetensors(path, released, {});
    const config = { ...SMALL, encoder: { ...SMALL.encoder, loraRank: 2 } };
    const { sam: loaded, report } = await loadSamCheckpoint(path, { config, generator });
    expect(report.found.encoder.adapters).toBe(false);
    expect(report.fresh.filter((key) => key.includes('text_proj')).length).toBe(2);
    expect(report.fresh.some((key) => key.includes('Adapter'))).toBe(true);
    expect(report.fresh.some((key) => key.includes('lora'))).toBe(true);
    const norms = tidy(() => loaded.parameters().map((p) => p.norm().item()));
    expect(norms.filter((norm) => norm === 0).length).toBeGreaterThan(0);
    loaded.dispose();
  });

  it('resizes position tables for another image size and keeps windows as they are', () => {
    const larger = { ...SMALL, imageSize: 128 };
    const { sam: loaded, report } = samFromState(state, { config: larger, generator, source: 'a' });
    expect(report.resized.map(({ key, from, to }) => [key, from, to])).toEqual([
      ['image_encoder.pos_embed', [1, 4, 4, 16], [1, 8, 8, 16]],
      ['image_encoder.blocks.1.attn.rel_pos_h', [7, 8], [15, 8]],
      ['image_encoder.blocks.1.attn.rel_pos_w', [7, 8], [15, 8]],
    ]);
    tidy(() => expect(loaded.embed(images(1, 128)).shape).toEqual([1, 16, 8, 8]));
    loaded.dispose();
  });

  it('64 to 16 tokens a side: each output is the mean of the two central samples per axis of its block of four', () => {
    const side = 64;
    const data = Float32Array.from({ length: side * side * 16 }, (_, i) => Math.floor(i / 16));
    const large = new Map(state).set('image_encoder.pos_embed', {
      dtype: 'F32',
      shape: [1, side, side, 16],
      data,
    });
    for (const axis of ['h', 'w']) {
      large.set(`image_encoder.blocks.1.attn.rel_pos_${axis}`, {
        dtype: 'F32',
        shape: [127, 8],
        data: new Float32Array(127 * 8),
      });
    }
    const { sam: loaded } = samFromState(large, {
      config: { ...SMALL, imageSize: 256 },
      generator,
      source: 'a',
    });
    const got = (loaded.image_encoder.pos_embed as Tensor).toFloat32Array();
    for (const [y, x] of [
      [0, 0],
      [3, 7],
      [15, 15],
    ] as const) {
      const mean = side * (4 * y + 1.5) + (4 * x + 1.5);
      expect(got[(y * 16 + x) * 16]).toBeCloseTo(mean, 3);
    }
    loaded.dispose();
  });

  it('leaves mask heads fresh only on request', () => {
    const { sam: loaded, report } = samFromState(state, {
      config: SMALL,
      generator,
      heads: 'fresh',
      source: 'a',
    });
    expect(report.fresh.every((key) => /mask_tokens|hypernetworks|iou_prediction_head/.test(key))).toBe(true);
    expect(report.fresh).toContain('mask_decoder.mask_tokens.weight');
    tidy(() =>
      expect(
        distance(loaded.mask_decoder.mask_tokens.weight, sam.mask_decoder.mask_tokens.weight),
      ).toBeGreaterThan(0),
    );
    loaded.dispose();
  });

  it('leaves the text branch empty on request, for features of another length', () => {
    const config = { ...SMALL, textDim: 2 };
    const told = new Map(state);
    told.set('prompt_encoder.text_proj.weight', {
      dtype: 'F32',
      shape: [SMALL.embedDim, 5],
      data: new Float32Array(SMALL.embedDim * 5).fill(1),
    });
    told.set('prompt_encoder.text_proj.bias', {
      dtype: 'F32',
      shape: [SMALL.embedDim],
      data: new Float32Array(SMALL.embedDim).fill(1),
    });
    const options = { config, generator, source: 'a' };
    expect(messageOf(() => samFromState(told, options))).toContain('text_proj.weight');
    const { sam: loaded } = samFromState(told, { ...options, text: 'fresh' });
    const branch = loaded.prompt_encoder.text_proj!;
    expect(branch.weight.shape).toEqual([SMALL.embedDim, 2]);
    tidy(() => {
      for (const tensor of [branch.weight, branch.bias!]) expect(tensor.abs().sum().item()).toBe(0);
    });
    loaded.dispose();
  });

  it('reads the configuration off the shapes', () => {
    expect(inferSamConfig(state, 'a').encoder).toEqual(SMALL.encoder);
    const model = new SamModel(SAM_CONFIGS['sam-med2d-tiny']);
    expect(inferSamConfig(model.stateDict() as never, 'a')).toEqual(SAM_CONFIGS['sam-med2d-tiny']);
    model.dispose();
  });
});

describe('low-rank updates', () => {
  it('change nothing at first, are merged without a trace, and are saved by name', () => {
    const model = smallSam();
    tidy(() => {
      const x = images(1);
      const plain = model.embed(x);
      attachLora(model, { rank: 2, generator });
      expect(distance(model.embed(x), plain)).toBe(0);
      const names = [...model.namedParameters()]
        .map(([name]) => name)
        .filter((name) => name.includes('lora'));
      expect(names.slice(0, 4)).toEqual(
        ['q.a', 'q.b', 'v.a', 'v.b'].map((n) => `image_encoder.blocks.0.attn.lora.${n}`),
      );
      for (const [name, p] of model.namedParameters())
        if (name.endsWith('.b')) nn.init.normal_(p, 0, 0.3, generator);
      const tuned = model.embed(x);
      expect(distance(tuned, plain)).toBeGreaterThan(0.01);
      const saved = nn.saveStateDict(model);
      expect(inferSamConfig(saved, 'a').encoder.loraRank).toBe(2);
      mergeLora(model);
      expect(distance(model.embed(x), tuned)).toBeLessThan(1e-4);
      expect([...model.stateDict().keys()]).toEqual([...state.keys()]);
    });
    model.dispose();
  });
});

describe('what is trained', () => {
  const trained = (model: Sam) =>
    [...model.namedParameters()].filter(([, p]) => p.requiresGrad).map(([name]) => name);

  it('follows the scope', () => {
    const model = smallSam({ encoder: { ...SMALL.encoder, loraRank: 2 } });
    for (const scope of [
      'all',
      'adapters',
      'lora',
      'lora-and-adapters',
      'prompts-and-decoder',
      'decoder',
    ] as const) {
      expect(selectTrainable(model, scope).map(([name]) => name)).toEqual(trained(model));
    }
    expect(trained(model).every((name) => name.startsWith('mask_decoder.'))).toBe(true);
    selectTrainable(model, 'adapters');
    expect(
      trained(model)
        .filter((name) => name.startsWith('image_encoder'))
        .every((name) => name.includes('Adapter')),
    ).toBe(true);
    selectTrainable(model, 'lora');
    expect(
      trained(model)
        .filter((name) => name.startsWith('image_encoder'))
        .every((name) => name.includes('lora')),
    ).toBe(true);
    const both = selectTrainable(model, 'lora-and-adapters').map(([name]) => name);
    expect(
      both.filter((name) => name.startsWith('image_encoder')).every((name) => /lora|Adapter/.test(name)),
    ).toBe(true);
    expect(both.length).toBeGreaterThan(selectTrainable(model, 'lora').length);
    selectTrainable(model, 'all');
    expect(trained(model).length).toBe(model.parameters().length);
    model.dispose();
  });

  it('refuses a scope that the network does not have', () => {
    const model = smallSam({ encoder: { ...SMALL.encoder, adapters: false } });
    expect(() => selectTrainable(model, 'adapters')).toThrow(UsageError);
    expect(() => selectTrainable(model, 'lora')).toThrow('give the low-rank updates a rank');
    model.dispose();
  });
});

it('half-precision files load as float32', () => {
  const half = new Map([...state].map(([key, data]) => [key, toHalf(data)] as const));
  const { sam: loaded } = samFromState(half, { config: SMALL, generator, source: 'half' });
  tidy(() => {
    for (const [key, weight] of loaded.stateDict()) {
      expect(weight.dtype).toBe('float32');
      const exact = sam.stateDict().get(key) as Tensor;
      expect(distance(weight, exact)).toBeLessThanOrEqual(exact.abs().amax().item() / 256);
    }
  });
  loaded.dispose();
});

function toHalf(data: TensorData): TensorData {
  return tidy(() => {
    const bits = fromTensorData(data).to('bfloat16').toTypedArray() as Uint16Array;
    return { dtype: 'BF16', shape: data.shape, data: bits };
  });
}
