// What a pickled checkpoint can turn into: plain containers and scalars, tensors, and opaque stand-ins for every class
// that the reader does not know. Nothing here ever holds code.
// Not here: how pickles are read (pickle.ts), which classes are known (torch-globals.ts).

import type { TensorData, TensorDtype } from './tensor-data.ts';

/**
 * A value of a checkpoint. Python's None is null, int a number (bigint beyond 2^53), bytes and bytearray a
 * `Uint8Array`, list and tuple (and torch.Size) an array, dict and OrderedDict a `Map`, set and frozenset a `Set`.
 * Values that the file shares are shared here, and the graph may have cycles.
 */
export type PthValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PthValue[]
  | Map<PthValue, PthValue>
  | Set<PthValue>
  | PthTensor
  | PthStorage
  | PthDtype
  | PthDevice
  | PthClass
  | PthOpaque;

/** A block of elements in the archive that tensors are views of. */
export type PthStorage = {
  readonly kind: 'storage';
  /** Name of the archive's entry, below `data/`. Equal keys are the same memory. */
  readonly key: string;
  /** `undefined` for an untyped storage, whose size is counted in bytes. */
  readonly dtype: TensorDtype | undefined;
  readonly sizeBytes: number;
};

/** A tensor as the file describes it: a strided view of a storage. Strides and offset in elements. */
export type PthTensor = {
  readonly kind: 'tensor';
  readonly dtype: TensorDtype;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  readonly offset: number;
  readonly storage: PthStorage;
  readonly requiresGrad: boolean;
  /** The values, once read (`readPth` reads all, `openPth` none). */
  data: TensorData | undefined;
};

/** A torch dtype as a value, such as `float32`. */
export type PthDtype = { readonly kind: 'dtype'; readonly name: string };

/** A torch device as a value, such as `cuda:0`. */
export type PthDevice = { readonly kind: 'device'; readonly name: string };

/** A class or function that the file names without calling it here. */
export type PthClass = { readonly kind: 'class'; readonly className: string };

/** An object of a class that this reader does not know: what it was made from and given, never the object itself. */
export type PthOpaque = {
  readonly kind: 'opaque';
  /** Dotted name of the class, or of the function that would have made the object. */
  readonly className: string;
  /** Arguments of the constructor or function; keyword arguments, if any, as a last `Map`. */
  readonly args: PthValue[];
  /** What BUILD (`__setstate__` or `__dict__`) was given. */
  state: PthValue | undefined;
  /** Items appended to the object, for list-like classes. */
  readonly items: PthValue[];
  /** Items set by key, for dict-like classes. */
  readonly entries: Map<PthValue, PthValue>;
};

export function opaque(className: string, args: PthValue[]): PthOpaque {
  return { kind: 'opaque', className, args, state: undefined, items: [], entries: new Map() };
}

/** Objects of this file with a `kind`, as opposed to containers, bytes and scalars. */
export type PthObject = Extract<PthValue, { kind: string }>;

export function isPthObject(value: PthValue): value is PthObject {
  return typeof value === 'object' && value !== null && 'kind' in value;
}

export function isTensor(value: PthValue | undefined): value is PthTensor {
  return value !== undefined && isPthObject(value) && value.kind === 'tensor';
}

/** A value in a few words, for messages. */
export function describeValue(value: PthValue | undefined): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'None';
  if (typeof value === 'string') return `the string ${JSON.stringify(value.slice(0, 60))}`;
  if (typeof value !== 'object') return `${typeof value} ${value}`;
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (value instanceof Map) return `a dict of ${value.size}`;
  if (value instanceof Set) return `a set of ${value.size}`;
  if (value instanceof Uint8Array) return `${value.length} bytes`;
  switch (value.kind) {
    case 'tensor':
      return `a ${value.dtype} tensor [${value.shape}]`;
    case 'storage':
      return `a storage of ${value.sizeBytes} bytes`;
    case 'dtype':
    case 'device':
      return `the ${value.kind} ${value.name}`;
    case 'class':
      return `the class ${value.className}`;
    case 'opaque':
      return `an object of ${value.className}`;
    default:
      value satisfies never;
      return 'an unknown value';
  }
}

type Visit = { readonly value: PthValue; readonly depth: number };

/**
 * Every container and object reachable from `root`, each once, parents first, in file order. `depth` is the nesting
 * on the path on which it was found. Needs no recursion, so neither cycles nor deep nesting harm it, and visits what
 * is shared once, so it takes time in proportion to what the file holds.
 */
export function* walk(root: PthValue): Generator<Visit> {
  const seen = new Set<PthValue>();
  const pending: Visit[] = [{ value: root, depth: 0 }];
  for (let next = pending.pop(); next; next = pending.pop()) {
    const { value, depth } = next;
    if (seen.has(value)) continue;
    seen.add(value);
    yield next;
    const children = childrenOf(value).filter((child) => typeof child === 'object' && child !== null);
    for (const child of children.reverse()) pending.push({ value: child, depth: depth + 1 });
  }
}

function childrenOf(value: PthValue): PthValue[] {
  if (Array.isArray(value)) return [...value];
  if (value instanceof Map) return [...value].flat(1);
  if (value instanceof Set) return [...value];
  if (!isPthObject(value) || value.kind !== 'opaque') return [];
  // the argument list is a child of its own, since objects may share one
  const { args, state, items, entries } = value;
  return [args, state ?? null, items.length > 0 ? items : null, entries.size > 0 ? entries : null];
}
