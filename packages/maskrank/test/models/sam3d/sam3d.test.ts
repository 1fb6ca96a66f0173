// Shapes against the released network's, loading, and windows larger than the grid against the reference's padding. The numbers of
// the reference itself: golden/sammed3d.ts.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromTypedArray, Generator, memory, nn, noGrad, randn, type Tensor, tidy } from '@maskrank/torch';
import { DataError, UsageError } from '@maskrank/torch/errors';
import { type TensorData, writeSafetensors } from '@maskrank/torch/io';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dict, int, pickle, tensor } from '../../../../torch/test/io/support/pickle-writer.ts';
import { zip } from '../../../../torch/test/io/support/zip-writer.ts';
import {
  createSam3d,
  inferSam3dConfig,
  loadSam3d,
  logitsToVolume,
  SAM3D_CONFIGS,
  Sam3d,
  type Sam3dConfig,
  sam3dFromState,
  sam3dStateShapes,
} from '../../../src/models/sam3d/index.ts';
import { inspectWeights } from '../../../src/models/weights/families.ts';

const tiny = SAM3D_CONFIGS['sam-med3d-tiny'];

/** Every part at 16 voxels, a grid of 4; windows of 6 are larger than the grid, as in the released network. */
const SMALL: Sam3dConfig = {
  ...tiny,
  name: 'test',
  volumeSize: 16,
  patchSize: 4,
  embedDim: 24,
  maskInChannels: 4,
  encoder: { ...tiny.encoder, dim: 16, depth: 2, heads: 2, windowSize: 6, globalBlocks: [1] },
  decoder: { ...tiny.decoder, heads: 2, mlpDim: 16, iouHeadDim: 8 },
};

const small = (seed = 1) => createSam3d(SMALL, Generator.seeded(seed));
const volume = (seed = 2) => randn([1, 1, 16, 16, 16], { generator: Generator.seeded(seed) });

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'sam3d-'));
});
afterAll(() => rmSync(dir, { recursive: true }));

describe('shapes', () => {
  it.each([
    ['a small network', SMALL],
    ['sam-med3d-tiny', tiny],
  ])('are the state dict of %s', (_, config) => {
    using sam = createSam3d(config, Generator.seeded(1));
    const built = [...sam.stateDict()].map(([name, { shape }]) => [name, [...shape]]);
    const byName = (a: unknown[], b: unknown[]) => (String(a[0]) < String(b[0]) ? -1 : 1);
    const stated = [...sam3dStateShapes(config)].map(([name, shape]) => [name, [...shape]]);
    expect(stated.sort(byName)).toEqual(built.sort(byName));
  });

  it('of the released network, without building it', () => {
    const shapes = sam3dStateShapes(SAM3D_CONFIGS['sam-med3d']);
    const released: Record<string, number[]> = {
      'image_encoder.patch_embed.proj.weight': [768, 1, 16, 16, 16],
      'image_encoder.pos_embed': [1, 8, 8, 8, 768],
      'image_encoder.blocks.0.attn.rel_pos_d': [27, 64],
      'image_encoder.blocks.0.attn.qkv.weight': [2304, 768],
      'image_encoder.blocks.2.attn.rel_pos_h': [15, 64],
      'image_encoder.blocks.11.attn.rel_pos_w': [15, 64],
      'image_encoder.blocks.11.mlp.lin1.weight': [3072, 768],
      'image_encoder.neck.0.weight': [384, 768, 1, 1, 1],
      'image_encoder.neck.2.weight': [384, 384, 3, 3, 3],
      'prompt_encoder.pe_layer.positional_encoding_gaussian_matrix': [3, 128],
      'prompt_encoder.point_embeddings.1.weight': [1, 384],
      'prompt_encoder.mask_downscaling.0.weight': [4, 1, 2, 2, 2],
      'prompt_encoder.mask_downscaling.6.weight': [384, 16, 1, 1, 1],
      'mask_decoder.transformer.layers.1.mlp.lin1.weight': [2048, 384],
      'mask_decoder.transformer.layers.0.cross_attn_token_to_image.q_proj.weight': [192, 384],
      'mask_decoder.mask_tokens.weight': [4, 384],
      'mask_decoder.output_upscaling.0.weight': [384, 96, 2, 2, 2],
      'mask_decoder.output_upscaling.3.weight': [96, 48, 2, 2, 2],
      'mask_decoder.output_hypernetworks_mlps.3.layers.2.weight': [48, 384],
      'mask_decoder.iou_prediction_head.layers.2.weight': [4, 256],
    };
    for (const [name, shape] of Object.entries(released))
      expect([name, shapes.get(name)]).toEqual([name, shape]);
    expect(shapes.has('prompt_encoder.point_embeddings.2.weight')).toBe(false);
    const count = [...shapes.values()].reduce((sum, shape) => sum + shape.reduce((a, b) => a * b, 1), 0);
    expect(Math.round(count / 1e6)).toBe(101);
  });

  it('that fit no network are refused, every one of them named', () => {
    const wrong = { ...SMALL, volumeSize: 18, embedDim: 20 };
    expect(() => new Sam3d(wrong)).toThrow(UsageError);
    expect(() => new Sam3d(wrong)).toThrow(/volumeSize 18.*embedDim 20/);
  });
});

