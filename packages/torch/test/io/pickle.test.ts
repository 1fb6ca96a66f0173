import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DataError } from '../../src/errors.ts';
import { PICKLE_LIMITS, readPickle } from '../../src/io/pickle.ts';
import type { PthValue } from '../../src/io/pth-values.ts';
import { describeValue, walk } from '../../src/io/pth-values.ts';
import { torchHost } from '../../src/io/torch-globals.ts';
import { FIXTURES } from './support/folder.ts';
import {
  call,
  dict,
  global,
  int,
  ints,
  p,
  pickle,
  storage,
  tensor,
  text,
  tuple,
  u32,
  u64,
} from './support/pickle-writer.ts';

/** Reads with one storage '0' of 16 bytes. */
const read = (bytes: Uint8Array, limits = {}): PthValue =>
  readPickle(
    'test',
    bytes,
    torchHost('test', (key) => (key === '0' ? 16 : undefined)),
    { ...PICKLE_LIMITS, ...limits },
  );

function expectRefused(bytes: Uint8Array, message: RegExp, limits = {}): void {
  const reading = () => read(bytes, limits);
  expect(reading).toThrow(DataError);
  expect(reading).toThrow(message);
}

describe('values', () => {
  it.each<[string, Uint8Array, PthValue]>([
    ['None', pickle('N'), null],
    ['booleans', pickle(0x88, 0x89, 0x86), [true, false]],
    ['BININT', pickle('J', u32(0xfffffffe)), -2],
    ['BININT1', pickle('K', 200), 200],
    ['BININT2', pickle('M', 1, 2), 513],
    ['LONG1 of nothing', pickle(0x8a, 0), 0],
    ['LONG1 negative', pickle(0x8a, 1, 0xff), -1],
    ['LONG1 beyond 2^53', pickle(0x8a, 8, u64(2n ** 62n)), 2n ** 62n],
    ['LONG4', pickle(0x8b, u32(3), 0, 0, 1), 65536],
    ['BINFLOAT', pickle('G', 0x3f, 0xf8, 0, 0, 0, 0, 0, 0), 1.5],
    ['text', pickle(text('ß脾')), 'ß脾'],
    ['SHORT_BINUNICODE', pickle(0x8c, 1, 'a'), 'a'],
    ['BINUNICODE8', pickle(0x8d, u64(1n), 'a'), 'a'],
    ['Python 2 str', pickle('U', 1, 'a'), 'a'],
    ['bytes', pickle('C', 2, 1, 2), new Uint8Array([1, 2])],
    ['BINBYTES8', pickle(0x8e, u64(1n), 7), new Uint8Array([7])],
    ['BYTEARRAY8', pickle(0x96, u64(1n), 7), new Uint8Array([7])],
    ['tuples', pickle('K', 1, 0x85, 'K', 2, 0x86, 'K', 3, 'K', 4, 0x87), [[[1], 2], 3, 4]],
    ['lists', pickle(']', 'K', 1, 'a', '(', 'K', 2, 'K', 3, 'e'), [1, 2, 3]],
    [
      'dicts',
      pickle('}', 'K', 1, 'K', 2, 's', '(', 'K', 3, 'N', 'u'),
      new Map<PthValue, PthValue>([
        [1, 2],
        [3, null],
      ]),
    ],
    ['a set', pickle(0x8f, '(', 'K', 1, 'K', 2, 0x90), new Set([1, 2])],
    ['a frozenset', pickle('(', 'K', 1, 0x91), new Set([1])],
    ['POP, POP_MARK and DUP', pickle('K', 1, 'K', 2, '0', '(', 'N', '1', '2', 0x86), [1, 1]],
    ['FRAME', p(0x80, 4, 0x95, u64(2n), 'N.'), null],
    ['a dtype', pickle(global('torch', 'bfloat16')), { kind: 'dtype', name: 'bfloat16' }],
    ['a class', pickle(global('os', 'system')), { kind: 'class', className: 'os.system' }],
    ['a device', pickle(call('torch', 'device', text('cuda'), int(1))), { kind: 'device', name: 'cuda:1' }],
    ['torch.Size', pickle(call('torch', 'Size', ints([2, 3]))), [2, 3]],
    [
      'bytes of protocol 2',
      pickle(call('_codecs', 'encode', text('\u00ff'), text('latin1'))),
      new Uint8Array([255]),
    ],
    ['a set of protocol 2', pickle(call('__builtin__', 'set', p(']K', 1, 'a'))), new Set([1])],
    [
      'OrderedDict of pairs',
      pickle(call('collections', 'OrderedDict', p(']', tuple(text('a'), int(1)), 'a'))),
      new Map([['a', 1]]),
    ],
    [
      'a defaultdict',
      pickle(call('collections', 'defaultdict', global('builtins', 'int'), dict({ a: int(1) }))),
      new Map([['a', 1]]),
    ],
  ])('%s', (_what, bytes, value) => expect(read(bytes)).toEqual(value));

  it('keeps shared values shared, and cycles', () => {
    const [a, b] = read(pickle(']', 'q', 5, 'h', 5, 0x86)) as PthValue[];
    expect(a).toBe(b);
    const cycle = read(pickle(']', 0x94, 'h', 0, 'a')) as PthValue[];
    expect(cycle[0]).toBe(cycle);
  });

  it('drops attributes of known containers and tensors', () => {
    expect(read(pickle('}', dict({ _metadata: p('N') }), 'b'))).toEqual(new Map());
  });
});

