// Reader and writer of safetensors files, the format of all tensors that this project writes.
// Source: https://github.com/huggingface/safetensors (format description; layout of the reference library's writer).
// Reads one tensor at a time and checks the whole header before any of it is believed. Writes atomically.
// Not here: the header's grammar (safetensors-header.ts), engine tensors.

import type { FileHandle } from 'node:fs/promises';
import { DataError, UsageError } from '../errors.ts';
import { writeFileAtomic } from './atomic.ts';
import { allocateBytes, asDataError, openForReading, readAt } from './file.ts';
import { foreignFormat, SNIFF_BYTES } from './foreign-format.ts';
import type { Header, HeaderEntry } from './safetensors-header.ts';
import {
  compareUtf8,
  formatHeader,
  isWellFormed,
  MAX_HEADER_BYTES,
  METADATA_KEY,
  parseHeader,
  quote,
} from './safetensors-header.ts';
import type { TensorData, TensorDtype } from './tensor-data.ts';
import { arrayFromBytes, bytesOf, checkTensorData, dtypeBytes, firstBadBool } from './tensor-data.ts';

/** The file begins with the header's length in 8 bytes, little-endian. */
const PREFIX_BYTES = 8;

/** What is known of a tensor without reading its data. */
export type TensorInfo = {
  readonly dtype: TensorDtype;
  readonly shape: readonly number[];
  readonly sizeBytes: number;
};

export type ReadSafetensorsOptions = {
  /** Only these tensors, in this order; a name that the file lacks is an error. Default: all, in file order. */
  readonly names?: Iterable<string>;
};

/**
 * An open safetensors file: names, shapes and strings are known, data are read on demand, each tensor into memory of
 * its own. Close it, or declare it with `await using`.
 */
export class SafetensorsFile {
  readonly path: string;
  /** Tensors in the order of their data. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** The file's `__metadata__` strings. */
  readonly metadata: Readonly<Record<string, string>>;
  readonly #handle: FileHandle;
  readonly #entries: ReadonlyMap<string, HeaderEntry>;
  readonly #dataStartBytes: number;

  /** Use `openSafetensors`. */
  constructor(path: string, handle: FileHandle, header: Header, dataStartBytes: number) {
    this.path = path;
    this.metadata = header.metadata;
    this.#handle = handle;
    this.#entries = header.entries;
    this.#dataStartBytes = dataStartBytes;
    this.tensors = new Map(
      [...header.entries].map(([name, { dtype, shape, beginBytes, endBytes }]) => [
        name,
        { dtype, shape, sizeBytes: endBytes - beginBytes },
      ]),
    );
  }

  get names(): string[] {
    return [...this.tensors.keys()];
  }

