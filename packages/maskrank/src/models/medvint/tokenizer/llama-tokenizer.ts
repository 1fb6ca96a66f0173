// LLaMA's tokeniser: text to ids and back, by a SentencePiece model (BPE; characters without a piece become their bytes).
// Markers such as `</s>` inside a text are text: they never become control ids, so a question cannot end a prompt.
// Not here: padding and truncation.

import { readFile } from 'node:fs/promises';
import { DataError, UsageError } from '@maskrank/torch/errors';
import { splitIntoPieces } from './bpe.ts';
import { readSentencePieceModel, type SentencePieceModel } from './sentencepiece-model.ts';
import { writeSentencePieceModel } from './write-sentencepiece-model.ts';

/** What SentencePiece writes for a space. */
const SPACE = '\u2581';
/** What SentencePiece writes for the unknown piece. */
const UNKNOWN_TEXT = ' \u2047 ';
const BYTE_PIECE = /^<0x([0-9A-F]{2})>$/;

const toUtf8 = new TextEncoder();
const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export type EncodeOptions = {
  /** Whether the marker of the beginning comes first. Default true, as LLaMA learned it. */
  readonly bos?: boolean;
};

export class LlamaTokenizer {
  readonly bosId: number;
  readonly eosId: number;
  readonly unknownId: number;
  readonly #model: SentencePieceModel;
  /** Normal pieces by their text. */
  readonly #ids = new Map<string, number>();
  /** Ids of the bytes, by byte. */
  readonly #byteIds: readonly number[];
  /** Bytes of the byte pieces, by id. */
  readonly #bytes = new Map<number, number>();

  /** `source` names the model in errors. Throws DataError for a vocabulary with repeated pieces or without all bytes. */
  constructor(model: SentencePieceModel, source: string) {
    const who = `LlamaTokenizer(${source})`;
    this.#model = model;
    ({ bosId: this.bosId, eosId: this.eosId, unknownId: this.unknownId } = model);
    for (const [id, { text, type }] of model.pieces.entries()) {
      if (type === 'normal') {
        if (this.#ids.has(text))
          throw new DataError(`${who}: the piece ${JSON.stringify(text)} is there twice.`);
        this.#ids.set(text, id);
      } else if (type === 'byte') {
        const byte = BYTE_PIECE.exec(text)?.[1];
        if (byte === undefined)
          throw new DataError(`${who}: the byte piece ${JSON.stringify(text)}, allowed <0x00> to <0xFF>.`);
        this.#bytes.set(id, Number.parseInt(byte, 16));
      }
    }
    const byByte = new Map([...this.#bytes].map(([id, byte]) => [byte, id]));
    if (byByte.size < 256)
      throw new DataError(`${who}: ${byByte.size} pieces for bytes, needed all 256 for byte fallback.`);
    this.#byteIds = Array.from({ length: 256 }, (_, byte) => byByte.get(byte) as number);
  }

  /** Reads a `tokenizer.model`. */
  static async open(path: string): Promise<LlamaTokenizer> {
    const bytes = await readFile(path).catch((cause: NodeJS.ErrnoException) => {
      throw new DataError(`LlamaTokenizer(${path}): cannot be read (${cause.code}): check the path.`, {
        cause,
      });
    });
    return LlamaTokenizer.of(bytes, path);
  }

  /** From the bytes of such a file; `source` names them in errors. */
  static of(bytes: Uint8Array, source: string): LlamaTokenizer {
    return new LlamaTokenizer(readSentencePieceModel(bytes, source), source);
  }

  /** The bytes of a file that says the same. */
  toBytes(): Uint8Array {
    return writeSentencePieceModel(this.#model);
  }

  /** Number of ids. */
  get vocabularySize(): number {
    return this.#model.pieces.length;
  }

  /** The id of a normal piece by its text (spaces written as U+2581). */
  idOf(piece: string): number | undefined {
    return this.#ids.get(piece);
  }

  /** The ids of a text. An empty one gives the marker of the beginning alone. */
  encode(text: string, { bos = true }: EncodeOptions = {}): number[] {
    const ids = bos ? [this.bosId] : [];
    if (text === '') return ids;
    const prepared = `${this.#model.addDummyPrefix ? ' ' : ''}${text}`.replaceAll(' ', SPACE);
    for (const piece of splitIntoPieces(prepared, (joined) => this.#scoreOf(joined))) {
      const id = this.#ids.get(piece);
      if (id !== undefined) ids.push(id);
      else for (const byte of toUtf8.encode(piece)) ids.push(this.#byteIds[byte]!);
    }
    return ids;
  }

  /** The text of ids; control ids have none. Bytes that are not UTF-8 become U+FFFD each. */
  decode(ids: Iterable<number>): string {
    let text = '';
    let bytes: number[] = [];
    let isFirst = true;
    const flush = (): void => {
      text += textOfBytes(bytes);
      bytes = [];
    };
    for (const id of ids) {
      const piece = this.#model.pieces[id];
      if (piece === undefined)
        throw new UsageError(`LlamaTokenizer.decode: id ${id}, allowed 0 to ${this.vocabularySize - 1}.`);
      if (piece.type === 'control') continue;
      if (piece.type === 'byte') {
        bytes.push(this.#bytes.get(id) as number);
      } else {
        flush();
        const isPadded = isFirst && this.#model.addDummyPrefix && piece.text.startsWith(SPACE);
        const own = isPadded ? piece.text.slice(SPACE.length) : piece.text;
        text += piece.type === 'unknown' ? UNKNOWN_TEXT : own.replaceAll(SPACE, ' ');
      }
      isFirst = false;
    }
    flush();
    return text;
  }

  #scoreOf(piece: string): number | undefined {
    const id = this.#ids.get(piece);
    return id === undefined ? undefined : this.#model.pieces[id]!.score;
  }
}

/** UTF-8 as far as it is valid; every byte that belongs to no character becomes one U+FFFD, as in SentencePiece. */
function textOfBytes(bytes: readonly number[]): string {
  let text = '';
  for (let i = 0; i < bytes.length; ) {
    const length = sequenceLength(bytes[i]!);
    const character = decodeOne(Uint8Array.from(bytes.slice(i, i + length)));
    text += character ?? '\uFFFD';
    i += character === undefined ? 1 : length;
  }
  return text;
}

function sequenceLength(lead: number): number {
  if (lead >= 0xf0) return 4;
  if (lead >= 0xe0) return 3;
  return lead >= 0xc0 ? 2 : 1;
}

function decodeOne(bytes: Uint8Array): string | undefined {
  try {
    return strictUtf8.decode(bytes);
  } catch {
    return undefined; // not valid UTF-8: the caller writes the replacement
  }
}
