import { readFileSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DataError } from '../../src/errors.ts';
import { openPth, readPth } from '../../src/io/pth.ts';
import type { PthTensor, PthValue } from '../../src/io/pth-values.ts';
import { readStateDict } from '../../src/io/state-dict.ts';
import type { TensorData } from '../../src/io/tensor-data.ts';
import { bytesOf } from '../../src/io/tensor-data.ts';
import { FIXTURES, temporaryFolder } from './support/folder.ts';
import { call, dict, global, int, p, pickle, tensor, text, tuple } from './support/pickle-writer.ts';
import type { ZipEntry } from './support/zip-writer.ts';
import { zip } from './support/zip-writer.ts';

const folder = temporaryFolder();
const fixture = (name: string) => join(FIXTURES, name);
const expected = JSON.parse(readFileSync(fixture('expected.json'), 'utf8'));

const hex = (tensor: TensorData) => Buffer.from(bytesOf(tensor.data)).toString('hex');
const plain = (tensors: ReadonlyMap<string, TensorData>) =>
  Object.fromEntries(
    [...tensors].map(([name, t]) => [name, { dtype: t.dtype, shape: t.shape, hex: hex(t) }]),
  );

const floats = (...values: number[]) => bytesOf(new Float32Array(values));
const VECTOR = tensor({ count: 4, shape: [4], strides: [1] });

/** An archive with a pickle and storage 0 of four floats. */
function archive(root: Uint8Array, ...more: ZipEntry[]): Buffer {
  const entries: ZipEntry[] = [
    { name: 'a/data.pkl', data: pickle(root) },
    { name: 'a/data/0', data: floats(1, 2, 3, 4) },
    { name: 'a/version', data: Buffer.from('3\n') },
  ];
  const names = new Set(more.map(({ name }) => name));
  return zip([...entries.filter(({ name }) => !names.has(name)), ...more]);
}

async function expectRefused(bytes: Uint8Array, message: RegExp, limits = {}): Promise<void> {
  const path = await folder.write('bad.pth', bytes);
  const reading = readPth(path, { limits });
  await expect(reading).rejects.toThrow(DataError);
  await expect(reading).rejects.toThrow(message);
  await expect(reading).rejects.toThrow(`readPth(${path}): `);
}

async function readBytes(bytes: Uint8Array): Promise<PthValue> {
  return readPth(await folder.write('good.pth', bytes));
}

