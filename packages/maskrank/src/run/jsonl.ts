// An append-only file of JSON objects, a line each, that survives SIGKILL at any byte.
// A line and its newline leave in one write; a torn last line is cut when the file is opened again, and reported; of
// lines with the same key the last one wins. Not here: what the lines mean (metrics.ts, the prompt and rating stores).

import { closeSync, fstatSync, fsyncSync, ftruncateSync, openSync, readFileSync } from 'node:fs';
import { DataError } from '@maskrank/torch/errors';
import { writeFileAtomic } from '@maskrank/torch/io';
import { systemReason, writeAll } from './files.ts';
import type { ArtefactHeader } from './header.ts';

/** A line of such a file. Always an object: a torn object is never valid JSON, a torn number can be. */
export type JsonObject = { readonly [key: string]: unknown };

/** When written lines are forced to the disk. SIGKILL needs none of it (the system holds the bytes); a power cut does. */
export type FsyncPolicy = 'each' | 'close' | 'never';

export type JsonlOptions<T extends JsonObject> = {
  /** What the file is, for messages: `rating store`. */
  readonly what: string;
  /** Identity of a line; a later line with the same key replaces the earlier one. Without it every line counts. */
  readonly key?: (line: T) => string;
  /** Checks and types a parsed line; throws with the field, what was found and what is allowed. */
  readonly parse?: (value: JsonObject) => T;
  /** First line of a new file, `{"header": …}`. An existing header stays: compare it with `header` of the store. */
  readonly header?: ArtefactHeader;
  /** Default `close`; `each` for what a person typed. */
  readonly fsync?: FsyncPolicy;
};

/** What was mended on opening. */
export type JsonlRecovery = {
  /** Bytes of a torn last line that were cut. */
  readonly cutBytes: number;
  /** Lines that a later line with the same key replaced. */
  readonly replacedLines: number;
};

export class JsonlStore<T extends JsonObject> {
  readonly path: string;
  readonly recovery: JsonlRecovery;
  /** Header line of the file, if it has one. */
  readonly header: ArtefactHeader | undefined;
  readonly #options: JsonlOptions<T>;
  #file: number;
  #length: number;
  #lines: T[] = [];
  readonly #byKey = new Map<string, T>();

