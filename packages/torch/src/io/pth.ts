// Reader of torch checkpoints (.pth, .pt): zip archives of a pickle and its storages, as torch.save writes them since
// version 1.6. Executes nothing: see pickle.ts. Reads one storage at a time, each once, and verifies its checksum.
// Source: torch/serialization.py and caffe2/serialize of PyTorch.
// Not here: writing (safetensors.ts), the formats before 1.6 and TorchScript, which are refused with the way out.

import { DataError } from '../errors.ts';
import { asDataError, openForReading, readAt } from './file.ts';
import { CONVERT_COMMAND, foreignFormat, SNIFF_BYTES } from './foreign-format.ts';
import type { PickleLimits } from './pickle.ts';
import { PICKLE_LIMITS, readPickle } from './pickle.ts';
import type { PthTensor, PthValue } from './pth-values.ts';
import { isTensor, walk } from './pth-values.ts';
import { gather, isContiguous } from './strided.ts';
import type { TensorData } from './tensor-data.ts';
import { arrayFromBytes, dtypeBytes, elementCount, firstBadBool } from './tensor-data.ts';
import { torchHost } from './torch-globals.ts';
import type { ZipArchive } from './zip.ts';
import { openZip } from './zip.ts';

/** Bounds on what a checkpoint may cost. */
export type PthLimits = PickleLimits & {
  /** Entries of the archive: one a storage, and some ten more. */
  readonly maxEntries: number;
  /** Bytes that views of shared storages may take beyond the size of the file (expanded or overlapping tensors). */
  readonly maxExpandedBytes: number;
};

export const PTH_LIMITS: PthLimits = {
  ...PICKLE_LIMITS,
  maxEntries: 200_000,
  maxExpandedBytes: 256 * 1024 * 1024,
};

export type PthOptions = {
  /** Limits to change; the others keep their defaults. */
  readonly limits?: Partial<PthLimits>;
};

/** An open checkpoint: its structure is known, tensors are read on demand. Close it, or use `await using`. */
export class PthFile {
  readonly path: string;
  /** What was given to torch.save; its tensors describe themselves and hold no data yet. */
  readonly root: PthValue;
  readonly #archive: ZipArchive;
  readonly #folder: string;
  readonly #limits: PthLimits;

  /** Use `openPth`. */
  constructor(path: string, root: PthValue, archive: ZipArchive, folder: string, limits: PthLimits) {
    this.path = path;
    this.root = root;
    this.#archive = archive;
    this.#folder = folder;
    this.#limits = limits;
  }

  /** Reads one tensor of this file. */
  async read(tensor: PthTensor): Promise<TensorData> {
    const tensors = await this.readAll([tensor]);
    return tensors.get(tensor)!;
  }

  /**
   * Reads tensors of this file, dense and row-major. Each storage is read once; tensors that cover the same whole
   * storage share its memory, every other view is a copy.
   */
  async readAll(tensors: Iterable<PthTensor>): Promise<Map<PthTensor, TensorData>> {
    const who = `readPth(${this.path})`;
    const byStorage = new Map<string, PthTensor[]>();
    const all = new Set(tensors);
    for (const tensor of all) {
      const group = byStorage.get(tensor.storage.key);
      if (group) group.push(tensor);
      else byStorage.set(tensor.storage.key, [tensor]);
    }
    this.#refuseExpansion(who, all);
    const read = new Map<PthTensor, TensorData>();
    for (const [key, group] of byStorage) {
      const bytes = await this.#archive.read(storageName(this.#folder, key));
      for (const tensor of group) read.set(tensor, materialise(who, tensor, bytes));
    }
    return read;
  }

  async close(): Promise<void> {
    await this.#archive.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /**
   * A few bytes of storage can be described as a tensor of any size, any number of times: that must cost neither the
   * memory nor the time (BOOL tensors count always, because each is searched for bad values).
   */
  #refuseExpansion(who: string, tensors: Iterable<PthTensor>): void {
    const most = this.#archive.sizeBytes + this.#limits.maxExpandedBytes;
    let copiedBytes = 0;
    for (const tensor of tensors) {
      if (tensor.dtype === 'BOOL' || !coversStorage(tensor)) copiedBytes += tensorBytes(tensor);
      if (copiedBytes > most) {
        throw new DataError(
          `${who}: tensors that share storages take ${copiedBytes} bytes and more, allowed ${most} for a file of ` +
            `${this.#archive.sizeBytes}: save contiguous copies of them, or raise the limit in the options.`,
        );
      }
    }
  }
}

/** Opens a checkpoint and reads its structure, but no tensor data. Every fault of the file is a `DataError`. */
export async function openPth(path: string, { limits = {} }: PthOptions = {}): Promise<PthFile> {
  const who = `readPth(${path})`;
  const allLimits: PthLimits = { ...PTH_LIMITS, ...limits };
  await refuseOtherFormats(who, path);
  const archive = await openZip(who, path, allLimits.maxEntries);
  try {
    const folder = findFolder(who, archive.names);
    checkSizes(who, archive, folder, allLimits);
    await checkByteOrder(who, archive, folder);
    const host = torchHost(who, (key) => archive.sizeOf(storageName(folder, key)));
    const root = readPickle(who, await archive.read(`${folder}/data.pkl`), host, allLimits);
    return new PthFile(path, root, archive, folder, allLimits);
  } catch (error) {
    await archive.close();
    throw asDataError(who, error);
  }
}

