// Loads MedVInT-TD from the files that its authors released, or that this project saved: checks all names and shapes first,
// then fills the network tensor by tensor, merging low-rank updates into the weights they belong to and rounding LLaMA's
// large matrices to the storage that is asked for. Needs memory for the network and one matrix.
// A file of this project (`saveMedvint`) is a .safetensors with the network's names and this metadata, all strings:
//   format         `maskrank-medvint`
//   medvintConfig  the MedvintConfig as JSON
//   tokenizer      its tokenizer.model in base64, where it has one of its own
//   and whatever the writer adds (header of the run, recipe, datasets).
// Not here: the choice of files (sources.ts), what must be in them (load-plan.ts).

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fromTensorData, noGrad, type Tensor, tidy, toTensorData, zeros } from '@maskrank/torch';
import { DataError, UsageError } from '@maskrank/torch/errors';
import { type TensorData, type TensorDtype, writeSafetensors } from '@maskrank/torch/io';
import type { MedvintModel } from './answer.ts';
import type { MedvintConfig } from './config.ts';
import { CONFIG_KEY, inferMedvintConfig } from './infer-config.ts';
import { planLoad, type Target } from './load-plan.ts';
import { Medvint } from './network.ts';
import { memorySources, openSources, type Sources } from './sources.ts';
import { StoredMatrix, type WeightStorage } from './stored-weights.ts';
import { LlamaTokenizer } from './tokenizer/index.ts';

export type LoadNetworkOptions = {
  /** The network that the files hold. Default: the one that they name, else the one with as many pieces. */
  readonly config?: MedvintConfig;
  /** How LLaMA's large matrices are kept. Default `float16`: 13.5 GB for the released network; `int8` 6.8, `float32` 27. */
  readonly storage?: WeightStorage;
  /** Element type of everything else and of what is computed. Default `float32`, the only one on the CPU. */
  readonly compute?: 'float32' | 'bfloat16' | 'float16';
  /** `cpu` (default), `cuda`. Files are read on the CPU first. */
  readonly device?: 'cpu' | `cuda${string}`;
  /** Told how many tensors are filled, of how many. */
  readonly progress?: (done: number, total: number) => void;
  /** Ends the loading between two tensors. */
  readonly signal?: AbortSignal;
};

export type LoadMedvintOptions = LoadNetworkOptions & {
  /** A `tokenizer.model`. Default: the one in the weight file, else the one beside it or in its folder. */
  readonly tokenizer?: string | null;
};

/** What a load did. */
export type LoadMedvintReport = {
  readonly files: readonly string[];
  /** Weights that got their low-rank update added; none where the files have none. */
  readonly merged: readonly string[];
  /** Tensors of the files that the network computes itself. */
  readonly unused: readonly string[];
  /** What else the files hold, as `file: key: description`. */
  readonly ignored: readonly string[];
};

/**
 * The network and its tokeniser. `paths`: files (.bin, .pt, .pth, .safetensors) or folders of shards; together they must hold
 * every tensor once. Throws DataError with every difference at once, before anything is allocated.
 */
export async function loadMedvint(
  paths: string | readonly string[],
  options: LoadMedvintOptions = {},
): Promise<MedvintModel & { readonly report: LoadMedvintReport }> {
  const all = typeof paths === 'string' ? [paths] : paths;
  const sources = await openSources(all);
  try {
    const config = options.config ?? inferMedvintConfig(sources);
    const { tokenizer, source } = await tokenizerOf(all, sources.metadata, options.tokenizer ?? null);
    const { vocabularySize } = config.llama;
    if (tokenizer.vocabularySize !== vocabularySize)
      throw new DataError(
        `loadMedvint(${source}): ${tokenizer.vocabularySize} pieces, needed ${vocabularySize}: another model's tokeniser.`,
      );
    requireArithmetic(options);
    return { ...(await fromSources(sources, { ...options, config })), tokenizer };
  } finally {
    await sources.close();
  }
}

