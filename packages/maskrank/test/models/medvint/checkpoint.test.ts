import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromTensorData, memory, nn, noGrad, randn, type Tensor, tidy } from '@maskrank/torch';
import { DataError, UsageError } from '@maskrank/torch/errors';
import {
  bytesOf,
  float32ToFloat16,
  readSafetensors,
  type TensorData,
  toFloat32,
  writeSafetensors,
} from '@maskrank/torch/io';
import { afterAll, describe, expect, it } from 'vitest';
import { dict, pickle, tensor } from '../../../../torch/test/io/support/pickle-writer.ts';
import { zip } from '../../../../torch/test/io/support/zip-writer.ts';
import {
  checkMedvintConfig,
  countParameters,
  loadMedvint,
  loadMedvintNetwork,
  MEDVINT_CONFIGS,
  type Medvint,
  medvintConfig,
  medvintFromState,
  medvintShapes,
  saveMedvint,
  WEIGHT_STORAGES,
} from '../../../src/models/medvint/index.ts';
import { networkName } from '../../../src/models/medvint/released-names.ts';
import { Random } from '../../../src/util/random.ts';
import { distance, MODEL_BYTES, randomIds, TINY, tinyMedvint, tinyTokenizer } from './support.ts';

const dir = mkdtempSync(join(tmpdir(), 'medvint-'));
const network = tinyMedvint();
const state = nn.saveStateDict(network);
afterAll(() => {
  rmSync(dir, { recursive: true });
  network.dispose();
});

const random = new Random(8);
const floats = (shape: number[]): TensorData => ({
  dtype: 'F32',
  shape,
  data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.normal() * 0.1),
});

/** The names of a file of 2023: peft's wrappers, low-rank updates beside the weights, tables that are computed again. */
function released(changes: { readonly newer?: boolean } = {}): Map<string, TensorData> {
  const file = new Map<string, TensorData>();
  const factor = changes.newer ? 'default.weight' : 'weight';
  for (const [name, data] of state) {
    const outer = name.replace(/^llamacasual\./, 'llamacasual.base_model.model.');
    if (!/[qv]_proj/.test(name)) file.set(outer, data);
    else {
      const path = outer.replace(/\.weight$/, '');
      file.set(changes.newer ? `${path}.base_layer.weight` : outer, data);
      file.set(`${path}.lora_A.${factor}`, floats([2, 32]));
      file.set(`${path}.lora_B.${factor}`, floats([32, 2]));
    }
    if (name.endsWith('o_proj.weight'))
      file.set(outer.replace('o_proj.weight', 'rotary_emb.inv_freq'), floats([4]));
  }
  return file;
}

/** As torch.save writes it. */
function writeBin(path: string, tensors: ReadonlyMap<string, TensorData>): void {
  const all = [...tensors];
  const entries = all.map(([name, { dtype, shape, data }], i) => {
    const strides = shape.map((_, d) => shape.slice(d + 1).reduce((product, size) => product * size, 1));
    const type = dtype === 'I64' ? 'LongStorage' : 'FloatStorage';
    return [name, tensor({ type, key: `${i}`, count: data.length, shape, strides })] as const;
  });
  const bytes = zip([
    { name: 'archive/data.pkl', data: pickle(dict(Object.fromEntries(entries))) },
    ...all.map(([, { data }], i) => ({ name: `archive/data/${i}`, data: bytesOf(data) })),
    { name: 'archive/version', data: Buffer.from('3\n') },
  ]);
  writeFileSync(path, bytes);
}

const image = randn([1, 3, 64, 64]);
const logits = (of: Medvint): Tensor => noGrad(() => of.forward(image, randomIds(4)));
const load = (file: ReadonlyMap<string, TensorData>, source = 'file') =>
  medvintFromState(file, { config: TINY, storage: 'float32', source });

async function messageOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => new Error('nothing was thrown'),
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(DataError);
  return (error as Error).message;
}

