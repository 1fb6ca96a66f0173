// Reads a SentencePiece model file (`tokenizer.model`): the pieces with their scores and types, and how text is prepared.
// Source: sentencepiece_model.proto of https://github.com/google/sentencepiece (field numbers).
// Takes what LLaMA's tokeniser is: BPE with byte fallback and text left as it is. Everything else is refused, so that no text
// is quietly split in another way than the model learned it. Not here: splitting (bpe.ts), ids of texts (llama-tokenizer.ts).

import { DataError } from '@maskrank/torch/errors';
import { readFields, type WireField } from './protobuf.ts';

/** `unknown`: what has no piece; `control`: markers without text; `byte`: `<0x00>` to `<0xFF>`. */
export type PieceType = 'normal' | 'unknown' | 'control' | 'byte';

export type Piece = {
  readonly text: string;
  /** Larger merges earlier. */
  readonly score: number;
  readonly type: PieceType;
};

export type SentencePieceModel = {
  /** By id. */
  readonly pieces: readonly Piece[];
  /** Whether text gets a space in front. */
  readonly addDummyPrefix: boolean;
  readonly unknownId: number;
  readonly bosId: number;
  readonly eosId: number;
};

/** Numbers of the definition; user-defined (4) and unused (5) pieces split text by rules that LLaMA does not need. */
const PIECE_TYPES: Readonly<Record<number, PieceType>> = {
  1: 'normal',
  2: 'unknown',
  3: 'control',
  6: 'byte',
};
const MODEL_TYPES: Readonly<Record<number, string>> = { 1: 'unigram', 2: 'BPE', 3: 'word', 4: 'char' };

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** The last value of a field, as the format wants it; `fallback` where the message does not have it. */
function pick(fields: readonly WireField[], number: number, fallback: number): number {
  const found = fields.findLast((field) => field.number === number);
  return found?.kind === 'varint' ? found.value : fallback;
}

function submessage(who: string, fields: readonly WireField[], number: number): WireField[] {
  return fields.flatMap((field) =>
    field.number === number && field.kind === 'bytes' ? [...readFields(who, field.value)] : [],
  );
}

function textOf(who: string, bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    throw new DataError(`${who}: a text that is not UTF-8: damaged.`, { cause });
  }
}

function readPiece(who: string, bytes: Uint8Array): Piece {
  let [text, score, type] = ['', 0, 1];
  for (const { number, kind, value } of readFields(who, bytes)) {
    if (number === 1 && kind === 'bytes') text = textOf(who, value);
    if (number === 2 && kind === 'fixed') score = value.getFloat32(0, true);
    if (number === 3 && kind === 'varint') type = value;
  }
  const named = PIECE_TYPES[type];
  if (named !== undefined && Number.isFinite(score) && text !== '') return { text, score, type: named };
  throw new DataError(
    `${who}: a piece ${JSON.stringify(text)} of type ${type} with score ${score}; allowed are text, ` +
      'the types normal (1), unknown (2), control (3) and byte (6), and a finite score.',
  );
}

/** Reads the bytes of a model file; `source` names it in errors. Throws DataError for what is not LLaMA's kind of model. */
export function readSentencePieceModel(bytes: Uint8Array, source: string): SentencePieceModel {
  const who = `readSentencePieceModel(${source})`;
  const fields = [...readFields(who, bytes)];
  const pieces = fields.flatMap((field) =>
    field.number === 1 && field.kind === 'bytes' ? [readPiece(who, field.value)] : [],
  );
  const trainer = submessage(who, fields, 2);
  const normaliser = submessage(who, fields, 3);
  const modelType = pick(trainer, 3, 1);
  const charsmap = normaliser.findLast(({ number, kind }) => number === 2 && kind === 'bytes');
  const wrong: string[] = [];
  const need = (holds: boolean, message: string) => void (holds || wrong.push(message));
  need(pieces.length > 0, 'it has no pieces');
  need(modelType === 2, `its kind is ${MODEL_TYPES[modelType] ?? modelType}, allowed BPE`);
  need(pick(trainer, 35, 0) === 1, 'it has no byte fallback, which LLaMA has');
  need(
    charsmap?.kind !== 'bytes' || charsmap.value.length === 0,
    'it rewrites characters before splitting, allowed is the rule "identity"',
  );
  need(pick(normaliser, 4, 1) === 0, 'it removes extra spaces, which LLaMA keeps');
  need(pick(normaliser, 5, 1) === 1, 'it does not write spaces as \u2581');
  need(pick(trainer, 24, 0) === 0, 'it puts spaces behind words, LLaMA puts them in front');
  const special = {
    unknownId: pick(trainer, 40, 0),
    bosId: pick(trainer, 41, 1),
    eosId: pick(trainer, 42, 2),
  };
  need(pieces[special.unknownId]?.type === 'unknown', `id ${special.unknownId} is not the unknown piece`);
  for (const id of [special.bosId, special.eosId])
    need(pieces[id]?.type === 'control', `id ${id}, beginning or end of a text, is no control piece`);
  if (wrong.length > 0)
    throw new DataError(`${who}: this is not LLaMA's kind of SentencePiece model: ${wrong.join('; ')}.`);
  return { pieces, addDummyPrefix: pick(normaliser, 3, 1) === 1, ...special };
}
