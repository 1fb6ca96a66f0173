// The JSON header of a safetensors file: parsing with every check, and making.
// Source: the format's description at https://github.com/huggingface/safetensors#format.
// The parser knows only the header's own shape (no general JSON), so that nested or repeated keys, odd numbers and
// huge documents are refused as they are met. Not here: files and tensor data (safetensors.ts).

import { DataError } from '../errors.ts';
import type { TensorDtype } from './tensor-data.ts';
import { dtypeBytes, elementCount, isTensorDtype, MAX_RANK, TENSOR_DTYPES } from './tensor-data.ts';

/** The reference library's limit, in bytes. */
export const MAX_HEADER_BYTES = 100_000_000;

/** Where the header keeps its strings; no tensor may have this name. */
export const METADATA_KEY = '__metadata__';

/** A tensor as the header describes it; offsets in bytes from the end of the header. */
export type HeaderEntry = {
  readonly dtype: TensorDtype;
  readonly shape: readonly number[];
  readonly beginBytes: number;
  readonly endBytes: number;
};

/** Tensors in the order of their data, and the file's strings. */
export type Header = {
  readonly entries: ReadonlyMap<string, HeaderEntry>;
  readonly metadata: Readonly<Record<string, string>>;
};

/** Parses and checks a header whose data take `dataBytes`. `who` opens every message. */
export function parseHeader(who: string, header: Uint8Array, dataBytes: number): Header {
  const scanner = new HeaderScanner(who, decodeUtf8(who, header));
  const entries = new Map<string, HeaderEntry>();
  let metadata: Record<string, string> | undefined;
  scanner.object((key) => {
    if (key === METADATA_KEY) {
      if (metadata) throw scanner.error(`key ${quote(key)} twice, allowed once`);
      metadata = readMetadata(scanner);
    } else {
      if (entries.has(key)) throw scanner.error(`tensor ${quote(key)} twice, allowed once`);
      entries.set(key, readEntry(scanner, key));
    }
  });
  scanner.end();
  return { entries: inDataOrder(who, entries, dataBytes), metadata: metadata ?? {} };
}