describe('files that torch wrote', () => {
  const names = Object.keys(expected).filter((name) => name.endsWith('.pth'));

  it.each(names)('%s gives its state dict bit for bit', async (name) => {
    const { tensors } = await readStateDict(fixture(name));
    expect(plain(tensors)).toEqual(expected[name]);
  });

  it('a training checkpoint gives its model and names the optimiser that it left out', async () => {
    const { ignored } = await readStateDict(fixture('with-optimizer.pth'));
    expect(ignored).toEqual(['optimizer: an object of torch.optim.adam.Adam']);
  });

  it('the optimiser can be looked into as data', async () => {
    const root = (await readPth(fixture('with-optimizer.pth'))) as Map<string, PthValue>;
    const optimizer = root.get('optimizer') as { state: Map<string, PthValue> };
    const groups = optimizer.state.get('param_groups') as Map<string, PthValue>[];
    expect(groups[0]!.get('lr')).toBe(1e-4);
    const state = optimizer.state.get('state') as Map<PthTensor, Map<string, PthTensor>>;
    const [parameter, moments] = [...state][0]!;
    expect(moments.get('exp_avg')!.shape).toEqual(parameter.shape);
    const weight = (root.get('model') as Map<string, PthTensor>).get('conv.weight')!;
    expect(parameter.storage).toBe(weight.storage);
  });

  it('scalars and containers have their JavaScript values', async () => {
    const root = (await readPth(fixture('lightning.pth'))) as Map<string, PthValue>;
    const value = Object.fromEntries([...root].filter(([key]) => key !== 'state_dict'));
    expect(value).toEqual({
      epoch: 3,
      global_step: 2 ** 40,
      huge: 2n ** 70n,
      negative: -(2n ** 70n),
      lr: 1e-4,
      betas: [0.9, 0.999],
      none: null,
      yes: true,
      bytes: new Uint8Array([0, 255]),
      set: new Set([1, 2]),
      frozen: new Set([3]),
      text: 'Milz, ß, 脾',
      size: [2, 3],
      device: { kind: 'device', name: 'cuda:1' },
      dtype: { kind: 'dtype', name: 'bfloat16' },
      args: {
        kind: 'opaque',
        className: 'argparse.Namespace',
        args: [],
        state: new Map<string, PthValue>([
          ['image_size', 256],
          ['adapters', true],
        ]),
        items: [],
        entries: new Map(),
      },
      counts: new Map([['a', 1]]),
      nested: new Map([['a', new Map([['b', [1, [2]]]])]]),
    });
  });

  it('tensors of dtypes that we cannot hold are named, not guessed', async () => {
    const { ignored } = await readStateDict(fixture('unsupported.pth'));
    expect(ignored).toEqual([
      'complex: an object of torch.Tensor (torch.ComplexFloatStorage)',
      'u16: an object of torch.Tensor (uint16)',
      'f8: an object of torch.Tensor (float8_e4m3fn)',
      'sparse: an object of torch._utils._rebuild_sparse_tensor',
    ]);
  });

  it('opening reads no tensor; one can be read alone; tied weights share memory', async () => {
    await using file = await openPth(fixture('views.pth'));
    const root = file.root as Map<string, PthTensor>;
    expect([...root.values()].every(({ data }) => data === undefined)).toBe(true);
    const column = await file.read(root.get('column')!);
    expect([...(column.data as Float32Array)]).toEqual([2, 8, 14, 20]);
    const [a, b, row] = ['tied_a', 'tied_b', 'row'].map((name) => root.get(name)!) as [
      PthTensor,
      PthTensor,
      PthTensor,
    ];
    const read = await file.readAll([a, b, row]);
    expect(read.get(a)!.data.buffer).toBe(read.get(b)!.data.buffer);
    expect(read.get(row)!.data.buffer.byteLength).toBe(24);
  });
});

describe('archives made by hand', () => {
  it('without byteorder, as before torch 2.1, and with a compressed pickle', async () => {
    const root = (await readBytes(
      zip([
        { name: 'sam_vit_b/data.pkl', data: pickle(dict({ w: VECTOR })), deflate: true },
        { name: 'sam_vit_b/data/0', data: floats(1, 2, 3, 4) },
        { name: 'sam_vit_b/', data: new Uint8Array(0) },
      ]),
    )) as Map<string, PthTensor>;
    expect([...(root.get('w')!.data!.data as Float32Array)]).toEqual([1, 2, 3, 4]);
  });

  it('an untyped storage of another size than the tensor’s dtype', async () => {
    const untyped = p(
      tuple(text('storage'), global('torch.storage', 'UntypedStorage'), text('0'), text('cpu'), int(16)),
      'Q',
    );
    const half = call(
      'torch._utils',
      '_rebuild_tensor_v3',
      untyped,
      int(1),
      tuple(int(2)),
      tuple(int(2)),
      'N',
      'N',
      global('torch', 'float16'),
    );
    const value = (await readBytes(archive(half))) as PthTensor;
    expect(value.data).toEqual({ dtype: 'F16', shape: [2], data: new Uint16Array([0x3f80, 0x4000]) });
  });
});