  /** Reads one tensor. Several reads may run at the same time. */
  async read(name: string): Promise<TensorData> {
    const who = `readSafetensors(${this.path})`;
    const entry = this.#entries.get(name);
    if (!entry) throw new DataError(`${who}: no tensor ${quote(name)}, ${describeNames(this.names)}.`);
    const bytes = allocateBytes(who, entry.endBytes - entry.beginBytes);
    const position = this.#dataStartBytes + entry.beginBytes;
    const got = await readAt(this.#handle, bytes, position).catch((error) => {
      throw asDataError(who, error);
    });
    if (got < bytes.length) {
      throw new DataError(
        `${who}: tensor ${quote(name)} has ${got} bytes, allowed ${bytes.length}: the file shrank while it was read.`,
      );
    }
    const badBool = entry.dtype === 'BOOL' ? firstBadBool(bytes) : -1;
    if (badBool >= 0) {
      throw new DataError(
        `${who}: BOOL tensor ${quote(name)} holds ${bytes[badBool]} at ${badBool}, allowed 0 or 1: damaged.`,
      );
    }
    return { dtype: entry.dtype, shape: [...entry.shape], data: arrayFromBytes(entry.dtype, bytes) };
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/**
 * Opens a safetensors file, reading and checking its header only: length within the file and below 100 MB, valid
 * UTF-8 and JSON without repeated keys, known dtypes, whole shapes, data without holes or overlaps that fill the file
 * exactly. Anything else is a `DataError`.
 */
export async function openSafetensors(path: string): Promise<SafetensorsFile> {
  const who = `readSafetensors(${path})`;
  const { handle, sizeBytes } = await openForReading(who, path);
  try {
    const headerBytes = await readHeaderLength(who, handle, sizeBytes);
    const headerText = allocateBytes(who, headerBytes);
    const got = await readAt(handle, headerText, PREFIX_BYTES);
    const dataStartBytes = PREFIX_BYTES + headerBytes;
    const header = parseHeader(who, headerText.subarray(0, got), sizeBytes - dataStartBytes);
    return new SafetensorsFile(path, handle, header, dataStartBytes);
  } catch (error) {
    await handle.close();
    throw asDataError(who, error);
  }
}

/** Reads a safetensors file, or the named tensors of it, into memory. */
export async function readSafetensors(
  path: string,
  { names }: ReadSafetensorsOptions = {},
): Promise<{ tensors: Map<string, TensorData>; metadata: Record<string, string> }> {
  const file = await openSafetensors(path);
  try {
    const tensors = new Map<string, TensorData>();
    for (const name of names ?? file.names) tensors.set(name, await file.read(name));
    return { tensors, metadata: { ...file.metadata } };
  } finally {
    await file.close();
  }
}

/**
 * Writes a safetensors file atomically (see atomic.ts). The same tensors and strings give the same bytes whatever
 * their order: wide dtypes first and names by their UTF-8 bytes, as the reference library lays them out, so that
 * every tensor is aligned; metadata keys sorted. The tensors must not change until the promise resolves.
 */
export async function writeSafetensors(
  path: string,
  tensors: Iterable<readonly [string, TensorData]>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const who = `writeSafetensors(${path})`;
  const sorted = inWritingOrder(who, tensors);
  checkMetadata(who, metadata);
  const entries = new Map<string, HeaderEntry>();
  let beginBytes = 0;
  for (const [name, { dtype, shape, data }] of sorted) {
    const endBytes = beginBytes + data.byteLength;
    entries.set(name, { dtype, shape, beginBytes, endBytes });
    beginBytes = endBytes;
  }
  const header = formatHeader(entries, metadata);
  if (header.length > MAX_HEADER_BYTES) {
    throw new UsageError(
      `${who}: a header of ${header.length} bytes, allowed ${MAX_HEADER_BYTES}: write fewer tensors or less metadata.`,
    );
  }
  const prefix = new Uint8Array(PREFIX_BYTES);
  new DataView(prefix.buffer).setBigUint64(0, BigInt(header.length), true);
  await writeFileAtomic(path, [prefix, header, ...sorted.map(([, tensor]) => bytesOf(tensor.data))]);
}

async function readHeaderLength(who: string, handle: FileHandle, sizeBytes: number): Promise<number> {
  const head = new Uint8Array(SNIFF_BYTES);
  const got = await readAt(handle, head, 0);
  const foreign = foreignFormat(head.subarray(0, got));
  const looksLike =
    foreign && foreign.is !== 'a safetensors file' ? `${foreign.is}: ${foreign.advice}` : undefined;
  if (got < PREFIX_BYTES) {
    throw new DataError(
      `${who}: ${got} bytes, allowed at least ${PREFIX_BYTES + 2}: ${looksLike ?? 'empty or truncated'}.`,
    );
  }
  const length = new DataView(head.buffer).getBigUint64(0, true);
  const most = Math.min(MAX_HEADER_BYTES, sizeBytes - PREFIX_BYTES);
  if (length < 2n || length > BigInt(most)) {
    const advice = looksLike ?? 'not safetensors, or damaged or truncated';
    throw new DataError(
      `${who}: header length ${length} bytes, allowed 2..${MAX_HEADER_BYTES} and at most the ` +
        `${sizeBytes - PREFIX_BYTES} bytes that follow: ${advice}.`,
    );
  }
  return Number(length);
}

/** Checks every tensor and sorts them. Wide first keeps all aligned; the order within a width is the reference's. */
function inWritingOrder(
  who: string,
  tensors: Iterable<readonly [string, TensorData]>,
): (readonly [string, TensorData])[] {
  const all = [...tensors];
  const seen = new Set<string>();
  for (const [name, tensor] of all) {
    const problem =
      name === METADATA_KEY
        ? 'this name is kept for the file’s strings'
        : !isWellFormed(name)
          ? 'the name holds half of a surrogate pair'
          : seen.has(name)
            ? 'the name is given twice'
            : undefined;
    if (problem)
      throw new UsageError(`${who}: tensor ${quote(name)}: ${problem}, allowed unique Unicode names.`);
    seen.add(name);
    checkTensorData(`${who}: tensor ${quote(name)}`, tensor);
  }
  return all.sort(
    ([nameA, a], [nameB, b]) =>
      dtypeBytes(b.dtype) - dtypeBytes(a.dtype) ||
      WRITING_ORDER.indexOf(a.dtype) - WRITING_ORDER.indexOf(b.dtype) ||
      compareUtf8(nameA, nameB),
  );
}

const WRITING_ORDER: readonly TensorDtype[] = [
  'I64',
  'F64',
  'F32',
  'I32',
  'BF16',
  'F16',
  'I16',
  'I8',
  'U8',
  'BOOL',
];

function checkMetadata(who: string, metadata: Readonly<Record<string, string>>): void {
  for (const [key, value] of Object.entries(metadata)) {
    if (typeof value !== 'string') {
      throw new UsageError(`${who}: metadata ${quote(key)} is a ${typeof value}, allowed a string.`);
    }
    if (!isWellFormed(key) || !isWellFormed(value)) {
      throw new UsageError(
        `${who}: metadata ${quote(key)} holds half of a surrogate pair, allowed valid Unicode.`,
      );
    }
  }
}

function describeNames(names: readonly string[]): string {
  const shown = names.slice(0, 5).map(quote).join(', ');
  return names.length > 5
    ? `allowed ${shown} and ${names.length - 5} more`
    : `allowed ${shown || 'none, it is empty'}`;
}
