// What the class names in a torch checkpoint stand for: the allow-list. Tensors, storages, dtypes, devices and plain
// containers become data; every other name becomes an opaque value. Nothing is looked up, imported or called.
// Source: torch.serialization and torch._utils (the `_rebuild_*` functions) of PyTorch 1.6 to 2.x.
// Not here: reading storages (pth.ts), the pickle machine (pickle.ts).

import { DataError } from '../errors.ts';
import type { PickleHost } from './pickle.ts';
import type { PthOpaque, PthStorage, PthTensor, PthValue } from './pth-values.ts';
import { describeValue, isPthObject, isTensor, opaque } from './pth-values.ts';
import type { TensorDtype } from './tensor-data.ts';
import { dtypeBytes, elementCount, MAX_RANK } from './tensor-data.ts';

/** Sizes of the archive's storages by key; `undefined` for a key that the archive lacks. */
export type StorageSizes = (key: string) => number | undefined;

/** The host for one checkpoint. `who` opens every message. */
export function torchHost(who: string, storageBytes: StorageSizes): PickleHost {
  const context: Context = { who, storageBytes, storages: new Map(), charge: () => undefined };
  return {
    global: (pickledName) => {
      const className = pickledName.replace(/^__builtin__\./, 'builtins.').replace(/^copy_reg\./, 'copyreg.');
      const name = /^torch\.(\w+)$/.exec(className)?.[1];
      return name !== undefined && DTYPE_NAMES.has(name)
        ? { kind: 'dtype', name }
        : { kind: 'class', className };
    },
    call: (callee, args, charge) => {
      const isCallable = isPthObject(callee) && (callee.kind === 'class' || callee.kind === 'opaque');
      if (!isCallable) throw fault(context, `calls ${describeValue(callee)}, allowed a class or function`);
      const known = callee.kind === 'class' ? CALLS.get(callee.className) : undefined;
      return known?.(args, { ...context, charge }) ?? opaque(callee.className, args);
    },
    persistent: (id) => storageFromId(context, id),
  };
}

type Context = {
  readonly who: string;
  readonly storageBytes: StorageSizes;
  readonly storages: Map<string, PthStorage>;
  readonly charge: (elements: number) => void;
};

/** A known call. `undefined` says that these arguments are not known, so the call becomes an opaque value. */
type Call = (args: PthValue[], context: Context) => PthValue | undefined;

const CALLS: ReadonlyMap<string, Call> = new Map<string, Call>([
  ['collections.OrderedDict', ([items], c) => copyDict(items, c)],
  ['collections.Counter', ([items], c) => copyDict(items, c)],
  ['collections.defaultdict', ([, items], c) => copyDict(items, c)],
  ['builtins.dict', ([items], c) => copyDict(items, c)],
  ['builtins.list', ([items], c) => copyList(items, c)],
  ['builtins.tuple', ([items], c) => copyList(items, c)],
  ['torch.Size', ([items], c) => copyList(items, c)],
  ['builtins.set', ([items], c) => copySet(items, c)],
  ['builtins.frozenset', ([items], c) => copySet(items, c)],
  ['builtins.bytearray', ([bytes], c) => copyBytes(bytes, c)],
  ['builtins.bytes', ([bytes], c) => copyBytes(bytes, c)],
  ['_codecs.encode', encodeLatin1],
  ['torch.device', device],
  ['torch._utils._rebuild_tensor', rebuildTensor],
  ['torch._utils._rebuild_tensor_v2', rebuildTensor],
  ['torch._utils._rebuild_tensor_v3', rebuildTensorOfDtype],
  ['torch._utils._rebuild_parameter', parameter],
  ['torch._utils._rebuild_parameter_with_state', parameter],
  ['torch.nn.parameter.Parameter', parameter],
  ['torch._tensor._rebuild_from_type_v2', rebuildSubclass],
]);

const STORAGE_DTYPES: ReadonlyMap<string, TensorDtype | undefined> = new Map<string, TensorDtype | undefined>(
  [
    ['torch.DoubleStorage', 'F64'],
    ['torch.FloatStorage', 'F32'],
    ['torch.HalfStorage', 'F16'],
    ['torch.BFloat16Storage', 'BF16'],
    ['torch.LongStorage', 'I64'],
    ['torch.IntStorage', 'I32'],
    ['torch.ShortStorage', 'I16'],
    ['torch.CharStorage', 'I8'],
    ['torch.ByteStorage', 'U8'],
    ['torch.BoolStorage', 'BOOL'],
    ['torch.storage.UntypedStorage', undefined],
    ['torch.storage._UntypedStorage', undefined],
  ],
);