describe('refusals', () => {
  it.each<[string, () => Uint8Array, RegExp]>([
    ['an empty file', () => new Uint8Array(0), /0 bytes that do not begin as a zip archive/],
    ['text', () => Buffer.from('hello, this is text'), /19 bytes that do not begin as a zip archive/],
    [
      'the format before torch 1.6',
      () => readFileSync(fixture('legacy.pth')),
      /format of torch before 1\.6 .*convert it once with: python3 -c/,
    ],
    ['a bare pickle', () => pickle('N'), /a bare Python pickle, not a zip archive.*convert it once/],
    [
      'a tar archive',
      () => Buffer.concat([Buffer.alloc(257), Buffer.from('ustar'), Buffer.alloc(250)]),
      /a tar archive, the checkpoint format of torch before 0\.2.*convert it once/,
    ],
    [
      'a TorchScript program',
      () => readFileSync(fixture('torchscript.pt')),
      /a TorchScript program, .*torch\.jit\.load/,
    ],
    [
      'a safetensors file',
      () => readFileSync(fixture('reference.safetensors')),
      /a safetensors file, .*readSafetensors/,
    ],
    [
      'a Git LFS pointer',
      () => Buffer.from('version https://git-lfs.github.com/spec/v1'),
      /Git LFS pointer.*git lfs pull/,
    ],
    ['gzip', () => Buffer.from([0x1f, 0x8b, 8, 0]), /gzip-compressed.*gunzip/],
    [
      'another zip archive',
      () => zip([{ name: 'a.txt', data: Buffer.from('x') }]),
      /with 0 entries FOLDER\/data\.pkl, allowed 1/,
    ],
    [
      'two pickles',
      () => archive(VECTOR, { name: 'b/data.pkl', data: pickle('N') }),
      /with 2 entries FOLDER\/data\.pkl, allowed 1/,
    ],
    ['half an archive', () => archive(VECTOR).subarray(0, 150), /End of central directory.*truncated/],
    [
      'bytes behind the archive',
      () => Buffer.concat([archive(VECTOR), Buffer.from('xyz')]),
      /Invalid comment length/,
    ],
    [
      'a name that leaves the folder',
      () => archive(VECTOR, { name: '../evil', data: floats(1) }),
      /invalid relative path: \.\.\/evil/,
    ],
    [
      'an absolute name',
      () => archive(VECTOR, { name: '/etc/passwd', data: floats(1) }),
      /absolute path: \/etc\/passwd/,
    ],
    [
      'a name of Windows',
      () => archive(VECTOR, { name: 'a\\..\\evil', data: floats(1) }),
      /invalid characters in fileName/,
    ],
    [
      'a name given twice',
      () =>
        zip([
          { name: 'a/data.pkl', data: pickle('N') },
          { name: 'a/x', data: floats(1) },
          { name: 'a/x', data: floats(2) },
        ]),
      /entry a\/x twice/,
    ],
    [
      'an encrypted entry',
      () => archive(VECTOR, { name: 'a/data/0', data: floats(1, 2, 3, 4), flags: 1, packedSize: 28 }),
      /entry a\/data\/0 is encrypted/,
    ],
    [
      'strong encryption',
      () => archive(VECTOR, { name: 'a/data/0', data: floats(1, 2, 3, 4), flags: 0x40 }),
      /strong encryption/,
    ],
    [
      'a compressed storage',
      () => archive(VECTOR, { name: 'a/data/0', data: floats(1, 2, 3, 4), deflate: true }),
      /entry a\/data\/0 is compressed, allowed stored: another tool has repacked/,
    ],
    [
      'an unknown compression',
      () => archive(VECTOR, { name: 'a/data/0', data: floats(1, 2, 3, 4), method: 93 }),
      /compression method 93, allowed 0 or 8/,
    ],
    [
      'a pickle that unpacks beyond its declared size',
      () => zip([{ name: 'a/data.pkl', data: Buffer.alloc(1_000_000), deflate: true, size: 1000 }]),
      /compressed entry: Cannot create a Buffer larger than 1000 bytes/,
    ],
    [
      'a pickle that unpacks to less',
      () => zip([{ name: 'a/data.pkl', data: pickle('N'), deflate: true, size: 1000 }]),
      /compressed entry: 4 bytes of 1000/,
    ],
    [
      'a compressed pickle that is damaged',
      () => zip([{ name: 'a/data.pkl', data: floats(-1, 5), method: 8 }]),
      /compressed entry: invalid/,
    ],
    [
      'a pickle of a huge declared size',
      () => zip([{ name: 'a/data.pkl', data: Buffer.alloc(1_000_000), deflate: true, size: 0xfffffffe }]),
      /a\/data\.pkl has 4294967294 bytes, allowed 268435456: refused as too costly/,
    ],
    [
      'entries that overlap',
      () =>
        archive(
          VECTOR,
          ...Array.from({ length: 9 }, (_, i) => ({
            name: `a/data/${i}`,
            data: new Uint8Array(0),
            size: 200,
            packedSize: 200,
          })),
        ),
      /entries of \d+ bytes in a file of \d+: they overlap/,
    ],
    [
      'an entry beyond the file',
      () => archive(VECTOR, { name: 'a/data/0', data: floats(1, 2, 3, 4), localOffset: 0x7fffffff }),
      /unexpected EOF/,
    ],
    [
      'an entry that runs over the end',
      () =>
        zip([
          { name: 'a/version', data: Buffer.alloc(300) },
          { name: 'a/data.pkl', data: pickle('N'), size: 290, packedSize: 290 },
        ]),
      /entries of 590 bytes|file data overflows file bounds/,
    ],
    [
      'a wrong checksum',
      () => archive(VECTOR, { name: 'a/data/0', data: floats(1, 2, 3, 4), crc: 1 }),
      /entry a\/data\/0 has checksum [0-9a-f]{8}, the archive says 00000001/,
    ],
    [
      'a lacking storage',
      () => archive(tensor({ key: '7', count: 4, shape: [4], strides: [1] })),
      /names storage 7, which the archive lacks/,
    ],
    [
      'a storage cut short',
      () => archive(VECTOR, { name: 'a/data/0', data: floats(1, 2, 3) }),
      /storage 0 has 4 elements, but the archive holds 3/,
    ],
    [
      'a big-endian machine',
      () => archive(VECTOR, { name: 'a/byteorder', data: Buffer.from('big') }),
      /byteorder is "big", allowed "little"/,
    ],
    [
      'a long byteorder',
      () => archive(VECTOR, { name: 'a/byteorder', data: Buffer.alloc(99) }),
      /byteorder is "99 bytes"/,
    ],
    [
      'a bool of 2',
      () =>
        archive(tensor({ type: 'BoolStorage', count: 4, shape: [4], strides: [1] }), {
          name: 'a/data/0',
          data: new Uint8Array([0, 1, 2, 1]),
        }),
      /BOOL tensor \[4\] holds 2 at 2, allowed 0 or 1/,
    ],
  ])('%s', async (_what, bytes, message) => expectRefused(bytes(), message));

  it('an entry count beyond the limit', async () => {
    await expectRefused(archive(VECTOR), /3 entries, allowed 2/, { maxEntries: 2 });
  });

  it('offsets beyond 2^53 in a zip64 directory', async () => {
    const sound = archive(VECTOR);
    const locator = Buffer.alloc(20);
    locator.writeUInt32LE(0x07064b50, 0);
    locator.writeBigUInt64LE(2n ** 63n, 8);
    const bytes = Buffer.concat([sound.subarray(0, -22), locator, sound.subarray(-22)]);
    await expectRefused(bytes, /an offset of 9223372036854776000, beyond the file/);
  });

  it('a missing file and a folder', async () => {
    await expect(readPth(folder.path('none.pth'))).rejects.toThrow(
      /none\.pth\): no such file: check the path\.$/,
    );
    await expect(readPth(folder.path('.'))).rejects.toThrow(/this is a folder, a file is needed\.$/);
  });
});