describe('loading', () => {
  it('knows a network by its shapes and gives the same numbers', async () => {
    using sam = small();
    const path = join(dir, 'a.safetensors');
    await writeSafetensors(path, nn.saveStateDict(sam), {});
    const { sam: loaded } = await loadSam3d(path, { config: SMALL });
    tidy(() => expect(loaded.embed(volume()).sub(sam.embed(volume())).abs().amax().item()).toBe(0));
    loaded.dispose();
    const released = new Map(
      [...sam3dStateShapes(SAM3D_CONFIGS['sam-med3d'])].map(([name, shape]) => [name, { shape }]),
    );
    expect(inferSam3dConfig(released, 'a file')).toEqual(SAM3D_CONFIGS['sam-med3d']);
  });

  it('reads a training checkpoint: weights in model_state_dict, an optimiser beside them', async () => {
    using sam = small();
    const state = [...nn.saveStateDict(sam)];
    const view = (shape: readonly number[], key: string) => {
      const strides = shape.map((_, i) => shape.slice(i + 1).reduce((a, b) => a * b, 1));
      return tensor({ key, count: shape.reduce((a, b) => a * b, 1), shape, strides });
    };
    const weights = dict(
      Object.fromEntries(state.map(([name, { shape }], i) => [name, view(shape, String(i))])),
    );
    const bytes = zip([
      {
        name: 'sam/data.pkl',
        data: pickle(dict({ epoch: int(3), model_state_dict: weights, optimizer_state_dict: dict({}) })),
      },
      ...state.map(([, { data }], i) => ({
        name: `sam/data/${i}`,
        data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
      })),
    ]);
    const path = join(dir, 'sam_med3d.pth');
    writeFileSync(path, bytes);
    const { sam: loaded, ignored } = await loadSam3d(path, { config: SMALL });
    tidy(() => expect(loaded.embed(volume()).sub(sam.embed(volume())).abs().amax().item()).toBe(0));
    expect(ignored.join()).toMatch(/epoch/);
    loaded.dispose();
  });

  it('has its own place in the store of weights, apart from SAM', async () => {
    using sam = createSam3d(tiny, Generator.seeded(1));
    const state = new Map(nn.saveStateDict(sam));
    const path = join(dir, 'tiny.safetensors');
    await writeSafetensors(path, state, {});
    expect(await inspectWeights(path)).toMatchObject({
      family: 'sam3d',
      architecture: 'sam-med3d-tiny',
      differences: [],
    });
    state.delete('mask_decoder.iou_token.weight');
    await writeSafetensors(path, state, {});
    const wanted = { family: 'sam3d', architecture: 'sam-med3d-tiny' } as const;
    expect((await inspectWeights(path, { wanted })).differences).toEqual([
      'missing: mask_decoder.iou_token.weight [1, 48]',
    ]);
  });

  it('tells all differences at once, and another family', () => {
    using sam = small();
    const state = new Map(nn.saveStateDict(sam));
    state.delete('mask_decoder.iou_token.weight');
    state.set('image_encoder.neck.1.bias', { dtype: 'F32', shape: [3], data: new Float32Array(3) });
    const load = () => sam3dFromState(state, 'broken', { config: SMALL });
    expect(load).toThrow(DataError);
    expect(load).toThrow(/iou_token[\s\S]*neck\.1\.bias|neck\.1\.bias[\s\S]*iou_token/);
    const patches: TensorData = { dtype: 'F32', shape: [8, 3, 4, 4], data: new Float32Array(384) };
    const flat = new Map([['image_encoder.patch_embed.proj.weight', patches]]);
    expect(() => sam3dFromState(flat, 'sam_vit_b.pth')).toThrow(/no SAM-Med3D checkpoint/);
  });
});