const TOKENIZER_KEY = 'tokenizer';
const TOKENIZER_FILE = 'tokenizer.model';

/**
 * The file of the tokeniser that belongs to weights: the named one, else the one beside them or in their folder; null where the
 * weights' own metadata hold it. DataError where there is none.
 */
export function tokenizerPath(
  paths: readonly string[],
  metadata: Readonly<Record<string, string>>,
  named: string | null,
): string | null {
  if (named !== null) return named;
  if (metadata[TOKENIZER_KEY] !== undefined) return null;
  const places = paths.flatMap((path) => [join(path, TOKENIZER_FILE), join(dirname(path), TOKENIZER_FILE)]);
  const found = places.find((path) => existsSync(path));
  if (found !== undefined) return found;
  throw new DataError(
    `${paths.join(', ')}: the weights bring no tokeniser, and there is no ${places.join(' and no ')}. Name LLaMA's ${TOKENIZER_FILE}.`,
  );
}

async function tokenizerOf(
  paths: readonly string[],
  metadata: Readonly<Record<string, string>>,
  named: string | null,
): Promise<{ readonly tokenizer: LlamaTokenizer; readonly source: string }> {
  const path = tokenizerPath(paths, metadata, named);
  if (path !== null) return { tokenizer: await LlamaTokenizer.open(path), source: path };
  const source = paths.join(', ');
  const bytes = Buffer.from(metadata[TOKENIZER_KEY] ?? '', 'base64');
  return { tokenizer: LlamaTokenizer.of(bytes, source), source };
}

/** As `loadMedvint`, without a tokeniser. */
export async function loadMedvintNetwork(
  paths: string | readonly string[],
  options: LoadNetworkOptions = {},
): Promise<{ readonly network: Medvint; readonly report: LoadMedvintReport }> {
  requireArithmetic(options);
  const sources = await openSources(typeof paths === 'string' ? [paths] : paths);
  try {
    return await fromSources(sources, options);
  } finally {
    await sources.close();
  }
}

/** As `loadMedvintNetwork`, from tensors in memory under the names of released files; `source` opens messages. */
export async function medvintFromState(
  tensors: ReadonlyMap<string, TensorData>,
  options: LoadNetworkOptions & { readonly source: string },
): Promise<{ readonly network: Medvint; readonly report: LoadMedvintReport }> {
  requireArithmetic(options);
  return fromSources(memorySources(tensors, options.source), options);
}

async function fromSources(sources: Sources, options: LoadNetworkOptions) {
  const { config = inferMedvintConfig(sources), storage = 'float16' } = options;
  const { compute = 'float32', device = 'cpu', progress, signal } = options;
  const { targets, merged, unused } = planLoad(sources, config);
  const network = new Medvint(config, storage);
  try {
    const fill = filler(network);
    for (const [i, target] of targets.entries()) {
      signal?.throwIfAborted();
      fill(target.name, await readTarget(target), config.lora.alpha);
      progress?.(i + 1, targets.length);
    }
    network.computeIn(compute).to(device);
    network.requiresGrad_(false);
  } catch (error) {
    network.dispose();
    throw error;
  }
  const { files, ignored } = sources;
  return { network, report: { files, merged, unused, ignored } };
}

/** Asks the engine before anything large is read. */
function requireArithmetic({ compute = 'float32', device = 'cpu' }: LoadNetworkOptions): void {
  const who = `loadMedvint: computing in ${compute} on ${device}`;
  // On the CPU some engines lack half precision, and some end the process by an instruction that the machine forbids.
  if (device === 'cpu' && compute !== 'float32')
    throw new UsageError(
      `${who}: allowed there is float32; \`storage\` may be of half precision all the same.`,
    );
  try {
    tidy(() => {
      const x = zeros([2, 2], { dtype: compute, device });
      x.matmul(x);
    });
  } catch (cause) {
    throw new UsageError(`${who}: this engine cannot (${(cause as Error).message.split('\n')[0]}).`, {
      cause,
    });
  }
}