/** Reads a whole checkpoint: its structure, with `data` filled in every tensor. */
export async function readPth(path: string, options: PthOptions = {}): Promise<PthValue> {
  const file = await openPth(path, options);
  try {
    const tensors: PthTensor[] = [];
    for (const { value } of walk(file.root)) if (isTensor(value)) tensors.push(value);
    for (const [tensor, data] of await file.readAll(tensors)) tensor.data = data;
    return file.root;
  } finally {
    await file.close();
  }
}

async function refuseOtherFormats(who: string, path: string): Promise<void> {
  const { handle, sizeBytes } = await openForReading(who, path);
  try {
    const head = new Uint8Array(Math.min(SNIFF_BYTES, sizeBytes));
    await readAt(handle, head, 0);
    if (head.length >= 4 && ZIP_MAGIC.every((byte, i) => head[i] === byte)) return;
    const foreign = foreignFormat(head);
    throw new DataError(
      foreign
        ? `${who}: this is ${foreign.is}, allowed a zip archive of torch 1.6 or later: ${foreign.advice}.`
        : `${who}: ${sizeBytes} bytes that do not begin as a zip archive of torch 1.6 or later: ` +
            'not a checkpoint, or damaged.',
    );
  } catch (error) {
    throw asDataError(who, error);
  } finally {
    await handle.close();
  }
}

const ZIP_MAGIC = [0x50, 0x4b, 0x03, 0x04];

/** All entries of a checkpoint lie in one folder, named by whoever saved it; `data.pkl` tells which. */
function findFolder(who: string, names: readonly string[]): string {
  const folders = names.flatMap((name) => /^([^/]+)\/data\.pkl$/.exec(name)?.[1] ?? []);
  const [folder] = folders;
  if (folder === undefined || folders.length > 1) {
    throw new DataError(
      `${who}: a zip archive with ${folders.length} entries FOLDER/data.pkl, allowed 1: not a checkpoint of torch.save.`,
    );
  }
  if (names.includes(`${folder}/constants.pkl`)) {
    throw new DataError(
      `${who}: a TorchScript program, allowed a checkpoint of torch.save: convert it once with: ` +
        'python3 -c "import torch,sys; torch.save(torch.jit.load(sys.argv[1], map_location=\'cpu\').state_dict(), sys.argv[2])" OLD.pt NEW.pth',
    );
  }
  return folder;
}

/** torch stores every entry as it is; only the pickle may be compressed, so that no entry unpacks beyond measure. */
function checkSizes(who: string, archive: ZipArchive, folder: string, limits: PthLimits): void {
  const pickleName = `${folder}/data.pkl`;
  const compressed = archive.compressedNames.find((name) => name !== pickleName);
  if (compressed !== undefined) {
    throw new DataError(
      `${who}: entry ${compressed} is compressed, allowed stored: another tool has repacked the archive: ` +
        `save it again with: ${CONVERT_COMMAND}.`,
    );
  }
  const pickleBytes = archive.sizeOf(pickleName) ?? 0;
  if (pickleBytes > limits.maxPickleBytes) {
    throw new DataError(
      `${who}: ${pickleName} has ${pickleBytes} bytes, allowed ${limits.maxPickleBytes}: refused as too costly. ` +
        'If the file is sound, save only its state dict, or raise the limit in the options.',
    );
  }
}

async function checkByteOrder(who: string, archive: ZipArchive, folder: string): Promise<void> {
  const name = `${folder}/byteorder`;
  const size = archive.sizeOf(name);
  if (size === undefined) return; // written by torch before 2.1, which knew little-endian only
  const order = size <= 16 ? Buffer.from(await archive.read(name)).toString('latin1') : `${size} bytes`;
  if (order !== 'little') {
    throw new DataError(
      `${who}: byteorder is ${JSON.stringify(order)}, allowed "little": save it again on a little-endian machine with: ` +
        `${CONVERT_COMMAND}.`,
    );
  }
}

function storageName(folder: string, key: string): string {
  return `${folder}/data/${key}`;
}

function tensorBytes({ shape, dtype }: PthTensor): number {
  return (elementCount(shape) ?? Number.POSITIVE_INFINITY) * dtypeBytes(dtype);
}

function coversStorage(tensor: PthTensor): boolean {
  return isContiguous(tensor) && tensorBytes(tensor) === tensor.storage.sizeBytes;
}

function materialise(who: string, tensor: PthTensor, storage: Uint8Array): TensorData {
  const { dtype, shape } = tensor;
  const bytes = coversStorage(tensor) ? storage : gather(storage, dtypeBytes(dtype), tensor);
  const badBool = dtype === 'BOOL' ? firstBadBool(bytes) : -1;
  if (badBool >= 0) {
    throw new DataError(
      `${who}: a BOOL tensor [${shape}] holds ${bytes[badBool]} at ${badBool}, allowed 0 or 1: damaged.`,
    );
  }
  return { dtype, shape: [...shape], data: arrayFromBytes(dtype, bytes) };
}
