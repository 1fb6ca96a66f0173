// The tensors of one or many checkpoint files by their network names, described first and read one by one: the shards of a
// model of 13 GB never lie in memory together. A folder stands for the shards in it (by its index file, where it has one).
// Not here: what a model needs (load-plan.ts).

import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { DataError } from '@maskrank/torch/errors';
import {
  describeValue,
  isTensor,
  openPth,
  openSafetensors,
  type PthValue,
  STATE_DICT_KEYS,
  type TensorData,
  type TensorDtype,
} from '@maskrank/torch/io';
import { networkName } from './released-names.ts';

/** A tensor that a file offers. */
export type SourceTensor = {
  readonly file: string;
  /** Its name in the file. */
  readonly released: string;
  readonly dtype: TensorDtype;
  readonly shape: readonly number[];
  readonly read: () => Promise<TensorData>;
};

export type Sources = {
  readonly files: readonly string[];
  /** By network name. */
  readonly tensors: ReadonlyMap<string, SourceTensor>;
  /** Names that occur twice, as sentences. */
  readonly repeated: readonly string[];
  /** What else the files hold. */
  readonly ignored: readonly string[];
  /** What the .safetensors among them say of themselves. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly close: () => Promise<void>;
};

type OpenFile = {
  readonly tensors: readonly SourceTensor[];
  readonly ignored: readonly string[];
  readonly metadata: Readonly<Record<string, string>>;
  readonly close: () => Promise<void>;
};

async function openSafetensorsFile(path: string): Promise<OpenFile> {
  const file = await openSafetensors(path);
  const tensors = [...file.tensors].map(([released, { dtype, shape }]) => ({
    file: path,
    released,
    dtype,
    shape,
    read: () => file.read(released),
  }));
  return { tensors, ignored: [], metadata: file.metadata, close: () => file.close() };
}

async function openPthFile(path: string): Promise<OpenFile> {
  const file = await openPth(path);
  const roots: (PthValue | undefined)[] = [file.root];
  if (file.root instanceof Map) for (const key of STATE_DICT_KEYS) roots.push(file.root.get(key));
  const dict = roots.find(
    (value): value is Map<PthValue, PthValue> => value instanceof Map && [...value.values()].some(isTensor),
  );
  if (dict === undefined) {
    await file.close();
    throw new DataError(
      `loadMedvint(${path}): found ${describeValue(file.root)}, allowed a dict of tensors.`,
    );
  }
  const tensors: SourceTensor[] = [];
  const ignored: string[] = [];
  for (const [key, value] of dict) {
    const released = String(key);
    if (isTensor(value)) {
      const { dtype, shape } = value;
      tensors.push({ file: path, released, dtype, shape, read: () => file.read(value) });
    } else ignored.push(`${basename(path)}: ${released}: ${describeValue(value)}`);
  }
  return { tensors, ignored, metadata: {}, close: () => file.close() };
}

const OPENERS: Readonly<Record<string, (path: string) => Promise<OpenFile>>> = {
  '.bin': openPthFile,
  '.pt': openPthFile,
  '.pth': openPthFile,
  '.safetensors': openSafetensorsFile,
};

/** Weight files of a trainer's folder; beside them lie optimisers and arguments in files of the same kinds. */
const WEIGHT_FILE = /^(pytorch_model|model|adapter_model)(-\d+-of-\d+)?\.(bin|safetensors)$/;
const INDEX_FILE = /^(pytorch_model\.bin|model\.safetensors)\.index\.json$/;

/** The files that a path stands for: itself, or the shards in a folder. */
async function weightFiles(path: string): Promise<string[]> {
  const stats = await stat(path).catch((cause: NodeJS.ErrnoException) => {
    throw new DataError(`loadMedvint(${path}): cannot be read (${cause.code}): check the path.`, { cause });
  });
  if (!stats.isDirectory()) return [path];
  const names = (await readdir(path)).sort();
  const index = names.find((name) => INDEX_FILE.test(name));
  const found = index === undefined ? preferSafetensors(names) : await shards(path, index);
  if (found.length > 0) return found.map((name) => join(path, name));
  throw new DataError(
    `loadMedvint(${path}): no weights in this folder; looked for pytorch_model.bin, model.safetensors and their shards. Found: ${names.slice(0, 8).join(', ') || 'nothing'}.`,
  );
}

/** Some folders hold the same weights in both formats. */
function preferSafetensors(names: readonly string[]): string[] {
  const weights = names.filter((name) => WEIGHT_FILE.test(name));
  const safe = weights.filter((name) => name.endsWith('.safetensors'));
  return safe.length > 0 ? safe : weights;
}

/** The shards that an index names; all must be there. */
async function shards(folder: string, index: string): Promise<string[]> {
  const who = `loadMedvint(${join(folder, index)})`;
  let map: unknown;
  try {
    map = (JSON.parse(await readFile(join(folder, index), 'utf8')) as { weight_map?: unknown }).weight_map;
  } catch (cause) {
    throw new DataError(`${who}: no JSON: damaged.`, { cause });
  }
  const listed = [...new Set(Object.values(map ?? {}))];
  const isPlain = (name: unknown): name is string => typeof name === 'string' && WEIGHT_FILE.test(name);
  if (listed.length === 0 || !listed.every(isPlain))
    throw new DataError(
      `${who}: weight_map must name files beside it such as pytorch_model-00001-of-00002.bin.`,
    );
  const names = new Set(await readdir(folder));
  const absent = listed.filter((name) => !names.has(name));
  if (absent.length > 0) throw new DataError(`${who}: shards that are not there: ${absent.join(', ')}.`);
  return listed.sort();
}

/** Opens all files and lists their tensors; reads none. Close it. */
export async function openSources(paths: readonly string[]): Promise<Sources> {
  const files = (await Promise.all(paths.map(weightFiles))).flat();
  const open: OpenFile[] = [];
  const close = async () => void (await Promise.all(open.map((file) => file.close())));
  try {
    for (const path of files) {
      const opener = OPENERS[extname(path).toLowerCase()];
      if (opener === undefined)
        throw new DataError(
          `loadMedvint(${path}): unknown kind of file; allowed are ${Object.keys(OPENERS).join(', ')}, or a folder.`,
        );
      open.push(await opener(path));
    }
  } catch (error) {
    await close();
    throw error;
  }
  const ignored = open.flatMap((file) => file.ignored);
  const metadata = Object.assign({}, ...open.map((file) => file.metadata));
  return { files, ...byNetworkName(open.flatMap((file) => file.tensors)), ignored, metadata, close };
}

/** Tensors in memory as a source; `source` names them in messages. */
export function memorySources(tensors: ReadonlyMap<string, TensorData>, source: string): Sources {
  const all = [...tensors].map(([released, data]): SourceTensor => {
    const { dtype, shape } = data;
    return { file: source, released, dtype, shape, read: async () => data };
  });
  return { files: [source], ...byNetworkName(all), ignored: [], metadata: {}, close: async () => {} };
}

function byNetworkName(all: readonly SourceTensor[]): Pick<Sources, 'tensors' | 'repeated'> {
  const tensors = new Map<string, SourceTensor>();
  const repeated: string[] = [];
  for (const tensor of all) {
    const name = networkName(tensor.released);
    const other = tensors.get(name);
    if (other === undefined) tensors.set(name, tensor);
    else repeated.push(`twice: ${name}: as ${where(other)} and as ${where(tensor)}`);
  }
  return { tensors, repeated };
}

const where = ({ file, released }: SourceTensor): string => `${released} in ${basename(file)}`;