type Read = {
  readonly base: TensorData;
  readonly lora: { readonly a: TensorData; readonly b: TensorData } | null;
  readonly scale: TensorData | null;
};

async function readTarget({ base, lora, scale }: Target): Promise<Read> {
  return {
    base: await base.read(),
    lora: lora && { a: await lora.a.read(), b: await lora.b.read() },
    scale: scale && (await scale.read()),
  };
}

/** Puts what was read into the network's tensor of that name. */
function filler(network: Medvint): (name: string, read: Read, alpha: number) => void {
  const tensors = network.stateDict();
  const matrices = new Map<string, StoredMatrix>();
  for (const [path, module] of network.namedModules())
    if (module instanceof StoredMatrix) matrices.set(`${path}.weight`, module);
  return (name, read, alpha) =>
    noGrad(() =>
      tidy(() => {
        const matrix = matrices.get(name);
        const isReady = read.base.dtype === 'I8' && read.scale !== null && read.lora === null;
        if (matrix?.scale && isReady) {
          matrix.weight.copy_(fromTensorData(read.base));
          matrix.scale.copy_(fromTensorData(read.scale as TensorData));
          return;
        }
        const values = assembled(read, alpha);
        if (matrix !== undefined) matrix.store(values);
        else tensors.get(name)?.copy_(values);
      }),
    );
}

/** The weight in floating point, with its low-rank update: W + alpha / rank * B A (Hu 2021, eq. 3). */
function assembled({ base, lora, scale }: Read, alpha: number): Tensor {
  const read = fromTensorData(base);
  const whole =
    scale === null ? read : read.to('float32').mul(fromTensorData(scale).to('float32').unsqueeze(1));
  if (lora === null) return whole;
  const [a, b] = [lora.a, lora.b].map((factor) => fromTensorData(factor).to('float32')) as [Tensor, Tensor];
  return whole.to('float32').add(b.matmul(a), alpha / a.size(0));
}

const FILE_DTYPES: Readonly<Partial<Record<Tensor['dtype'], TensorDtype>>> = {
  float32: 'F32',
  float16: 'F16',
  bfloat16: 'BF16',
  int8: 'I8',
  int64: 'I64',
};

export type SaveMedvintOptions = {
  /** Bytes of the `tokenizer.model` that the network was trained with; goes into the file. */
  readonly tokenizer?: Uint8Array;
  /** Element type of every floating-point tensor in the file. Default: as they are kept. */
  readonly dtype?: 'float32' | 'float16' | 'bfloat16';
  /** Kept beside the configuration. */
  readonly metadata?: Readonly<Record<string, string>>;
};

/**
 * Writes a network as it is kept, low-rank updates merged: an int8 file of the released network has 7 GB instead of 14 and
 * loads without rounding again. The network must lie on the CPU and not change meanwhile.
 */
export async function saveMedvint(
  network: Medvint,
  path: string,
  { tokenizer, dtype, metadata = {} }: SaveMedvintOptions = {},
): Promise<void> {
  const tensors = [...network.stateDict()].map(([name, tensor]): [string, TensorData] => {
    const kept = FILE_DTYPES[tensor.dtype];
    if (kept === undefined || network.place.device !== 'cpu')
      throw new UsageError(
        `saveMedvint(${path}): ${name} is ${tensor.dtype} on ${tensor.device}; allowed: on the CPU, float32, float16, bfloat16, int8.`,
      );
    if (dtype !== undefined && tensor.dtype !== dtype && tensor.dtype.includes('float'))
      return [name, noGrad(() => tidy(() => toTensorData(tensor.to(dtype))))];
    return [name, { dtype: kept, shape: [...tensor.shape], data: tensor.asTypedArray() }];
  });
  await writeSafetensors(path, new Map(tensors), {
    ...metadata,
    format: 'maskrank-medvint',
    [CONFIG_KEY]: JSON.stringify(network.config),
    ...(tokenizer && { [TOKENIZER_KEY]: Buffer.from(tokenizer).toString('base64') }),
  });
}
