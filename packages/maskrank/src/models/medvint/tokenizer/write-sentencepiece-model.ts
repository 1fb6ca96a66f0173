// Writes a SentencePiece model file (`tokenizer.model`) as LLaMA's is: BPE with byte fallback, text left as it is. What is read
// back (sentencepiece-model.ts) is what was written. Source: sentencepiece_model.proto (field numbers).

import type { PieceType, SentencePieceModel } from './sentencepiece-model.ts';

const TYPES: Readonly<Record<PieceType, number>> = { normal: 1, unknown: 2, control: 3, byte: 6 };
const BPE = 2;

const utf8 = new TextEncoder();

// Protocol buffers: https://protobuf.dev/programming-guides/encoding
const varint = (value: number): number[] =>
  value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))];
const numberField = (field: number, value: number): number[] => [...varint(8 * field), ...varint(value)];
const floatField = (field: number, value: number): number[] => {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setFloat32(0, value, true);
  return [...varint(8 * field + 5), ...bytes];
};
const bytesField = (field: number, bytes: Iterable<number>): number[] => {
  const all = [...bytes];
  return [...varint(8 * field + 2), ...varint(all.length), ...all];
};
const textField = (field: number, text: string): number[] => bytesField(field, utf8.encode(text));

/** The bytes of the file. */
export function writeSentencePieceModel(model: SentencePieceModel): Uint8Array {
  const { pieces, addDummyPrefix, unknownId, bosId, eosId } = model;
  const trainer = [
    ...numberField(3, BPE),
    ...numberField(4, pieces.length),
    ...numberField(35, 1), // byte fallback
    ...numberField(40, unknownId),
    ...numberField(41, bosId),
    ...numberField(42, eosId),
  ];
  const normaliser = [
    ...textField(1, 'identity'),
    ...numberField(3, Number(addDummyPrefix)),
    ...numberField(4, 0), // extra spaces stay
    ...numberField(5, 1), // spaces become U+2581
  ];
  const list = pieces.flatMap(({ text, score, type }) =>
    bytesField(1, [...textField(1, text), ...floatField(2, score), ...numberField(3, TYPES[type])]),
  );
  return Uint8Array.from([...list, ...bytesField(2, trainer), ...bytesField(3, normaliser)]);
}