/** torch's dtypes by name; `undefined` for those that no file format of ours holds. */
const DTYPE_NAMES: ReadonlyMap<string, TensorDtype | undefined> = new Map<string, TensorDtype | undefined>([
  ['float64', 'F64'],
  ['float32', 'F32'],
  ['float16', 'F16'],
  ['bfloat16', 'BF16'],
  ['int64', 'I64'],
  ['int32', 'I32'],
  ['int16', 'I16'],
  ['int8', 'I8'],
  ['uint8', 'U8'],
  ['bool', 'BOOL'],
  ...[
    'uint16',
    'uint32',
    'uint64',
    'complex32',
    'complex64',
    'complex128',
    'quint8',
    'qint8',
    'qint32',
    'quint4x2',
  ]
    .concat(['float8_e4m3fn', 'float8_e5m2', 'float8_e4m3fnuz', 'float8_e5m2fnuz', 'float8_e8m0fnu'])
    .map((name): [string, undefined] => [name, undefined]),
]);

function fault(context: Context, problem: string): DataError {
  return new DataError(`${context.who}: the checkpoint ${problem}: damaged, or not written by torch.`);
}

// Storages

/** torch.save's persistent id: ('storage', storage class, key, device, number of elements). */
function storageFromId(context: Context, id: PthValue): PthValue {
  const [tag, type, key, , count] = Array.isArray(id) ? id : [];
  if (tag !== 'storage' || type === undefined || !isPthObject(type) || type.kind !== 'class') {
    throw fault(context, `refers to ${describeValue(id)} outside its pickle, allowed a storage`);
  }
  if (typeof key !== 'string' || typeof count !== 'number' || !Number.isSafeInteger(count) || count < 0) {
    throw fault(context, `has a storage with key ${describeValue(key)} and size ${describeValue(count)}`);
  }
  const sizeBytes = context.storageBytes(key);
  if (sizeBytes === undefined)
    throw fault(context, `names storage ${key.slice(0, 60)}, which the archive lacks`);
  if (!STORAGE_DTYPES.has(type.className)) return opaque(type.className, [key, count]);
  const dtype = STORAGE_DTYPES.get(type.className);
  const held = Math.floor(sizeBytes / (dtype ? dtypeBytes(dtype) : 1));
  if (held !== count) {
    throw fault(context, `says that storage ${key} has ${count} elements, but the archive holds ${held}`);
  }
  const existing = context.storages.get(key);
  if (existing && existing.dtype === dtype) return existing;
  const storage: PthStorage = { kind: 'storage', key, dtype, sizeBytes };
  context.storages.set(key, storage);
  return storage;
}

// Tensors

/** _rebuild_tensor(_v2): (storage, offset, size, stride, requires_grad, …). */
function rebuildTensor(args: PthValue[], context: Context): PthValue | undefined {
  const storage = storageOf(args, context);
  if (storage.kind === 'opaque') return opaque(`torch.Tensor (${storage.className})`, args);
  return storage.dtype && view(context, storage, storage.dtype, args);
}

/** _rebuild_tensor_v3: as v2, with the dtype as argument 6, for dtypes that have no storage class. */
function rebuildTensorOfDtype(args: PthValue[], context: Context): PthValue | undefined {
  const storage = storageOf(args, context);
  const asked = args[6];
  if (asked === undefined || !isPthObject(asked) || asked.kind !== 'dtype') {
    throw fault(context, `has a tensor with ${describeValue(asked)} for its dtype`);
  }
  const dtype = DTYPE_NAMES.get(asked.name);
  if (storage.kind === 'opaque' || !dtype) return opaque(`torch.Tensor (${asked.name})`, args);
  return view(context, storage, dtype, args);
}

/** The storage of a tensor; opaque if its dtype is unknown. */
function storageOf([storage]: PthValue[], context: Context): PthStorage | PthOpaque {
  const isStorage = storage !== undefined && isPthObject(storage);
  if (isStorage && (storage.kind === 'storage' || storage.kind === 'opaque')) return storage;
  throw fault(context, `has a tensor on ${describeValue(storage)}, allowed a storage`);
}