describe('the released network', () => {
  const config = MEDVINT_CONFIGS['medvint-td'];
  const shapes = medvintShapes(config);

  it('has the shapes that are known of it, without allocating it', () => {
    const { tensors, bytes } = memory();
    const known: Record<string, number[]> = {
      'vision_model.0.weight': [32, 3, 3, 3],
      'vision_model.6.weight': [64, 32, 3, 3],
      'vision_model.10.0.downsample.0.weight': [256, 64, 1, 1],
      'vision_model.11.0.conv1.weight': [128, 256, 1, 1],
      'vision_model.12.5.conv3.weight': [1024, 256, 1, 1],
      'vision_model.12.5.bn3.running_var': [1024],
      'query_embed.weight': [32, 1024],
      'decoder.layers.11.self_attn.in_proj_weight': [3072, 1024],
      'decoder.layers.11.multihead_attn.out_proj.weight': [1024, 1024],
      'decoder.layers.0.linear1.weight': [1024, 1024],
      'decoder.norm.weight': [1024],
      'fc_l1.weight': [1024, 1024],
      'fc_l2.weight': [4096, 1024],
      'llamacasual.model.embed_tokens.weight': [32000, 4096],
      'llamacasual.model.layers.31.self_attn.q_proj.weight': [4096, 4096],
      'llamacasual.model.layers.31.mlp.gate_proj.weight': [11008, 4096],
      'llamacasual.model.layers.31.mlp.down_proj.weight': [4096, 11008],
      'llamacasual.lm_head.weight': [32000, 4096],
    };
    for (const [name, shape] of Object.entries(known)) expect(shapes.get(name), name).toEqual(shape);
    for (const absent of [
      'vision_model.12.6.conv1.weight',
      'vision_model.13.0.conv1.weight',
      'decoder.layers.12.norm1.bias',
    ])
      expect(shapes.has(absent)).toBe(false);
    expect(countParameters(config, 'llamacasual.')).toBe(6_738_415_616);
    expect(memory()).toMatchObject({ tensors, bytes });
  });

  it('has sizes that make a network; others are refused together', () => {
    for (const name of Object.keys(MEDVINT_CONFIGS)) checkMedvintConfig(medvintConfig(name));
    const odd = { ...TINY, vision: { ...TINY.vision, imageSize: 65 }, stopIds: [400] };
    expect(() => checkMedvintConfig(odd)).toThrow(/imageSize 65 .*; stopIds \[400\]/);
    expect(() => medvintConfig('medvint')).toThrow(UsageError);
  });

  it('is described as it is built', () => {
    const built = [...network.stateDict()].map(([name, { shape }]) => [name, [...shape]]);
    const described = [...medvintShapes(TINY)].map(([name, shape]) => [name, [...shape]]);
    expect(new Map(described as [string, number[]][])).toEqual(new Map(built as [string, number[]][]));
  });
});

describe('names', () => {
  it('of released files, of newer peft, of bare LLaMA and of wrapped models are the same', () => {
    const own = 'llamacasual.model.layers.3.self_attn.q_proj.weight';
    for (const name of [
      'llamacasual.base_model.model.model.layers.3.self_attn.q_proj.weight',
      'llamacasual.base_model.model.model.layers.3.self_attn.q_proj.base_layer.weight',
      'base_model.model.model.layers.3.self_attn.q_proj.weight',
      'model.layers.3.self_attn.q_proj.weight',
      'module.llamacasual.model.layers.3.self_attn.q_proj.weight',
      own,
    ])
      expect(networkName(name)).toBe(own);
    expect(networkName('lm_head.weight')).toBe('llamacasual.lm_head.weight');
    expect(networkName('decoder.norm.weight')).toBe('decoder.norm.weight');
    expect(networkName('llamacasual.base_model.model.lm_head.weight')).toBe('llamacasual.lm_head.weight');
    expect(networkName(`${own.replace(/weight$/, 'lora_A.default.weight')}`)).toBe(
      own.replace(/weight$/, 'lora_A.weight'),
    );
  });
});

