import { readdirSync, readFileSync } from 'node:fs';
import { readdir, readFile, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DataError, UsageError } from '../../src/errors.ts';
import { openSafetensors, readSafetensors, writeSafetensors } from '../../src/io/safetensors.ts';
import type { TensorData, TensorDtype } from '../../src/io/tensor-data.ts';
import { arrayFromBytes, bytesOf, dtypeBytes, TENSOR_DTYPES } from '../../src/io/tensor-data.ts';
import { FIXTURES, GOLDEN, hasGolden, temporaryFolder } from './support/folder.ts';

const folder = temporaryFolder();

const hex = (tensor: TensorData) => Buffer.from(bytesOf(tensor.data)).toString('hex');
const plain = (tensors: ReadonlyMap<string, TensorData>) =>
  Object.fromEntries(
    [...tensors].map(([name, t]) => [name, { dtype: t.dtype, shape: t.shape, hex: hex(t) }]),
  );

/** A file from header text and data; the length field may lie. */
function file(header: string, data: Uint8Array = new Uint8Array(0), length?: bigint): Buffer {
  const text = Buffer.from(header, 'utf8');
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(length ?? BigInt(text.length));
  return Buffer.concat([prefix, text, data]);
}

async function expectRefused(bytes: Uint8Array, message: RegExp): Promise<void> {
  const path = await folder.write('bad.safetensors', bytes);
  const reading = readSafetensors(path);
  await expect(reading).rejects.toThrow(DataError);
  await expect(reading).rejects.toThrow(message);
  await expect(reading).rejects.toThrow(`readSafetensors(${path}): `);
}

const anyTensor: fc.Arbitrary<TensorData> = fc
  .tuple(fc.constantFrom<TensorDtype>(...TENSOR_DTYPES), fc.array(fc.nat(4), { maxLength: 4 }))
  .chain(([dtype, shape]) => {
    const length = shape.reduce((a, b) => a * b, 1) * dtypeBytes(dtype);
    const byte = dtype === 'BOOL' ? fc.nat(1) : fc.nat(255);
    return fc
      .array(byte, { minLength: length, maxLength: length })
      .map((bytes) => ({ dtype, shape, data: arrayFromBytes(dtype, Uint8Array.from(bytes)) }));
  });
const anyName = fc.string({ unit: 'binary', maxLength: 12 }).filter((name) => name !== '__metadata__');
const anyTensors = fc.uniqueArray(fc.tuple(anyName, anyTensor), { maxLength: 8, selector: ([name]) => name });
const anyMetadata = fc.dictionary(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), {
  maxKeys: 4,
});