  private constructor(path: string, options: JsonlOptions<T>) {
    this.path = path;
    this.#options = options;
    this.#file = openFor(path, 'a+', options.what);
    try {
      const { header, lines, length, cutBytes, missingNewline } = readLines(path, options);
      if (cutBytes > 0) ftruncateSync(this.#file, length);
      this.#length = length;
      this.header = header ?? (length === 0 ? options.header : undefined);
      for (const line of lines) this.#remember(line);
      this.recovery = { cutBytes, replacedLines: options.key ? lines.length - this.#byKey.size : 0 };
      if (missingNewline) this.#write('\n');
      if (length === 0 && options.header) this.#write(`${JSON.stringify({ header: options.header })}\n`);
    } catch (error) {
      closeSync(this.#file);
      throw error;
    }
  }

  /** Opens or creates the file for one writer (the run's lock keeps others out). */
  static open<T extends JsonObject>(path: string, options: JsonlOptions<T>): JsonlStore<T> {
    return new JsonlStore(path, options);
  }

  /** Adds a line. When the disk refuses, the file is as before and DataError is thrown. */
  append(line: T): void {
    this.#write(`${JSON.stringify(line)}\n`);
    this.#remember(line);
    if (this.#options.fsync === 'each') this.flush();
  }

  /** Every line that counts, oldest first; with a key, one for each key at the place of its first. */
  entries(): readonly T[] {
    return this.#options.key ? [...this.#byKey.values()] : this.#lines;
  }

  get(key: string): T | undefined {
    return this.#byKey.get(key);
  }

  has(key: string): boolean {
    return this.#byKey.has(key);
  }

  get size(): number {
    return this.#options.key ? this.#byKey.size : this.#lines.length;
  }

  /** Keeps the lines for which `keep` holds and drops the others, atomically; nothing may be appended meanwhile. Returns how many went. */
  async retain(keep: (line: T) => boolean): Promise<number> {
    const before = this.entries();
    const kept = before.filter(keep);
    if (kept.length === before.length) return 0;
    const head = this.header ? `${JSON.stringify({ header: this.header })}\n` : '';
    const text = head + kept.map((line) => `${JSON.stringify(line)}\n`).join('');
    await writeFileAtomic(this.path, text);
    closeSync(this.#file);
    this.#file = openFor(this.path, 'a+', this.#options.what);
    this.#length = Buffer.byteLength(text);
    this.#lines = [];
    this.#byKey.clear();
    for (const line of kept) this.#remember(line);
    return before.length - kept.length;
  }

  /** Forces everything written so far to the disk. */
  flush(): void {
    fsyncSync(this.#file);
  }

  close(): void {
    if (this.#file < 0) return;
    if (this.#options.fsync !== 'never') this.flush();
    closeSync(this.#file);
    this.#file = -1;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #remember(line: T): void {
    if (this.#options.key) this.#byKey.set(this.#options.key(line), line);
    else this.#lines.push(line);
  }

  #write(text: string): void {
    const bytes = Buffer.from(text);
    try {
      writeAll(this.#file, bytes);
    } catch (cause) {
      if (fstatSync(this.#file).size > this.#length) ftruncateSync(this.#file, this.#length);
      throw new DataError(
        `${this.path}: a line cannot be added to the ${this.#options.what} (${systemReason(cause)}). The lines before it are safe.`,
        { cause },
      );
    }
    this.#length += bytes.length;
  }
}

/** Reads such a file without opening it for writing; a torn last line is left out. Missing file: DataError. */
export function readJsonl<T extends JsonObject>(
  path: string,
  options: Pick<JsonlOptions<T>, 'what' | 'key' | 'parse'>,
): { readonly header: ArtefactHeader | undefined; readonly entries: readonly T[] } {
  const { header, lines } = readLines(path, options);
  const { key } = options;
  return { header, entries: key ? [...new Map(lines.map((line) => [key(line), line])).values()] : lines };
}

type ReadLines<T> = {
  header: ArtefactHeader | undefined;
  lines: T[];
  /** Bytes up to the end of the last whole line. */
  length: number;
  cutBytes: number;
  /** The last line is whole but for its newline. */
  missingNewline: boolean;
};

function readLines<T extends JsonObject>(
  path: string,
  options: Pick<JsonlOptions<T>, 'what' | 'parse'>,
): ReadLines<T> {
  const bytes = readBytes(path, options.what);
  const end = bytes.lastIndexOf(10) + 1;
  const tail = bytes.subarray(end);
  const missingNewline = tail.length > 0 && isWholeObject(tail.toString('utf8'));
  const length = missingNewline ? bytes.length : end;
  const result: ReadLines<T> = {
    header: undefined,
    lines: [],
    length,
    cutBytes: bytes.length - length,
    missingNewline,
  };
  const texts = bytes.toString('utf8', 0, length).split('\n');
  texts.forEach((text, i) => {
    if (text.trim() === '') return;
    const where = `${path}: line ${i + 1} of the ${options.what}`;
    const value = parseLine(text, where);
    if (i === 0 && isObject(value.header) && Object.keys(value).length === 1) {
      result.header = value.header as ArtefactHeader;
      return;
    }
    try {
      result.lines.push(options.parse ? options.parse(value) : (value as T));
    } catch (cause) {
      throw new DataError(`${where}: ${(cause as Error).message}`, { cause });
    }
  });
  return result;
}

function parseLine(text: string, where: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new DataError(`${where} is not JSON: ${preview(text)}. Delete that line to go on without it.`, {
      cause,
    });
  }
  if (!isObject(value))
    throw new DataError(`${where} is ${preview(text)}, allowed: an object. Delete that line.`);
  return value;
}

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function isWholeObject(text: string): boolean {
  try {
    return isObject(JSON.parse(text));
  } catch {
    return false;
  }
}

const preview = (text: string) => JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);

function readBytes(path: string, what: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new DataError(`${path}: the ${what} cannot be read (${systemReason(cause)}).`, { cause });
  }
}

function openFor(path: string, mode: string, what: string): number {
  try {
    return openSync(path, mode);
  } catch (cause) {
    throw new DataError(`${path}: the ${what} cannot be opened (${systemReason(cause)}).`, { cause });
  }
}