describe('expansion', () => {
  const expanded = (size: number) => tensor({ count: 4, shape: [size], strides: [0] });

  it('is allowed within a limit', async () => {
    const value = (await readBytes(archive(expanded(1000)))) as PthTensor;
    expect(value.data!.data).toEqual(new Float32Array(1000).fill(1));
  });

  it('is refused beyond it, for one tensor and for many', async () => {
    await expectRefused(
      archive(expanded(2 ** 40)),
      /tensors that share storages take 4398046511104 bytes and more, allowed/,
    );
    const many = p('](', ...Array.from({ length: 100 }, () => expanded(1000)), 'e');
    await expectRefused(archive(many), /take 3\d{5} bytes and more/, { maxExpandedBytes: 300_000 });
  });
});

describe('state dicts', () => {
  const write = (root: Uint8Array) => folder.write('state.pth', archive(root));

  it.each(['model', 'state_dict', 'model_state_dict', 'network_weights'])(
    'are found under %s',
    async (key) => {
      const path = await write(dict({ epoch: int(3), [key]: dict({ w: VECTOR }) }));
      const { tensors, ignored } = await readStateDict(path);
      expect([...tensors.keys()]).toEqual(['w']);
      expect(ignored).toEqual(['epoch: number 3']);
    },
  );

  it('are found at the top, even beside a key that is no state dict', async () => {
    const { tensors, ignored } = await readStateDict(await write(dict({ w: VECTOR, model: text('vit_b') })));
    expect([...tensors.keys()]).toEqual(['w']);
    expect(ignored).toEqual(['model: the string "vit_b"']);
  });

  it('are found under the key that is asked for', async () => {
    const path = await write(dict({ model: dict({ w: VECTOR }), ema: dict({ v: VECTOR }) }));
    const { tensors, ignored } = await readStateDict(path, { key: 'ema' });
    expect([...tensors.keys()]).toEqual(['v']);
    expect(ignored).toEqual(['model: a dict of 1']);
    await expect(readStateDict(path, { key: 'best' })).rejects.toThrow(
      /no tensors .* under best\. Found: model: a dict of 1; ema/,
    );
  });

  it('lose the prefix module. only when all names have it', async () => {
    const all = await readStateDict(await write(dict({ 'module.a': VECTOR, 'module.b': VECTOR })));
    expect([...all.tensors.keys()]).toEqual(['a', 'b']);
    const some = await readStateDict(await write(dict({ 'module.a': VECTOR, b: VECTOR })));
    expect([...some.tensors.keys()]).toEqual(['module.a', 'b']);
  });

  it('name what they hold besides tensors', async () => {
    const odd = p(dict({ w: VECTOR, extra: int(1) }), 'K', 5, VECTOR, 's');
    const { ignored } = await readStateDict(await write(dict({ model: odd })));
    expect(ignored).toEqual(['model.extra: number 1', 'model.number 5: a F32 tensor [4]']);
  });

  it('that are whole objects are refused with the way out', async () => {
    await expect(readStateDict(fixture('whole-module.pth'))).rejects.toThrow(
      /found an object of __main__\.Net, allowed a dict of tensors: a whole pickled object, .* save its state_dict\(\) instead/,
    );
    const wrapped = await write(dict({ model: p(global('my', 'Net'), ')', 0x81) }));
    await expect(readStateDict(wrapped)).rejects.toThrow(
      /found an object of my\.Net, allowed a dict of tensors/,
    );
  });

  it('that are absent are reported with what was found', async () => {
    await expect(readStateDict(await write(dict({ a: int(1), b: 'N' })))).rejects.toThrow(
      /no tensors in the checkpoint or under model, state_dict, model_state_dict, network_weights\. Found: a: number 1; b: None\./,
    );
    await expect(readStateDict(await write(p('N')))).rejects.toThrow(/found None, allowed a dict of tensors/);
  });
});