function view(context: Context, storage: PthStorage, dtype: TensorDtype, args: PthValue[]): PthTensor {
  const [, offset, size, stride, requiresGrad] = args;
  const shape = integers(context, 'size', size);
  const strides = integers(context, 'stride', stride);
  const [start] = integers(context, 'offset', [offset ?? null]) as [number];
  const count = elementCount(shape);
  if (count === undefined || strides.length !== shape.length) {
    throw fault(context, `has a tensor with size [${shape}] and stride [${strides}]`);
  }
  const last = shape.reduce((sum, length, i) => sum + (length - 1) * strides[i]!, start);
  const held = Math.floor(storage.sizeBytes / dtypeBytes(dtype));
  if (count > 0 && !(last < held)) {
    throw fault(
      context,
      `has a ${dtype} tensor with size [${shape}], stride [${strides}] and offset ${start}, ` +
        `which reaches beyond the ${held} elements of storage ${storage.key}`,
    );
  }
  return {
    kind: 'tensor',
    dtype,
    shape,
    strides,
    offset: start,
    storage,
    requiresGrad: requiresGrad === true,
    data: undefined,
  };
}

function integers(context: Context, what: string, value: PthValue | undefined): number[] {
  const isList = Array.isArray(value) && value.length <= MAX_RANK;
  if (!isList || !value.every((x): x is number => Number.isSafeInteger(x) && (x as number) >= 0)) {
    const found = Array.isArray(value)
      ? `[${value.slice(0, MAX_RANK).map(describeValue)}]`
      : describeValue(value);
    throw fault(context, `has a tensor with ${what} ${found}, allowed up to ${MAX_RANK} whole numbers >= 0`);
  }
  return [...value];
}

/** A parameter is read as its tensor; requires_grad is the second argument. */
function parameter([tensor, requiresGrad]: PthValue[]): PthValue | undefined {
  return isTensor(tensor) ? { ...tensor, requiresGrad: requiresGrad === true } : undefined;
}

/** (function, type, arguments, state): a tensor of a subclass, or with attributes, is read as the plain tensor. */
function rebuildSubclass([rebuild, , args]: PthValue[], context: Context): PthValue | undefined {
  if (rebuild === undefined || !isPthObject(rebuild) || rebuild.kind !== 'class' || !Array.isArray(args)) {
    return undefined;
  }
  const known = CALLS.get(rebuild.className);
  return known && known !== rebuildSubclass ? known(args, context) : undefined;
}

/** torch.device('cuda', 0) or torch.device('cpu'). */
function device([type, index]: PthValue[]): PthValue | undefined {
  if (typeof type !== 'string') return undefined;
  return { kind: 'device', name: typeof index === 'number' ? `${type}:${index}` : type };
}

// Containers; copies are charged, since a file can ask for the same copy again and again

function copyList(items: PthValue | undefined, { charge }: Context): PthValue[] | undefined {
  if (items === undefined) return [];
  if (!Array.isArray(items) && !(items instanceof Set)) return undefined;
  charge(Array.isArray(items) ? items.length : items.size);
  return [...items];
}

function copySet(items: PthValue | undefined, context: Context): Set<PthValue> | undefined {
  const list = copyList(items, context);
  return list && new Set(list);
}

function copyDict(items: PthValue | undefined, context: Context): Map<PthValue, PthValue> | undefined {
  if (items === undefined) return new Map();
  if (items instanceof Map) {
    context.charge(items.size);
    return new Map(items);
  }
  const pairs = copyList(items, context);
  const isPairs = pairs?.every((pair) => Array.isArray(pair) && pair.length === 2);
  return isPairs ? new Map(pairs as [PthValue, PthValue][]) : undefined;
}

function copyBytes(bytes: PthValue | undefined, { charge }: Context): Uint8Array | undefined {
  if (bytes === undefined) return new Uint8Array(0);
  if (!(bytes instanceof Uint8Array)) return undefined;
  charge(Math.ceil(bytes.length / BYTES_A_CHARGE));
  return new Uint8Array(bytes);
}

/** Protocol 2 writes bytes as `_codecs.encode(text, 'latin1')`. */
function encodeLatin1([text, encoding]: PthValue[], { charge }: Context): Uint8Array | undefined {
  if (typeof text !== 'string' || encoding !== 'latin1') return undefined;
  charge(Math.ceil(text.length / BYTES_A_CHARGE));
  return new Uint8Array(Buffer.from(text, 'latin1'));
}

/** Bytes that cost as much as one instruction. */
const BYTES_A_CHARGE = 64;