describe('loading', () => {
  it.each([false, true])('adds low-rank updates to their weights (newer names: %s)', async (newer) => {
    const file = released({ newer });
    const { network: loaded, report } = await load(file);
    expect(report.merged.length).toBe(4);
    expect(report.unused.length).toBe(2);
    tidy(() => {
      const weight = loaded.llamacasual.model.layers[1]!.self_attn.v_proj.weight;
      const factor = (name: string) => {
        const [, data] = [...file].find(
          ([key]) => key.includes('layers.1') && key.includes(`v_proj.lora_${name}`),
        )!;
        return fromTensorData(data);
      };
      const base = network.llamacasual.model.layers[1]!.self_attn.v_proj.weight;
      // alpha / rank = 8 / 2
      expect(distance(weight, base.add(factor('B').matmul(factor('A')), 4))).toBeLessThan(1e-6);
      expect(distance(logits(loaded), logits(network))).toBeGreaterThan(1e-4);
    });
    loaded.dispose();
  });

  it('of shards in a folder, by their index and without one, as .bin and .safetensors, is the same', async () => {
    const file = [...state].map(([name, data]): [string, TensorData] => [name, data]);
    const halves = [0, 1].map((half) => new Map(file.filter((_, i) => i % 2 === half)));
    const names = [1, 2].map((i) => `model-0000${i}-of-00002.safetensors`);
    const folder = join(dir, 'shards');
    mkdirSync(folder);
    for (const [i, half] of halves.entries()) await writeSafetensors(join(folder, names[i]!), half);
    writeFileSync(join(folder, 'training_args.bin'), 'no weights');
    const options = { config: TINY, storage: 'float32' } as const;
    const progress: number[] = [];
    const plain = await loadMedvintNetwork(folder, { ...options, progress: (done) => progress.push(done) });
    tidy(() => expect(distance(logits(plain.network), logits(network))).toBe(0));
    expect(plain.report.files.length).toBe(2);
    expect(progress.length).toBe(state.size);
    const index = (weights: Record<string, string>) =>
      writeFileSync(join(folder, 'model.safetensors.index.json'), JSON.stringify({ weight_map: weights }));
    index({ a: names[0]!, b: 'model-00003-of-00003.safetensors' });
    await expect(loadMedvintNetwork(folder, options)).rejects.toThrow('not there: model-00003-of-00003');
    index({ a: '../../etc/passwd' });
    await expect(loadMedvintNetwork(folder, options)).rejects.toThrow('must name files beside it');
    index({ a: names[0]!, b: names[1]! });
    const bin = join(dir, 'pytorch_model.bin');
    writeBin(bin, state);
    for (const paths of [folder, [bin]]) {
      const again = await loadMedvintNetwork(paths, options);
      tidy(() => expect(distance(logits(again.network), logits(network))).toBe(0));
      again.network.dispose();
    }
    plain.network.dispose();
  });

  it('reports everything that does not fit at once, before anything is allocated', async () => {
    const file = released();
    const { tensors } = memory();
    file.delete('fc_l1.bias');
    file.delete('llamacasual.base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight');
    file.set('extra.weight', floats([1]));
    file.set('query_embed.weight', floats([5, 64]));
    file.set('model.norm.weight', floats([32]));
    file.set('decoder.norm.bias', { dtype: 'I64', shape: [64], data: new BigInt64Array(64) });
    file.set('fc_l2.bias', { dtype: 'I8', shape: [32], data: new Int8Array(32) });
    file.set('llamacasual.base_model.model.model.layers.0.self_attn.k_proj.lora_A.weight', floats([2, 32]));
    file.set('llamacasual.base_model.model.model.layers.1.self_attn.v_proj.lora_A.weight', floats([3, 32]));
    file.set('llamacasual.model.layers.0.self_attn.o_proj.scale', floats([32]));
    const message = await messageOf(load(file, 'broken.bin'));
    for (const text of [
      'broken.bin',
      'missing: fc_l1.bias',
      'missing: llamacasual.model.layers.0.self_attn.q_proj.lora_B.weight',
      'unexpected: extra.weight (F32 [1])',
      'wrong shape: query_embed.weight: found [5,64], needed [4,64]',
      'twice: llamacasual.model.norm.weight',
      'wrong type: decoder.norm.bias: found I64, needed floating point',
      'wrong type: fc_l2.bias: found I8',
      'unexpected: llamacasual.base_model.model.model.layers.0.self_attn.k_proj.lora_A.weight',
      'v_proj.lora_A.weight: found [3,32], needed [2,32]',
      'o_proj.scale (F32 [32]): its matrix is not I8',
    ])
      expect(message).toContain(text);
    expect(message.split('\n').length).toBe(11);
    expect(memory().tensors).toBe(tensors);
  });

  it('of the released network from a small file says what is missing, and allocates nothing', async () => {
    const { bytes } = memory();
    const message = await messageOf(
      medvintFromState(state, { config: MEDVINT_CONFIGS['medvint-td'], source: 'tiny.bin' }),
    );
    expect(message).toContain('missing: llamacasual.model.layers.31.mlp.up_proj.weight');
    expect(memory().bytes).toBe(bytes);
  });

  it('refuses files of other kinds, folders without weights, and arithmetic that the engine lacks', async () => {
    await expect(loadMedvintNetwork(join(dir, 'none.bin'))).rejects.toThrow('ENOENT');
    writeFileSync(join(dir, 'a.onnx'), 'x');
    await expect(loadMedvintNetwork(join(dir, 'a.onnx'))).rejects.toThrow('.bin, .pt, .pth, .safetensors');
    mkdirSync(join(dir, 'empty'));
    await expect(loadMedvintNetwork(join(dir, 'empty'))).rejects.toThrow('no weights in this folder');
    await expect(
      medvintFromState(state, { config: TINY, compute: 'float32', device: 'cuda:9', source: 'a' }),
    ).rejects.toThrow(UsageError);
  });

  it('can be called off between two tensors, and leaves nothing', async () => {
    const { tensors } = memory();
    const controller = new AbortController();
    const progress = () => controller.abort();
    const { signal } = controller;
    await expect(medvintFromState(state, { config: TINY, source: 'a', progress, signal })).rejects.toThrow(
      /abort/i,
    );
    expect(memory().tensors).toBe(tensors);
  });
});

