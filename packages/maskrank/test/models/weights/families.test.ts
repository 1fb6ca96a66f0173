// Weights of every family in the store: what fits, what does not and how it is told, files beside them; and the full-size
// networks' names and shapes against published tables, without building one.

import { readdirSync, writeFileSync } from 'node:fs';
import { Generator, nn } from '@maskrank/torch';
import { type TensorData, writeSafetensors } from '@maskrank/torch/io';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  CLIP_CONFIGS,
  clipStateShapes,
  countClipParameters,
  createClip,
  loadClip,
  loadClipTokenizer,
  saveClip,
  WordPiece,
} from '../../../src/models/clip/index.ts';
import {
  createMedvint,
  loadMedvint,
  MEDVINT_CONFIGS,
  medvintShapes,
  saveMedvint,
  trainBpe,
  writeSentencePieceModel,
} from '../../../src/models/medvint/index.ts';
import {
  pullWeights,
  type RegisteredWeights,
  resolveWeights,
  shapeDifferences,
  WeightStore,
} from '../../../src/models/weights/index.ts';
import { fileServer, registration, serve, sha256, status, temporaryFolder } from './support.ts';

const folder = temporaryFolder();
const VOCABULARY = WordPiece.ofTexts(['a lesion']).vocabulary.join('\n');
let clip: string;
let state: Map<string, TensorData>;
let vocabulary: string;
beforeAll(async () => {
  using model = createClip(CLIP_CONFIGS['biomedclip-tiny'], Generator.seeded(1));
  state = nn.saveStateDict(model);
  clip = folder.path('clip.safetensors');
  await writeSafetensors(clip, state, {});
  vocabulary = folder.path('vocab.txt');
  writeFileSync(vocabulary, VOCABULARY);
});

const CLIP: Partial<RegisteredWeights> = {
  family: 'clip',
  architecture: 'biomedclip-tiny',
  file: 'clip.safetensors',
  url: 'https://weights.test/clip.safetensors',
  sha256: null,
  bytes: null,
  beside: [{ file: 'vocab.txt', url: 'https://weights.test/vocab.txt', sha256: null, bytes: null }],
};
let stores = 0;
const newStore = (changes: Partial<RegisteredWeights> = {}) =>
  new WeightStore({
    shipped: null,
    home: folder.path(`home${stores++}`),
    registered: [registration(new Uint8Array(1), { ...CLIP, ...changes })],
  });

describe('a CLIP with its vocabulary', () => {
  it('is added whole, and loads with its tokeniser by name', async () => {
    const store = newStore();
    const { record } = await store.add('public', [clip, vocabulary]);
    expect(record).toMatchObject({ family: 'clip', architecture: 'biomedclip-tiny' });
    expect(record.beside).toMatchObject([{ file: 'vocab.txt', bytes: VOCABULARY.length }]);
    expect((await store.verify('public')).problem).toBeNull();
    const path = await resolveWeights('public', store);
    expect((await loadClipTokenizer(path)).vocabulary.join('\n')).toBe(VOCABULARY);
    using model = await loadClip(path);
    expect(model.config.name).toBe('biomedclip-tiny');
  });

  it('takes the vocabulary later, and says until then what is missing', async () => {
    const store = newStore();
    await expect(store.add('public', vocabulary)).rejects.toThrow(/no weights yet that vocab\.txt could/);
    const first = await store.add('public', clip);
    expect(store.missingBeside('public', first.record).map(({ file }) => file)).toEqual(['vocab.txt']);
    expect((await store.verify('public')).problem).toMatch(
      /vocab\.txt: is not here\. Fetch it: maskrank weights pull/,
    );
    await store.add('public', vocabulary);
    expect((await store.verify('public')).problem).toBeNull();
    // Adding the weights again keeps what belongs to them.
    expect((await store.add('public', clip)).outcome).toBe('unchanged');
    writeFileSync(`${store.folder('public')}/vocab.txt`, VOCABULARY.replace('lesion', 'nosiel'));
    expect((await store.verify('public')).problem).toMatch(/vocab\.txt: SHA-256 is/);
  });

  it('refuses a vocabulary that is none, and two weight files', async () => {
    const bad = folder.path('other/vocab.txt');
    const { mkdirSync } = await import('node:fs');
    mkdirSync(folder.path('other'));
    writeFileSync(bad, 'lesion\n');
    await expect(newStore().add('public', [clip, bad])).rejects.toThrow(/lacks \[PAD\]/);
    await expect(newStore().add('public', [clip, clip])).rejects.toThrow(
      /2 files .*one weight file and vocab/,
    );
  });

  it('tells every difference at once', async () => {
    const changed = new Map(state);
    changed.delete('visual.head.proj.weight');
    changed.set('visual.more', state.get('logit_scale') as TensorData);
    const shape = [7, 128];
    changed.set('text.proj.0.weight', { dtype: 'F32', shape, data: new Float32Array(7 * 128) });
    const path = folder.path('changed.safetensors');
    await writeSafetensors(path, changed, {});
    const found = shapeDifferences(changed, clipStateShapes(CLIP_CONFIGS['biomedclip-tiny']));
    expect(found).toEqual([
      'missing: visual.head.proj.weight [128, 128]',
      'wrong shape: text.proj.0.weight: found [7, 128], needed [96, 64]',
      'unexpected: visual.more []',
    ]);
  });

  it('is another network under a registered name: both are described, and all differences listed', async () => {
    const attempt = newStore({ architecture: 'biomedclip-nano' }).add('public', clip);
    await expect(attempt).rejects.toThrow(/holds biomedclip, 112 px.*public has biomedclip, 128 px/);
    await expect(attempt).rejects.toThrow(
      /14 difference\(s\):\n.*visual\.trunk\.pos_embed: found \[1, 197, 128\], needed \[1, 65, 128\]\n.*patch_embed/,
    );
  });

  it('of this project, with its vocabulary inside, goes under a name of its own', async () => {
    using model = createClip(CLIP_CONFIGS['biomedclip-nano'], Generator.seeded(2));
    const path = folder.path('own.safetensors');
    await saveClip(path, model, WordPiece.ofTexts(['liver']), {});
    const store = newStore();
    const { record } = await store.add('own', path);
    expect(record).toMatchObject({ family: 'clip', architecture: 'biomedclip-nano', beside: [] });
    expect((await store.verify('own')).problem).toBeNull();
  });
});