describe('the network', () => {
  it('gives masks of four places a token for clicks, a mask, both, and none', () => {
    using sam = small();
    tidy(() =>
      noGrad(() => {
        const embedding = sam.embed(volume());
        expect(embedding.shape).toEqual([1, 24, 4, 4, 4]);
        const points = {
          coords: fromTypedArray(Float32Array.of(3, 4, 5, 9, 9, 9), [2, 1, 3]),
          labels: fromTypedArray(BigInt64Array.of(1n, 0n), [2, 1]),
        };
        const masks = randn([2, 1, 16, 16, 16], { generator: Generator.seeded(3) });
        for (const prompts of [{ points }, { masks }, { points, masks }]) {
          const { masks: found, iou } = sam.decode(embedding, prompts, { multimask: true });
          expect([found.shape, iou.shape]).toEqual([
            [2, 3, 16, 16, 16],
            [2, 3],
          ]);
        }
        const { masks: one } = sam.decode(embedding, {}, { multimask: false });
        expect(logitsToVolume(one, 20).shape).toEqual([1, 1, 20, 20, 20]);
      }),
    );
  });

  it('a padding point of its own changes nothing but the number of tokens', () => {
    using sam = small();
    tidy(() => {
      const tokens = (labels: bigint[]) =>
        sam.prompt_encoder.forward({
          points: {
            coords: fromTypedArray(new Float32Array(3 * labels.length).fill(5), [1, labels.length, 3]),
            labels: fromTypedArray(BigInt64Array.from(labels), [1, labels.length]),
          },
        }).sparse;
      const distance = (a: Tensor, b: Tensor) => a.sub(b).abs().amax().item();
      expect(distance(tokens([1n, -1n]).slice(1, 1, 2), tokens([1n]).slice(1, 1, 2))).toBe(0);
    });
  });

  it('in windows that hang over the grid is the network on the padded grid', () => {
    // A block whose window of 6 covers the grid of 4 against the same block, its window filled with rows of zeros by hand.
    using sam = small();
    const block = sam.image_encoder.blocks[0]!;
    tidy(() =>
      noGrad(() => {
        for (const table of ['rel_pos_d', 'rel_pos_h', 'rel_pos_w'] as const)
          block.attn[table]!.copy_(randn([11, 8], { generator: Generator.seeded(5) }));
        block.attn.qkv.bias!.copy_(randn([48], { generator: Generator.seeded(6) }));
        const x = randn([2, 4, 4, 4, 16], { generator: Generator.seeded(4) });
        const inWindow = block.attn.forward(x, 6);
        const padded = nn.F.pad(x, [0, 0, 0, 2, 0, 2, 0, 2]);
        const whole = block.attn.forward(padded, null).slice(1, 0, 4).slice(2, 0, 4).slice(3, 0, 4);
        expect(inWindow.sub(whole).abs().amax().item()).toBeLessThan(2e-6);
      }),
    );
  });

  it('leaves no tensors behind', () => {
    using sam = small();
    const step = () =>
      tidy(() => {
        const { masks } = sam.decode(sam.embed(volume()), {}, { multimask: false });
        masks.mean().backward();
      });
    step();
    const before = memory().tensors;
    step();
    expect(memory().tensors).toBe(before);
  });
});