describe('storages', () => {
  it.each(WEIGHT_STORAGES)(
    '%s: close to the whole, the same after saving, from half precision too',
    async (storage) => {
      const options = { config: TINY, storage } as const;
      const loaded = await medvintFromState(state, { ...options, source: 'whole' });
      expect(loaded.network.llamacasual.lm_head.weight.dtype).toBe(storage);
      const path = join(dir, `${storage}.safetensors`);
      await saveMedvint(loaded.network, path);
      const again = await loadMedvintNetwork(path, options);
      tidy(() => {
        const far = distance(logits(loaded.network), logits(network));
        expect(far).toBeLessThan(storage === 'float32' ? 1e-6 : 0.1);
        expect(distance(logits(again.network), logits(loaded.network))).toBe(0);
      });
      // A file of float16, as the released ones are; an int8 file widened again.
      const half = new Map(
        [...state].map(([name, data]): [string, TensorData] =>
          data.dtype === 'F32'
            ? [name, { ...data, dtype: 'F16', data: float32ToFloat16(toFloat32(data)) }]
            : [name, data],
        ),
      );
      const fromHalf = await medvintFromState(half, { ...options, source: 'half' });
      const widened = await loadMedvintNetwork(path, { config: TINY, storage: 'float32' });
      tidy(() => {
        expect(distance(logits(fromHalf.network), logits(loaded.network))).toBeLessThan(0.05);
        expect(distance(logits(widened.network), logits(loaded.network))).toBeLessThan(1e-5);
      });
      for (const { network: made } of [loaded, again, fromHalf, widened]) made.dispose();
    },
  );

  it.each(['int8', 'float16'] as const)(
    '%s computes in the element type that is asked for',
    async (storage) => {
      const { network: made } = await medvintFromState(state, { config: TINY, storage, source: 'a' });
      tidy(() => {
        const narrow = logits(made);
        made.computeIn('float64');
        const wide = noGrad(() => made.forward(image.to('float64'), randomIds(4)));
        expect(wide.dtype).toBe('float64');
        expect(made.llamacasual.lm_head.weight.dtype).toBe(storage);
        expect(distance(wide.to('float32'), narrow)).toBeLessThan(1e-4);
      });
      made.dispose();
      const half = { config: TINY, storage, compute: 'bfloat16', source: 'a' } as const;
      await expect(medvintFromState(state, half)).rejects.toThrow('allowed there is float32');
    },
  );

  it('comes with its tokeniser, which must fit', async () => {
    const weights = join(dir, 'whole.safetensors');
    await saveMedvint(network, weights);
    const tokenizer = join(dir, 'tokenizer.model');
    writeFileSync(tokenizer, MODEL_BYTES);
    const model = await loadMedvint(weights, { config: TINY, tokenizer });
    expect(model.tokenizer.vocabularySize).toBe(400);
    model.network.dispose();
    const config = MEDVINT_CONFIGS['medvint-td'];
    await expect(loadMedvint(weights, { config, tokenizer })).rejects.toThrow('400 pieces, needed 32000');
  });

  it('may bring configuration and tokeniser along, in half precision', async () => {
    const weights = join(dir, 'own.safetensors');
    await saveMedvint(network, weights, {
      tokenizer: MODEL_BYTES,
      dtype: 'float16',
      metadata: { made: 'here' },
    });
    const model = await loadMedvint(weights);
    expect(model.network.config).toEqual(TINY);
    expect(model.tokenizer.encode('the liver')).toEqual(tinyTokenizer().encode('the liver'));
    const [own, kept] = [network, model.network].map((one) => one.fc_l1.weight) as [Tensor, Tensor];
    expect(distance(own.to('float16').to('float32'), kept)).toBe(0);
    model.network.dispose();
    const { metadata } = await readSafetensors(weights);
    expect(metadata).toMatchObject({ made: 'here', format: 'maskrank-medvint' });
  });

  it('says where it looked for a tokeniser', async () => {
    const alone = join(dir, 'alone');
    mkdirSync(alone);
    await saveMedvint(network, join(alone, 'a.safetensors'));
    await expect(loadMedvint(join(alone, 'a.safetensors'))).rejects.toThrow(
      /no tokeniser, .*tokenizer\.model/,
    );
  });
});