describe('unknown classes', () => {
  it('are opaque: arguments, state, items and entries are kept, nothing is called', () => {
    const value = read(
      pickle(
        global('os', 'system'),
        tuple(text('reboot')),
        'R',
        dict({ a: int(1) }),
        'b',
        'K',
        7,
        'a',
        text('k'),
        'K',
        8,
        's',
      ),
    );
    expect(value).toEqual({
      kind: 'opaque',
      className: 'os.system',
      args: ['reboot'],
      state: new Map([['a', 1]]),
      items: [7],
      entries: new Map([['k', 8]]),
    });
  });

  it('may be made by NEWOBJ, NEWOBJ_EX, STACK_GLOBAL and by calling what was made', () => {
    expect(read(pickle(global('a', 'B'), ')', 0x81))).toMatchObject({ kind: 'opaque', className: 'a.B' });
    expect(read(pickle(text('a'), text('B.C'), 0x93, ')', '}', 0x92))).toMatchObject({
      className: 'a.B.C',
      args: [new Map()],
    });
    expect(read(pickle(call('functools', 'partial'), ')', 'R'))).toMatchObject({
      className: 'functools.partial',
    });
  });

  it('are not mistaken for names of JavaScript', () => {
    for (const name of ['constructor', '__proto__', 'toString']) {
      expect(read(pickle(call('torch', name)))).toMatchObject({ kind: 'opaque', className: `torch.${name}` });
    }
  });
});