describe('a small MedVInT of this project', () => {
  it('is known by its names, goes under a name of its own, and brings its tokeniser', async () => {
    const config = MEDVINT_CONFIGS['medvint-nano'];
    const tokenizer = writeSentencePieceModel(trainBpe(['Where is the lesion?'], 400));
    const file = folder.path('vqa.safetensors');
    using network = createMedvint(config, Generator.seeded(1));
    await saveMedvint(network, file, { tokenizer, dtype: 'float16' });
    const store = newStore();
    const { record } = await store.add('my-vqa', file);
    expect(record).toMatchObject({ family: 'medvint', architecture: 'medvint-nano', beside: [] });
    const model = await loadMedvint(await resolveWeights('my-vqa', store));
    expect(model.network.config.name).toBe('medvint-nano');
    expect(model.tokenizer.vocabularySize).toBe(400);
    model.network.dispose();
  });
});

describe('pull of several files', () => {
  const server = fileServer();
  const bytesOf = async (path: string) => (await import('node:fs')).readFileSync(path);

  it('fetches the small ones first, then the weights; a second call only what is missing', async () => {
    const weights = await bytesOf(clip);
    const store = newStore({ sha256: sha256(weights), bytes: weights.length });
    server.next(serve(Buffer.from(VOCABULARY)), serve(weights));
    const pulled = await pullWeights(store, 'public', { fetch: server.fetch, pauseMs: 0 });
    expect(pulled.outcome).toBe('pulled');
    expect(server.requests.map(({ url }) => url)).toEqual(['/vocab.txt', '/clip.safetensors']);
    expect(readdirSync(store.folder('public')).sort()).toEqual(
      [pulled.record.file, 'record.json', 'vocab.txt'].sort(),
    );
    server.next();
    expect((await pullWeights(store, 'public', { fetch: server.fetch })).outcome).toBe('present');
    const other = newStore({ sha256: sha256(weights), bytes: weights.length });
    await other.add('public', clip);
    server.next(serve(Buffer.from(VOCABULARY)));
    expect((await pullWeights(other, 'public', { fetch: server.fetch, pauseMs: 0 })).outcome).toBe('pulled');
    expect((await other.verify('public')).problem).toBeNull();
  });

  it('without a published hash goes on only where the server names the version', async () => {
    const weights = await bytesOf(clip);
    const named =
      (etag: string | null, offset = 0, count = weights.length) =>
      (...[, response]: Parameters<ReturnType<typeof serve>>) => {
        response.writeHead(offset > 0 ? 206 : 200, {
          'content-length': weights.length - offset,
          ...(etag !== null && { etag }),
          ...(offset > 0 && { 'content-range': `bytes ${offset}-${weights.length - 1}/${weights.length}` }),
        });
        const part = weights.subarray(offset, offset + count);
        if (count < weights.length - offset)
          response.write(part, () => setTimeout(() => response.destroy(), 400));
        else response.end(part);
      };
    for (const etag of ['"v1"', null]) {
      const store = newStore({ beside: [] });
      const options = { fetch: server.fetch, pauseMs: 0, attempts: 1 };
      server.next(named(etag, 0, 1000), status(404));
      await expect(pullWeights(store, 'public', options)).rejects.toThrow(/404/);
      server.next(etag === null ? named(null) : named(etag, 1000));
      expect((await pullWeights(store, 'public', options)).outcome).toBe('pulled');
      expect(server.requests.map(({ range }) => range)).toEqual([etag === null ? undefined : 'bytes=1000-']);
      expect(readdirSync(store.folder('public')).filter((file) => file.includes('partial'))).toEqual([]);
    }
  });
});

