// The zip archive of a checkpoint: a table of stored entries, and their bytes with checksums verified. The directory
// is parsed by yauzl; everything it yields is checked against the file before it is used.
// Refused: names that leave the archive, entries given twice, encryption, sizes that add up to more than the file,
// entries that unpack to another size than they declare.
// Not here: extracting to disk (nothing is ever written), what the entries mean and may take (pth.ts).

import type { FileHandle } from 'node:fs/promises';
import { crc32, inflateRaw } from 'node:zlib';
import type { Entry, ZipFile } from 'yauzl';
import * as yauzl from 'yauzl';
import { DataError } from '../errors.ts';
import { allocateBytes, asDataError, openForReading, readAt } from './file.ts';

/** An open archive. The caller closes it. */
export class ZipArchive {
  readonly sizeBytes: number;
  readonly #who: string;
  readonly #handle: FileHandle;
  readonly #zip: ZipFile;
  readonly #entries: ReadonlyMap<string, Entry>;
  readonly #hasChecksums: boolean;

  /** Use `openZip`. */
  constructor(who: string, handle: FileHandle, sizeBytes: number, zip: ZipFile, entries: Map<string, Entry>) {
    this.sizeBytes = sizeBytes;
    this.#who = who;
    this.#handle = handle;
    this.#zip = zip;
    this.#entries = entries;
    // torch.serialization.set_crc32_options(False) leaves the checksum of every entry at 0.
    this.#hasChecksums = [...entries.values()].some((entry) => entry.crc32 !== 0);
  }

  get names(): string[] {
    return [...this.#entries.keys()];
  }

  /** Names of the entries that are compressed. Stored entries cannot be larger than the file, these can. */
  get compressedNames(): string[] {
    return this.names.filter((name) => this.#entries.get(name)?.compressionMethod !== STORED);
  }

  /** Unpacked size of an entry in bytes, `undefined` if there is none of this name. */
  sizeOf(name: string): number | undefined {
    return this.#entries.get(name)?.uncompressedSize;
  }

  /** An entry's bytes, in memory of their own: `sizeOf(name)` bytes, never more. */
  async read(name: string): Promise<Uint8Array> {
    const who = this.#who;
    const entry = this.#entries.get(name);
    if (!entry) throw new DataError(`${who}: the archive has no entry ${JSON.stringify(name)}: damaged.`);
    try {
      const { fileDataStart } = await this.#zip.readLocalFileHeaderPromise(entry, { minimal: true });
      const stored = allocateBytes(who, entry.compressedSize);
      const isStored = entry.compressionMethod === STORED;
      let checksum = 0;
      const got = await readAt(this.#handle, stored, fileDataStart, (chunk) => {
        if (isStored && this.#hasChecksums) checksum = crc32(chunk, checksum);
      });
      if (got < stored.length) throw new Error(`entry ${name} ends after ${got} of ${stored.length} bytes`);
      const bytes = isStored ? stored : await inflate(stored, entry.uncompressedSize);
      if (!isStored) checksum = crc32(bytes);
      if (this.#hasChecksums && checksum !== entry.crc32) {
        const [found, allowed] = [checksum, entry.crc32].map((sum) => sum.toString(16).padStart(8, '0'));
        throw new Error(`entry ${name} has checksum ${found}, the archive says ${allowed}`);
      }
      return bytes;
    } catch (error) {
      throw damaged(who, error);
    }
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }
}

/** Opens a zip archive of at most `maxEntries` and checks its directory. Every fault is a `DataError` that `who` opens. */
export async function openZip(who: string, path: string, maxEntries: number): Promise<ZipArchive> {
  const { handle, sizeBytes } = await openForReading(who, path);
  try {
    const reader = new HandleReader(handle);
    const zip = await yauzl.fromRandomAccessReaderPromise(reader, sizeBytes, {
      autoClose: false,
      strictFileNames: true,
    });
    if (zip.entryCount > maxEntries) throw new Error(`${zip.entryCount} entries, allowed ${maxEntries}`);
    const entries = new Map<string, Entry>();
    let packedBytes = 0;
    for await (const entry of zip.eachEntry()) {
      if (entry.fileName.endsWith('/') && entry.uncompressedSize === 0) continue; // a folder
      checkEntry(entry);
      if (entries.has(entry.fileName)) throw new Error(`entry ${entry.fileName} twice`);
      entries.set(entry.fileName, entry);
      packedBytes += entry.compressedSize;
    }
    if (packedBytes > sizeBytes) {
      throw new Error(`entries of ${packedBytes} bytes in a file of ${sizeBytes}: they overlap`);
    }
    return new ZipArchive(who, handle, sizeBytes, zip, entries);
  } catch (error) {
    await handle.close();
    throw damaged(who, error);
  }
}

const STORED = 0;
const DEFLATED = 8;

function checkEntry(entry: Entry): void {
  const { fileName, compressionMethod } = entry;
  if (entry.isEncrypted()) throw new Error(`entry ${fileName} is encrypted`);
  if (compressionMethod !== STORED && compressionMethod !== DEFLATED) {
    throw new Error(
      `entry ${fileName} has compression method ${compressionMethod}, allowed ${STORED} or ${DEFLATED}`,
    );
  }
}

function inflate(packed: Uint8Array, sizeBytes: number): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    inflateRaw(packed, { maxOutputLength: Math.max(1, sizeBytes) }, (error, bytes) => {
      if (error) reject(new Error(`compressed entry: ${error.message}`));
      else if (bytes.length !== sizeBytes)
        reject(new Error(`compressed entry: ${bytes.length} bytes of ${sizeBytes}`));
      else resolve(bytes);
    });
  });
}

/** A directory entry takes some 100 bytes and is asked for in two reads: fetching this much at once saves most. */
const WINDOW_BYTES = 16 * 1024;

/** Lets yauzl read through our file handle. Positions beyond the file give 0 bytes, which it reports. */
class HandleReader extends yauzl.RandomAccessReader {
  readonly #handle: FileHandle;
  #window = new Uint8Array(0);
  #windowStart = 0;

  constructor(handle: FileHandle) {
    super();
    this.#handle = handle;
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null, bytesRead?: number) => void,
  ): void {
    if (!Number.isSafeInteger(position) || position < 0) {
      callback(new Error(`an offset of ${position}, beyond the file`));
      return;
    }
    this.#fill(buffer.subarray(offset, offset + length), position).then(
      (bytesRead) => callback(null, bytesRead),
      (error: Error) => callback(error),
    );
  }

  async #fill(target: Uint8Array, position: number): Promise<number> {
    if (target.length > WINDOW_BYTES) return readAt(this.#handle, target, position);
    const windowEnd = this.#windowStart + this.#window.length;
    if (position < this.#windowStart || position + target.length > windowEnd) {
      const window = new Uint8Array(WINDOW_BYTES);
      this.#window = window.subarray(0, await readAt(this.#handle, window, position));
      this.#windowStart = position;
    }
    const begin = position - this.#windowStart;
    const found = this.#window.subarray(begin, begin + target.length);
    target.set(found);
    return found.length;
  }
}

function damaged(who: string, error: unknown): unknown {
  if (error instanceof DataError) return error;
  const known = asDataError(who, error);
  if (known instanceof DataError || !(error instanceof Error) || error instanceof TypeError) return known;
  return new DataError(`${who}: ${error.message}: not a checkpoint archive, or damaged or truncated.`, {
    cause: error,
  });
}