describe('damage', () => {
  it('is noticed or harmless: any bit flipped, any byte changed, any length cut', async () => {
    for (const name of ['with-optimizer.pth', 'views.pth']) {
      const sound = await readFile(fixture(name));
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.tuple(fc.nat(sound.length - 1), fc.integer({ min: 1, max: 255 })), { maxLength: 3 }),
          fc.option(fc.nat(sound.length), { freq: 4 }),
          async (changes, cut) => {
            const bytes = Buffer.from(sound);
            for (const [at, mask] of changes) bytes[at]! ^= mask;
            const path = await folder.write('fuzz.pth', bytes.subarray(0, cut ?? bytes.length));
            const read = await readStateDict(path).catch((error) => {
              expect(error).toBeInstanceOf(DataError);
            });
            if (read) expect(plain(read.tensors)).toEqual(expected[name]);
          },
        ),
        { numRuns: 150 },
      );
    }
    await rm(folder.path('fuzz.pth'));
  });

  it('in the directory at the end is noticed or harmless: bits everywhere', async () => {
    const sound = archive(dict({ w: VECTOR }));
    const directory = sound.indexOf('PK\x01\x02', 0, 'latin1');
    for (let bit = directory * 8; bit < sound.length * 8; bit += 3) {
      const bytes = Buffer.from(sound);
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      const path = await folder.write('bit.pth', bytes);
      const read = await readStateDict(path).catch((error) => {
        expect(error, `bit ${bit}`).toBeInstanceOf(DataError);
      });
      if (read) expect(plain(read.tensors).w?.hex, `bit ${bit}`).toBe('0000803f000000400000404000008040');
    }
  });
});