/** Of the released networks, from their authors' files and code. */
describe('full-size networks by name and shape', () => {
  it('BiomedCLIP', () => {
    const shapes = clipStateShapes(CLIP_CONFIGS.biomedclip);
    const published: Record<string, number[]> = {
      logit_scale: [],
      'visual.trunk.cls_token': [1, 1, 768],
      'visual.trunk.pos_embed': [1, 197, 768],
      'visual.trunk.patch_embed.proj.weight': [768, 3, 16, 16],
      'visual.trunk.blocks.11.attn.qkv.weight': [2304, 768],
      'visual.trunk.blocks.11.attn.proj.weight': [768, 768],
      'visual.trunk.blocks.0.mlp.fc1.weight': [3072, 768],
      'visual.trunk.blocks.0.mlp.fc2.weight': [768, 3072],
      'visual.trunk.norm.bias': [768],
      'visual.head.proj.weight': [512, 768],
      'text.transformer.embeddings.word_embeddings.weight': [30522, 768],
      'text.transformer.embeddings.position_embeddings.weight': [512, 768],
      'text.transformer.embeddings.token_type_embeddings.weight': [2, 768],
      'text.transformer.encoder.layer.11.attention.self.value.weight': [768, 768],
      'text.transformer.encoder.layer.11.intermediate.dense.weight': [3072, 768],
      'text.transformer.encoder.layer.11.output.dense.weight': [768, 3072],
      'text.proj.0.weight': [640, 768],
      'text.proj.2.weight': [512, 640],
    };
    for (const [name, shape] of Object.entries(published))
      expect([name, shapes.get(name)]).toEqual([name, shape]);
    // 784 MB of float32 were published.
    expect((4 * countClipParameters(CLIP_CONFIGS.biomedclip)) / 1e6).toBeCloseTo(784, 0);
  });

  it('MedVInT-TD', () => {
    const shapes = medvintShapes(MEDVINT_CONFIGS['medvint-td']);
    const published: Record<string, number[]> = {
      'vision_model.0.weight': [32, 3, 3, 3],
      'vision_model.6.weight': [64, 32, 3, 3],
      'vision_model.12.5.conv3.weight': [1024, 256, 1, 1],
      'query_embed.weight': [32, 1024],
      'decoder.layers.11.multihead_attn.in_proj_weight': [3072, 1024],
      'decoder.layers.0.linear1.weight': [1024, 1024],
      'decoder.norm.weight': [1024],
      'fc_l1.weight': [1024, 1024],
      'fc_l2.weight': [4096, 1024],
      'llamacasual.model.embed_tokens.weight': [32000, 4096],
      'llamacasual.model.layers.31.self_attn.o_proj.weight': [4096, 4096],
      'llamacasual.model.layers.31.mlp.gate_proj.weight': [11008, 4096],
      'llamacasual.model.layers.31.mlp.down_proj.weight': [4096, 11008],
      'llamacasual.lm_head.weight': [32000, 4096],
    };
    for (const [name, shape] of Object.entries(published))
      expect([name, shapes.get(name)]).toEqual([name, shape]);
  });

  it('the vision tower of CLIP ResNet-50, with the features of PMC-CLIP', () => {
    const shapes = clipStateShapes({ ...CLIP_CONFIGS['clip-rn50'], embedDim: 768 });
    const published: Record<string, number[]> = {
      'visual.conv1.weight': [32, 3, 3, 3],
      'visual.layer3.0.downsample.0.weight': [1024, 512, 1, 1],
      'visual.layer4.2.conv3.weight': [2048, 512, 1, 1],
      'visual.attnpool.positional_embedding': [50, 2048],
      'visual.attnpool.c_proj.weight': [768, 2048],
    };
    for (const [name, shape] of Object.entries(published))
      expect([name, shapes.get(name)]).toEqual([name, shape]);
  });
});