describe('round trip', () => {
  it('gives every tensor and string back bit for bit, in a layout that does not depend on the order', async () => {
    await fc.assert(
      fc.asyncProperty(anyTensors, anyMetadata, async (tensors, metadata) => {
        const path = folder.path('round.safetensors');
        await writeSafetensors(path, new Map(tensors), metadata);
        const read = await readSafetensors(path);
        expect(plain(read.tensors)).toEqual(plain(new Map(tensors)));
        expect(Object.entries(read.metadata).sort()).toEqual(Object.entries(metadata).sort());
        const bytes = await readFile(path);
        await writeSafetensors(
          path,
          [...tensors].reverse(),
          Object.fromEntries(Object.entries(metadata).reverse()),
        );
        expect((await readFile(path)).equals(bytes)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  it('aligns every tensor to its element size', async () => {
    const path = folder.path('aligned.safetensors');
    const tensors = new Map<string, TensorData>([
      ['a', { dtype: 'U8', shape: [3], data: new Uint8Array(3) }],
      ['b', { dtype: 'F64', shape: [1], data: new Float64Array(1) }],
      ['c', { dtype: 'F16', shape: [1], data: new Uint16Array(1) }],
      ['d', { dtype: 'F32', shape: [1], data: new Float32Array(1) }],
    ]);
    await writeSafetensors(path, tensors);
    const file = await openSafetensors(path);
    expect(file.names).toEqual(['b', 'd', 'c', 'a']);
    await file.close();
    expect((await readFile(path)).readBigUInt64LE() % 8n).toBe(0n);
  });

  it('writes a view of a larger array, without its surroundings', async () => {
    const path = folder.path('view.safetensors');
    const data = new Float32Array([1, 2, 3, 4]).subarray(1, 3);
    await writeSafetensors(path, [['x', { dtype: 'F32', shape: [2], data }]]);
    const { tensors } = await readSafetensors(path);
    expect([...(tensors.get('x')!.data as Float32Array)]).toEqual([2, 3]);
  });
});

describe('the reference library’s file', () => {
  const path = join(FIXTURES, 'reference.safetensors');
  const expected = JSON.parse(readFileSync(join(FIXTURES, 'expected.json'), 'utf8'))['reference.safetensors'];

  it('is read as it was meant', async () => {
    const { tensors, metadata } = await readSafetensors(path);
    expect(plain(tensors)).toEqual(expected);
    expect(metadata).toEqual({ format: 'pt' });
  });

  it('is what our writer writes, byte for byte', async () => {
    const { tensors, metadata } = await readSafetensors(path);
    await writeSafetensors(folder.path('same.safetensors'), tensors, metadata);
    expect(await readFile(folder.path('same.safetensors'))).toEqual(await readFile(path));
  });
});

describe('streamed reading', () => {
  it('knows names and shapes without data, and reads one tensor into memory of its own', async () => {
    await using file = await openSafetensors(join(FIXTURES, 'reference.safetensors'));
    expect(file.tensors.get('f32')).toEqual({ dtype: 'F32', shape: [2, 3], sizeBytes: 24 });
    expect(file.metadata).toEqual({ format: 'pt' });
    const [a, b] = await Promise.all([file.read('f32'), file.read('i64')]);
    expect(a.data.buffer.byteLength).toBe(24);
    expect(b.data).toBeInstanceOf(BigInt64Array);
  });

  it('reads only the names asked for and refuses unknown ones', async () => {
    const path = join(FIXTURES, 'reference.safetensors');
    const { tensors } = await readSafetensors(path, { names: ['u8', 'f32'] });
    expect([...tensors.keys()]).toEqual(['u8', 'f32']);
    await expect(readSafetensors(path, { names: ['f33'] })).rejects.toThrow(
      /no tensor "f33", allowed "i64", .* more\./,
    );
  });

  it('copes with data that is not aligned', async () => {
    const data = Buffer.concat([Buffer.from([7]), Buffer.from(new Float64Array([1.5]).buffer)]);
    const header =
      '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"F64","shape":[],"data_offsets":[1,9]}}';
    const { tensors } = await readSafetensors(await folder.write('odd.safetensors', file(header, data)));
    expect([...(tensors.get('b')!.data as Float64Array)]).toEqual([1.5]);
  });

  it('notices that the file shrank after it was opened', async () => {
    const path = folder.path('shrinks.safetensors');
    await writeSafetensors(path, [['x', { dtype: 'U8', shape: [100], data: new Uint8Array(100) }]]);
    await using file = await openSafetensors(path);
    await truncate(path, 100);
    await expect(file.read('x')).rejects.toThrow(/"x" has \d+ bytes, allowed 100: the file shrank/);
  });
});

describe('refusals', () => {
  const entry = (over: Record<string, unknown> = {}) =>
    JSON.stringify({ x: { dtype: 'F32', shape: [2], data_offsets: [0, 8], ...over } });
  const data = new Uint8Array(8);

  it.each<[string, Uint8Array, RegExp]>([
    ['an empty file', new Uint8Array(0), /0 bytes, allowed at least 10: empty or truncated/],
    [
      'a header longer than the file',
      file('{}', data, 11n),
      /header length 11 bytes, allowed 2\.\..* 10 bytes that follow/,
    ],
    ['a header of no bytes', file('', data), /header length 0 bytes/],
    ['a header beyond 2^53', file('{}', data, 2n ** 63n), /header length 9223372036854775808 bytes/],
    [
      'a header that is not UTF-8',
      Buffer.concat([file('{', undefined, 3n), Buffer.from([0xff, 0x7d])]),
      /not valid UTF-8/,
    ],
    ['a header that is no object', file('[]'), /begins with "\[", allowed "{"/],
    ['a byte order mark', file('\ufeff{}'), /begins with/],
    ['text after the header', file('{} x'), /"x" after the header, allowed spaces/],
    ['an unfinished header', file('{"x":'), /"", allowed "{"/],
    [
      'a repeated tensor',
      file(`${entry().slice(0, -1)},${entry().slice(1)}`, data),
      /tensor "x" twice, allowed once/,
    ],
    [
      'a repeated tensor under an escape',
      file(`${entry().slice(0, -1)},${entry().slice(1).replace('"x"', '"\\u0078"')}`, data),
      /tensor "x" twice/,
    ],
    [
      'a repeated key',
      file(entry().replace('"shape"', '"dtype":"F32","shape"'), data),
      /"x" has key "dtype", allowed/,
    ],
    ['repeated metadata', file('{"__metadata__":{},"__metadata__":{}}'), /"__metadata__" twice/],
    ['a repeated metadata key', file('{"__metadata__":{"a":"1","a":"2"}}'), /metadata key "a" twice/],
    [
      'metadata that is no string',
      file('{"__metadata__":{"a":1}}'),
      /metadata "a" is "1}}", allowed a string/,
    ],
    ['nested metadata', file('{"__metadata__":{"a":{}}}'), /metadata "a" is "{}}}", allowed a string/],
    [
      'an unknown key',
      file(entry({ extra: 1 }), data),
      /"x" has key "extra", allowed dtype, shape, data_offsets/,
    ],
    ['a missing key', file('{"x":{"dtype":"F32","shape":[2]}}', data), /lacks one of its keys/],
    ['an unknown dtype', file(entry({ dtype: 'F99' }), data), /dtype "F99", allowed F64, F32/],
    ['a dtype we cannot hold', file(entry({ dtype: 'U32' }), data), /dtype "U32", allowed F64, F32/],
    [
      'a name of JavaScript as dtype',
      file(entry({ dtype: 'constructor' }), data),
      /dtype "constructor", allowed/,
    ],
    [
      'a negative size',
      file(entry({ shape: [-2] }), data),
      /shape of tensor "x" holds "-2\].*", allowed whole numbers/,
    ],
    ['a fraction', file(entry({ shape: [1.5] }), data), /shape of tensor "x" holds/],
    ['an exponent', file(entry().replace('[2]', '[2e0]'), data), /shape of tensor "x" holds/],
    ['a leading zero', file(entry().replace('[2]', '[02]'), data), /shape of tensor "x" holds/],
    [
      'a size beyond 2^53',
      file(entry().replace('[2]', '[9007199254740993]'), data),
      /holds "9007199254740993"/,
    ],
    [
      'an overflowing product',
      file(entry({ shape: [2 ** 40, 2 ** 40] }), data),
      /allowed a size in bytes below 2\^53/,
    ],
    [
      'too many dimensions',
      file(entry({ shape: new Array(65).fill(1) }), data),
      /holds more than 64 numbers/,
    ],
    [
      'three offsets',
      file(entry({ data_offsets: [0, 4, 8] }), data),
      /data_offsets of tensor "x" holds more than 2/,
    ],
    ['one offset', file(entry({ data_offsets: [0] }), data), /lacks one of its keys/],
    [
      'a size that does not fit',
      file(entry({ shape: [3] }), data),
      /that is 8 bytes, allowed 12 for F32 \[3\]/,
    ],
    ['reversed offsets', file(entry({ data_offsets: [8, 0] }), data), /that is -8 bytes, allowed 8/],
    [
      'a hole at the start',
      file(entry({ data_offsets: [4, 12] }), new Uint8Array(12)),
      /begins at data byte 4, allowed 0: leaves a hole/,
    ],
    [
      'an overlap',
      file(
        '{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}',
        new Uint8Array(6),
      ),
      /tensor "b" begins at data byte 2, allowed 4: overlaps/,
    ],
    [
      'truncated data',
      file(entry(), new Uint8Array(7)),
      /7 bytes of data, allowed 8 by the header: truncated/,
    ],
    [
      'data of no tensor',
      file(entry(), new Uint8Array(9)),
      /9 bytes of data, allowed 8 .*belong to no tensor/,
    ],
    ['half of a surrogate pair', file('{"\\ud800":{}}'), /holds half of a surrogate pair/],
    ['a bad escape', file('{"\\x":{}}'), /allowed a string with valid escapes/],
    ['a control character in a name', file('{"\n":{}}'), /allowed a string with valid escapes/],
    [
      'a bool of 2',
      file(entry({ dtype: 'BOOL', shape: [8] }), new Uint8Array(8).fill(2)),
      /BOOL tensor "x" holds 2 at 0/,
    ],
    [
      'a checkpoint archive',
      readFileSync(join(FIXTURES, 'bare.pth')),
      /zip archive.*: read it with readStateDict/,
    ],
    [
      'a Git LFS pointer',
      Buffer.from('version https://git-lfs.github.com/spec/v1\noid'),
      /Git LFS pointer.*git lfs pull/,
    ],
    ['a web page', Buffer.from('<!DOCTYPE html><html>'), /a web page.*download the file again/],
  ])('%s', async (_what, bytes, message) => {
    await expectRefused(bytes, message);
  });

  it('headers of megabytes of nesting, spaces and escapes, without using up the stack or the memory', async () => {
    await expectRefused(file(`{"a":${'['.repeat(2_000_000)}`), /allowed "{"/);
    await expectRefused(file(`{${' '.repeat(2_000_000)}`), /a key is "", allowed a string/);
    await expectRefused(file(`{"${'\\\\'.repeat(1_000_000)}`), /a key is .*, allowed a string/);
  });

  it('a missing file and a folder', async () => {
    await expect(readSafetensors(folder.path('none'))).rejects.toThrow(
      /none\): no such file: check the path\.$/,
    );
    await expect(readSafetensors(folder.path('.'))).rejects.toThrow(/this is a folder, a file is needed\.$/);
  });
});

describe('writer', () => {
  const ok: TensorData = { dtype: 'F32', shape: [1], data: new Float32Array(1) };

  it.each<[string, [string, TensorData][], Record<string, string>, RegExp]>([
    ['the reserved name', [['__metadata__', ok]], {}, /kept for the file’s strings/],
    [
      'a name given twice',
      [
        ['a', ok],
        ['a', ok],
      ],
      {},
      /"a": the name is given twice/,
    ],
    ['half of a surrogate pair', [['\ud800', ok]], {}, /half of a surrogate pair/],
    [
      'a wrong length',
      [['a', { ...ok, shape: [2] }]],
      {},
      /tensor "a": 1 elements for shape \[2\], allowed 2/,
    ],
    [
      'metadata that is no string',
      [],
      { a: 1 as unknown as string },
      /metadata "a" is a number, allowed a string/,
    ],
  ])('refuses %s', async (_what, tensors, metadata, message) => {
    const path = folder.path('unwritten.safetensors');
    const writing = writeSafetensors(path, tensors, metadata);
    await expect(writing).rejects.toThrow(UsageError);
    await expect(writing).rejects.toThrow(message);
    expect(await readdir(folder.path('.'))).not.toContain('unwritten.safetensors');
  });

  it('keeps a strange metadata key a key', async () => {
    const path = folder.path('proto.safetensors');
    const metadata = Object.fromEntries([['__proto__', 'x']]);
    await writeSafetensors(path, [], metadata);
    expect(Object.entries((await readSafetensors(path)).metadata)).toEqual([['__proto__', 'x']]);
  });
});

describe('damage', () => {
  it('never does worse than a DataError: any byte changed, any length cut', async () => {
    const sound = await readFile(join(FIXTURES, 'reference.safetensors'));
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(sound.length - 1), fc.nat(255)), { maxLength: 3 }),
        fc.option(fc.nat(sound.length)),
        async (changes, cut) => {
          const bytes = Buffer.from(sound);
          for (const [at, value] of changes) bytes[at] = value;
          const path = await folder.write('fuzz.safetensors', bytes.subarray(0, cut ?? bytes.length));
          await readSafetensors(path).catch((error) => expect(error).toBeInstanceOf(DataError));
        },
      ),
      { numRuns: 200 },
    );
    await rm(folder.path('fuzz.safetensors'));
  });
});

describe('golden fixtures', () => {
  it.skipIf(!hasGolden)(
    'are read, and survive being written (skipped where the fixtures are absent)',
    async () => {
      const names = readdirSync(GOLDEN).filter((name) => name.endsWith('.safetensors'));
      expect(names.length).toBeGreaterThan(0);
      for (const name of names) {
        const { tensors, metadata } = await readSafetensors(join(GOLDEN, name));
        expect(tensors.size, name).toBeGreaterThan(0);
        await writeSafetensors(folder.path('golden.safetensors'), tensors, metadata);
        const again = await readSafetensors(folder.path('golden.safetensors'));
        expect(again.tensors.size).toBe(tensors.size);
        for (const [key, tensor] of tensors) {
          const copy = again.tensors.get(key)!;
          expect(Buffer.compare(bytesOf(copy.data), bytesOf(tensor.data)), `${name} ${key}`).toBe(0);
        }
      }
    },
  );
});