/** The header as text, padded with spaces so that the data begin at a multiple of 8 bytes. Keys in the given order. */
export function formatHeader(
  entries: ReadonlyMap<string, HeaderEntry>,
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const parts: string[] = [];
  if (Object.keys(metadata).length > 0) {
    const sorted = Object.entries(metadata).sort(([a], [b]) => compareUtf8(a, b));
    const strings = sorted.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`);
    parts.push(`"${METADATA_KEY}":{${strings.join(',')}}`);
  }
  for (const [name, { dtype, shape, beginBytes, endBytes }] of entries) {
    const offsets = `[${beginBytes},${endBytes}]`;
    parts.push(
      `${JSON.stringify(name)}:{"dtype":"${dtype}","shape":[${shape.join(',')}],"data_offsets":${offsets}}`,
    );
  }
  const text = Buffer.from(`{${parts.join(',')}}`, 'utf8');
  const padded = Buffer.alloc(Math.ceil(text.length / 8) * 8, ' ');
  text.copy(padded);
  return padded;
}

/** Order of strings by their UTF-8 bytes, as the reference library sorts names. */
export function compareUtf8(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a, 'utf8'), Buffer.from(b, 'utf8'));
}

/** True when the string has no lone surrogates and so survives UTF-8. */
export function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}

/** A name for messages: quoted, escaped and cut. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 120 ? `${text.slice(0, 120)}…` : text);
}

function decodeUtf8(who: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw new DataError(
      `${who}: the header is not valid UTF-8, allowed a JSON object: the file is damaged.`,
      {
        cause: error,
      },
    );
  }
}

function readMetadata(scanner: HeaderScanner): Record<string, string> {
  const strings = new Map<string, string>();
  scanner.object((key) => {
    if (strings.has(key)) throw scanner.error(`metadata key ${quote(key)} twice, allowed once`);
    strings.set(key, scanner.string(`metadata ${quote(key)}`));
  });
  return Object.fromEntries(strings);
}

function readEntry(scanner: HeaderScanner, name: string): HeaderEntry {
  const what = `tensor ${quote(name)}`;
  let dtype: string | undefined;
  let shape: number[] | undefined;
  let offsets: number[] | undefined;
  scanner.object((key) => {
    if (key === 'dtype' && dtype === undefined) dtype = scanner.string(`dtype of ${what}`);
    else if (key === 'shape' && !shape) shape = scanner.integers(`shape of ${what}`, MAX_RANK);
    else if (key === 'data_offsets' && !offsets) offsets = scanner.integers(`data_offsets of ${what}`, 2);
    else throw scanner.error(`${what} has key ${quote(key)}, allowed dtype, shape, data_offsets, each once`);
  });
  const [beginBytes, endBytes] = offsets ?? [];
  if (dtype === undefined || !shape || beginBytes === undefined || endBytes === undefined) {
    throw scanner.error(
      `${what} lacks one of its keys, allowed all of dtype, shape, data_offsets (two numbers)`,
    );
  }
  if (!isTensorDtype(dtype)) {
    throw scanner.error(`${what} has dtype ${quote(dtype)}, allowed ${TENSOR_DTYPES.join(', ')}`);
  }
  const count = elementCount(shape);
  const sizeBytes = count === undefined ? undefined : count * dtypeBytes(dtype);
  if (sizeBytes === undefined || !Number.isSafeInteger(sizeBytes)) {
    throw scanner.error(`${what} has shape [${shape}], allowed a size in bytes below 2^53`);
  }
  if (endBytes - beginBytes !== sizeBytes) {
    throw scanner.error(
      `${what} has data_offsets [${beginBytes}, ${endBytes}], that is ${endBytes - beginBytes} bytes, ` +
        `allowed ${sizeBytes} for ${dtype} [${shape}]`,
    );
  }
  return { dtype, shape, beginBytes, endBytes };
}

/** Sorts by data and checks that the data lie one behind the other and fill the file. */
function inDataOrder(
  who: string,
  entries: Map<string, HeaderEntry>,
  dataBytes: number,
): Map<string, HeaderEntry> {
  const sorted = [...entries].sort(([, a], [, b]) => a.beginBytes - b.beginBytes || a.endBytes - b.endBytes);
  let expected = 0;
  for (const [name, { beginBytes, endBytes }] of sorted) {
    if (beginBytes !== expected) {
      const problem = beginBytes < expected ? 'overlaps the tensor before it' : 'leaves a hole before it';
      throw new DataError(
        `${who}: tensor ${quote(name)} begins at data byte ${beginBytes}, allowed ${expected}: ${problem}.`,
      );
    }
    expected = endBytes;
  }
  if (expected !== dataBytes) {
    const advice =
      expected > dataBytes ? 'truncated, copy or download it again' : 'bytes that belong to no tensor';
    throw new DataError(`${who}: ${dataBytes} bytes of data, allowed ${expected} by the header: ${advice}.`);
  }
  return new Map(sorted);
}

/** Reads the JSON of a header, token by token. */
class HeaderScanner {
  readonly #who: string;
  readonly #text: string;
  #at = 0;

  constructor(who: string, text: string) {
    this.#who = who;
    this.#text = text;
    if (text[0] !== '{') throw this.error(`the header begins with ${quote(text.slice(0, 1))}, allowed "{"`);
  }

  error(problem: string): DataError {
    return new DataError(
      `${this.#who}: ${problem} (header character ${this.#at}): not safetensors, or damaged.`,
    );
  }

  /** An object; `member` is called behind each key's colon and must read the value. */
  object(member: (key: string) => void): void {
    this.#expect('{');
    if (this.#accept('}')) return;
    do {
      const key = this.string('a key');
      this.#expect(':');
      member(key);
    } while (this.#accept(','));
    this.#expect('}');
  }

  /** A string with its escapes resolved. */
  string(what: string): string {
    this.#skipSpace();
    const begin = this.#at;
    const end = this.#text[begin] === '"' ? this.#closingQuote(begin + 1) : -1;
    if (end < 0) throw this.error(`${what} is ${quote(this.#peek())}, allowed a string`);
    const text = this.#unescape(what, this.#text.slice(begin, end + 1));
    if (!isWellFormed(text))
      throw this.error(`${what} holds half of a surrogate pair, allowed valid Unicode`);
    this.#at = end + 1;
    return text;
  }

  /** An array of non-negative safe integers, `most` at most. */
  integers(what: string, most: number): number[] {
    this.#expect('[');
    const numbers: number[] = [];
    if (this.#accept(']')) return numbers;
    do {
      this.#skipSpace();
      INTEGER.lastIndex = this.#at;
      const match = INTEGER.exec(this.#text);
      const value = match ? Number(match[0]) : Number.NaN;
      if (!Number.isSafeInteger(value)) {
        throw this.error(
          `${what} holds ${quote(match?.[0] ?? this.#peek())}, allowed whole numbers 0..2^53-1`,
        );
      }
      if (numbers.length === most)
        throw this.error(`${what} holds more than ${most} numbers, allowed ${most}`);
      numbers.push(value);
      this.#at = INTEGER.lastIndex;
    } while (this.#accept(','));
    this.#expect(']');
    return numbers;
  }

  /** Only white space may follow. */
  end(): void {
    this.#skipSpace();
    if (this.#at < this.#text.length)
      throw this.error(`${quote(this.#peek())} after the header, allowed spaces`);
  }

  #accept(character: string): boolean {
    this.#skipSpace();
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #expect(character: string): void {
    if (!this.#accept(character)) throw this.error(`${quote(this.#peek())}, allowed ${quote(character)}`);
  }

  #skipSpace(): void {
    while (isSpace(this.#text.charCodeAt(this.#at))) this.#at++;
  }

  /** Index of the first quote from `at` on that is not escaped, or -1. */
  #closingQuote(at: number): number {
    for (let i = at; i < this.#text.length; i++) {
      const code = this.#text.charCodeAt(i);
      if (code === QUOTE) return i;
      if (code === BACKSLASH) i++;
    }
    return -1;
  }

  /** JSON knows which escapes and control characters a string may hold. */
  #unescape(what: string, quoted: string): string {
    try {
      return JSON.parse(quoted) as string;
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      throw this.error(`${what} is ${quote(quoted)}, allowed a string with valid escapes`);
    }
  }

  #peek(): string {
    return this.#text.slice(this.#at, this.#at + 20);
  }
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
// A whole number; a leading zero, or a number that goes on as a fraction or exponent, does not match.
const INTEGER = /(?:0|[1-9]\d{0,19})(?![\d.eE])/y;

function isSpace(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}