describe('tensors', () => {
  it('are described, not read', () => {
    expect(read(pickle(tensor({ count: 4, shape: [2, 1], strides: [2, 1], offset: 1 })))).toEqual({
      kind: 'tensor',
      dtype: 'F32',
      shape: [2, 1],
      strides: [2, 1],
      offset: 1,
      storage: { kind: 'storage', key: '0', dtype: 'F32', sizeBytes: 16 },
      requiresGrad: false,
      data: undefined,
    });
  });

  it.each<[string, Uint8Array, RegExp]>([
    [
      'beyond the storage',
      tensor({ count: 4, shape: [5], strides: [1] }),
      /reaches beyond the 4 elements of storage 0/,
    ],
    [
      'offset beyond the storage',
      tensor({ count: 4, shape: [], strides: [], offset: 4 }),
      /reaches beyond the 4 elements/,
    ],
    [
      'stride beyond the storage',
      tensor({ count: 4, shape: [2], strides: [4] }),
      /reaches beyond the 4 elements/,
    ],
    [
      'an astronomic stride',
      tensor({ count: 4, shape: [3, 3], strides: [2 ** 53 - 1, 2 ** 53 - 1] }),
      /reaches beyond/,
    ],
    [
      'a negative size',
      tensor({ count: 4, shape: [-1], strides: [1] }),
      /size \[number -1\], allowed up to 64 whole numbers >= 0/,
    ],
    ['a negative stride', tensor({ count: 4, shape: [2], strides: [-1] }), /stride \[number -1\], allowed/],
    [
      'a negative offset',
      tensor({ count: 4, shape: [1], strides: [1], offset: -1 }),
      /offset \[number -1\], allowed/,
    ],
    [
      'an overflowing size',
      tensor({ count: 4, shape: [2 ** 40, 2 ** 40], strides: [0, 0] }),
      /with size \[1099511627776,/,
    ],
    [
      'sizes without strides',
      tensor({ count: 4, shape: [2, 2], strides: [1] }),
      /with size \[2,2\] and stride \[1\]/,
    ],
    [
      'too many dimensions',
      tensor({ count: 4, shape: new Array(65).fill(1), strides: new Array(65).fill(1) }),
      /up to 64/,
    ],
    [
      'a storage that the archive lacks',
      storage('FloatStorage', '../../etc', 4),
      /names storage \.\.\/\.\.\/etc, which the archive lacks/,
    ],
    [
      'a storage of another size',
      storage('FloatStorage', '0', 5),
      /storage 0 has 5 elements, but the archive holds 4/,
    ],
    [
      'a storage of a negative size',
      storage('FloatStorage', '0', -4),
      /storage with key the string "0" and size number -4/,
    ],
    [
      'another persistent id',
      p(tuple(text('module')), 'Q'),
      /refers to a list of 1 outside its pickle, allowed a storage/,
    ],
    [
      'no storage',
      call('torch._utils', '_rebuild_tensor_v2', 'N', int(0), ints([1]), ints([1])),
      /a tensor on None, allowed a storage/,
    ],
    ['no arguments', call('torch._utils', '_rebuild_tensor_v2'), /a tensor on nothing, allowed a storage/],
    [
      'no dtype',
      call('torch._utils', '_rebuild_tensor_v3', storage('FloatStorage', '0', 4)),
      /with nothing for its dtype/,
    ],
  ])('refused: %s', (_what, piece, message) => expectRefused(pickle(piece), message));

  it('of unknown dtypes are opaque', () => {
    expect(
      read(pickle(tensor({ type: 'ComplexFloatStorage', count: 2, shape: [2], strides: [1] }))),
    ).toMatchObject({
      kind: 'opaque',
      className: 'torch.Tensor (torch.ComplexFloatStorage)',
    });
  });

  it('of subclasses are plain tensors; subclasses of subclasses are not unwrapped', () => {
    const plain = tuple(storage('FloatStorage', '0', 4), int(0), ints([4]), ints([1]));
    const wrap = (rebuild: Uint8Array, args: Uint8Array) =>
      call('torch._tensor', '_rebuild_from_type_v2', rebuild, global('my', 'Tensor'), args, 'N');
    expect(read(pickle(wrap(global('torch._utils', '_rebuild_tensor_v2'), plain)))).toMatchObject({
      kind: 'tensor',
    });
    const twice = wrap(global('torch._tensor', '_rebuild_from_type_v2'), tuple());
    expect(read(pickle(twice))).toMatchObject({ kind: 'opaque' });
  });
});

describe('refusals', () => {
  it.each<[string, Uint8Array, RegExp]>([
    ['nothing', new Uint8Array(0), /does not begin with a protocol, allowed protocols 2 to 5/],
    ['protocol 0', Buffer.from('I1\n.'), /does not begin with a protocol/],
    ['protocol 1', p(0x80, 1, 'N.'), /protocol 1, allowed 2 to 5/],
    ['protocol 6', p(0x80, 6, 'N.'), /protocol 6, allowed 2 to 5/],
    ['an unknown instruction', pickle(0xff), /unknown instruction 0xff/],
    ['the extension registry', pickle(0x82, 1), /unknown instruction 0x82/],
    ['out-of-band buffers', pickle(0x97), /unknown instruction 0x97/],
    ['text instructions', pickle('I1\n'), /unknown instruction 0x49/],
    ['no end', p(0x80, 2, 'N'), /1 bytes announced, 0 left/],
    ['bytes after the end', p(pickle('N'), 'x'), /1 bytes after the end, allowed none/],
    ['an empty stack', pickle(), /the stack is empty/],
    ['a value too many', pickle('NN'), /ends with values left on the stack/],
    ['an open mark', pickle('N('), /the stack is empty/],
    ['an open mark below', pickle('(N'), /ends with values left on the stack/],
    ['no mark', pickle('t'), /no mark on the stack/],
    ['an unknown memo', pickle('h', 9), /refers to value 9, which was not remembered/],
    ['text longer than the file', pickle('X', u32(0xffffffff)), /4294967295 bytes announced, 1 left/],
    ['text of 2^63 bytes', pickle(0x8d, u64(2n ** 63n)), /9223372036854776000 bytes announced, 1 left/],
    ['bytes longer than the file', pickle('B', u32(1000)), /1000 bytes announced/],
    ['a frame longer than the file', p(0x80, 4, 0x95, u64(1000n), 'N.'), /a frame of 1000 bytes, 2 left/],
    ['a huge integer', pickle(0x8b, u32(2000)), /an integer of 2000 bytes, allowed 1024/],
    ['text that is not UTF-8', pickle('X', u32(1), 0xff), /text that is not UTF-8/],
    ['a class name without end', p(0x80, 2, 'cos'), /a line without end/],
    [
      'a long class name',
      pickle(global('a'.repeat(600), 'b')),
      /a class name of 602 characters, allowed 500/,
    ],
    [
      'a class name that is no text',
      pickle('K', 1, 'K', 2, 0x93),
      /module name is number 1, allowed a string/,
    ],
    ['appending to a dict', pickle('}Na'), /APPEND target is a dict of 0, allowed a list/],
    ['setting in a list', pickle(']NNs'), /SETITEM target is a list of 0, allowed a dict/],
    ['half an entry', pickle('}(Nu'), /a dict entry without a value/],
    ['adding to a list', pickle('](N', 0x90), /ADDITEMS target is a list of 0, allowed a set/],
    ['arguments that are no tuple', pickle(global('a', 'b'), 'NR'), /argument list is None, allowed a tuple/],
    ['calling a number', pickle('K', 1, ')R'), /calls number 1, allowed a class or function/],
    ['calling a dtype', pickle(global('torch', 'float32'), ')R'), /calls the dtype float32, allowed a class/],
    ['state for a number', pickle('K', 1, 'Nb'), /BUILD target is number 1, allowed an object/],
  ])('%s', (_what, bytes, message) => expectRefused(bytes, message));
});

describe('limits', () => {
  it('count instructions, objects, memo, stack, marks, nesting and bytes', () => {
    expectRefused(pickle('N'.repeat(100)), /more than 50 instructions, allowed 50/, { maxOpcodes: 50 });
    expectRefused(pickle('}'.repeat(100)), /more than 50 objects/, { maxObjects: 50 });
    expectRefused(pickle('N', `${String.fromCharCode(0x94)}`.repeat(100)), /more than 50 remembered values/, {
      maxMemo: 50,
    });
    expectRefused(pickle('N'.repeat(100)), /more than 50 values on the stack/, { maxStack: 50 });
    expectRefused(pickle('N'.repeat(30), '(', 'N'.repeat(30)), /more than 50 values on the stack/, {
      maxStack: 50,
    });
    expectRefused(pickle('('.repeat(100)), /more than 50 open marks/, { maxNesting: 50 });
    expectRefused(pickle('N', '\x85'.repeat(100)), /more than 50 nesting/, { maxNesting: 50 });
    expectRefused(pickle('N'.repeat(100)), /more than 50 bytes/, { maxPickleBytes: 50 });
  });

  it('hold for the defaults', () => {
    expectRefused(pickle('}'.repeat(1_000_001)), /more than 1000000 (objects|values)/);
    expectRefused(pickle('N', '\x85'.repeat(100_000)), /nesting/);
    expectRefused(pickle('('.repeat(100_000)), /open marks/);
  });

  it('let nested sharing ("billion laughs") through as what it is: a few shared lists', () => {
    const levels = Array.from({ length: 100 }, () => p('q', 1, '0(', p('h', 1, 'h', 1, 'h', 1, 'h', 1), 'l'));
    const value = read(pickle(']', ...levels));
    expect([...walk(value)]).toHaveLength(101);
  });

  it('make no file slow: a list that many objects share is visited once', () => {
    const list = p('](', 'N'.repeat(100_000), 'eq', 1);
    const object = p(
      global('a', 'B'),
      'q',
      2,
      '0(',
      p('h', 2, 'h', 1, 'R').toString('latin1').repeat(100_000),
      'l',
    );
    const began = performance.now();
    expect([...walk(read(pickle(list, '0', object)))]).toHaveLength(100_002);
    expect(performance.now() - began).toBeLessThan(30_000);
  });

  it('charge for copies that a file asks for again and again', () => {
    const list = p('](', 'N'.repeat(1000), 'eq', 1);
    const copy = p(global('builtins', 'list'), '(h', 1, 'tR0');
    expectRefused(pickle(list, ...new Array(100).fill(copy)), /more than 50000 instructions/, {
      maxOpcodes: 50_000,
    });
    const bytes = p(text('x'.repeat(64_000)), 'q', 1);
    const encode = p(global('_codecs', 'encode'), '(h', 1, text('latin1'), 'tR0');
    expectRefused(pickle(bytes, ...new Array(100).fill(encode)), /more than 50000 instructions/, {
      maxOpcodes: 50_000,
    });
  });
});

describe('damage', () => {
  const sound = ['with-optimizer.pth', 'protocol5.pth'].map((name) =>
    pickleOf(readFileSync(join(FIXTURES, name))),
  );
  const host = torchHost('test', () => 8);

  it('never does worse than a DataError: bytes changed, removed, doubled', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...sound),
        fc.array(fc.tuple(fc.nat(8000), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        fc.nat(8000),
        fc.nat(20),
        (bytes, changes, from, length) => {
          const changed = Buffer.from(bytes);
          for (const [at, value] of changes) changed[at % changed.length] = value;
          const begin = from % changed.length;
          const end = begin + length;
          for (const variant of [
            changed,
            Buffer.concat([changed.subarray(0, begin), changed.subarray(end)]),
            Buffer.concat([changed.subarray(0, end), changed.subarray(begin)]),
          ]) {
            expectValueOrDataError(variant);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it('nor does any row of instructions', () => {
    const known = [
      'N',
      'K',
      ']',
      '}',
      ')',
      '(',
      't',
      'a',
      'e',
      's',
      'u',
      'R',
      'b',
      'Q',
      '2',
      '0',
      'l',
      'd',
      'h',
      'q',
    ];
    const piece = fc.oneof(
      fc.constantFrom(...known).map((code) => p(code, ...('Khq'.includes(code) ? [3] : []))),
      fc
        .constantFrom(0x81, 0x85, 0x86, 0x87, 0x8f, 0x90, 0x91, 0x92, 0x93, 0x94, 0x88)
        .map((code) => p(code)),
      fc.constantFrom('list', 'set', 'dict', 'bytes').map((name) => global('builtins', name)),
      fc
        .constantFrom('_rebuild_tensor_v2', '_rebuild_tensor_v3', '_rebuild_parameter')
        .map((name) => global('torch._utils', name)),
      fc.constantFrom('OrderedDict', 'Counter', 'defaultdict').map((name) => global('collections', name)),
      fc.constant(global('torch._tensor', '_rebuild_from_type_v2')),
      fc.constant(storage('FloatStorage', '0', 2)),
      fc.constant(text('a')),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => expectValueOrDataError(pickle(...pieces))),
      { numRuns: 1000 },
    );
  });

  function expectValueOrDataError(bytes: Uint8Array): void {
    try {
      expect(typeof describeValue(readPickle('test', bytes, host))).toBe('string');
    } catch (error) {
      expect(error).toBeInstanceOf(DataError);
    }
  }

  /** The stored data.pkl of an archive that torch wrote: its first entry. */
  function pickleOf(archive: Buffer): Buffer {
    const directory = archive.indexOf('PK\x01\x02', 0, 'latin1');
    const size = archive.readUInt32LE(directory + 24);
    const start = 30 + archive.readUInt16LE(26) + archive.readUInt16LE(28);
    return archive.subarray(start, start + size);
  }
});
