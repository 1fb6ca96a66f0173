// The state dict of a checkpoint file: finds it in its wrapper, reads its tensors, and says what it left out.
// Not here: comparing names and shapes with a model (strict loading), renaming keys between model families.

import { DataError } from '../errors.ts';
import type { PthOptions } from './pth.ts';
import { openPth } from './pth.ts';
import type { PthTensor, PthValue } from './pth-values.ts';
import { describeValue, isPthObject, isTensor } from './pth-values.ts';
import type { TensorData } from './tensor-data.ts';

/**
 * Keys under which training programs keep the state dict, tried in this order: SAM-Med2D `model`, Lightning and
 * others `state_dict`, SAM-Med3D `model_state_dict`, nnU-Net `network_weights`.
 */
export const STATE_DICT_KEYS = ['model', 'state_dict', 'model_state_dict', 'network_weights'] as const;

/** DataParallel and DistributedDataParallel put this before every name. */
const WRAPPER_PREFIX = 'module.';

export type ReadStateDictOptions = PthOptions & {
  /** Key of the state dict in the checkpoint, for files with another than the usual ones. */
  readonly key?: string;
};

export type StateDict = {
  /** Tensors by name, in file order; the prefix `module.` is removed where all names have it. */
  readonly tensors: Map<string, TensorData>;
  /** What else the file holds, as `key: description`; a nested key as `model.key`. */
  readonly ignored: string[];
};

/**
 * Reads the state dict of a .pth or .pt file: the file itself, or the entry of one of `STATE_DICT_KEYS`. Only its
 * tensors are read from the disk.
 */
export async function readStateDict(path: string, options: ReadStateDictOptions = {}): Promise<StateDict> {
  const who = `readStateDict(${path})`;
  const file = await openPth(path, options);
  try {
    const { dict, prefix, ignored } = findStateDict(who, file.root, options.key);
    const found = new Map<string, PthTensor>();
    for (const [name, value] of dict) {
      if (typeof name === 'string' && isTensor(value)) found.set(name, value);
      else ignored.push(`${prefix}${describeEntry(name, value)}`);
    }
    const data = await file.readAll(found.values());
    const isWrapped = [...found.keys()].every((name) => name.startsWith(WRAPPER_PREFIX));
    const tensors = new Map<string, TensorData>();
    for (const [name, tensor] of found) {
      tensors.set(isWrapped ? name.slice(WRAPPER_PREFIX.length) : name, data.get(tensor)!);
    }
    return { tensors, ignored };
  } finally {
    await file.close();
  }
}

type Dict = Map<PthValue, PthValue>;

/** The state dict in the checkpoint, what to put before its keys in messages, and the entries beside it. */
type Found = { readonly dict: Dict; readonly prefix: string; readonly ignored: string[] };

function findStateDict(who: string, root: PthValue, askedKey: string | undefined): Found {
  if (!(root instanceof Map)) throw notAStateDict(who, root);
  const keys = askedKey === undefined ? STATE_DICT_KEYS : [askedKey];
  for (const key of keys) {
    const dict = root.get(key);
    if (!holdsTensors(dict)) continue;
    const others = [...root].filter(([other]) => other !== key);
    return { dict, prefix: `${key}.`, ignored: others.map(([other, value]) => describeEntry(other, value)) };
  }
  if (askedKey === undefined && holdsTensors(root)) return { dict: root, prefix: '', ignored: [] };
  const wholeObject = keys.map((key) => root.get(key)).find((value) => isOpaque(value));
  if (wholeObject !== undefined) throw notAStateDict(who, wholeObject);
  const entries = [...root].slice(0, 8).map(([key, value]) => describeEntry(key, value));
  throw new DataError(
    `${who}: no tensors in the checkpoint or under ${keys.join(', ')}. Found: ${entries.join('; ') || 'nothing'}` +
      `${root.size > 8 ? '; …' : ''}. If one of these holds the weights, name its key.`,
  );
}

function holdsTensors(value: PthValue | undefined): value is Dict {
  return value instanceof Map && [...value.values()].some(isTensor);
}

function isOpaque(value: PthValue | undefined): boolean {
  return value !== undefined && isPthObject(value) && value.kind === 'opaque';
}

function notAStateDict(who: string, found: PthValue): DataError {
  const advice = isOpaque(found)
    ? 'a whole pickled object, whose class is never loaded here: save its state_dict() instead'
    : 'save a state dict';
  return new DataError(`${who}: found ${describeValue(found)}, allowed a dict of tensors: ${advice}.`);
}

function describeEntry(key: PthValue, value: PthValue): string {
  return `${typeof key === 'string' ? key : describeValue(key)}: ${describeValue(value)}`;
}
