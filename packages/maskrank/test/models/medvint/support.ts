// A SentencePiece model as bytes, a tokeniser for the tiny network, and the network itself.

import { fromTypedArray, Generator, type Tensor } from '@maskrank/torch';
import {
  createMedvint,
  LlamaTokenizer,
  MEDVINT_CONFIGS,
  type Medvint,
  type WeightStorage,
} from '../../../src/models/medvint/index.ts';
import { readSentencePieceModel } from '../../../src/models/medvint/tokenizer/index.ts';
import { Random } from '../../../src/util/random.ts';

export const TINY = MEDVINT_CONFIGS['medvint-nano'];

// Protocol buffers, written -----------------------------------------------------------------------------------------

export function varint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))];
}
export const bytesField = (number: number, bytes: Iterable<number>): number[] => {
  const all = [...bytes];
  return [...varint(8 * number + 2), ...varint(all.length), ...all];
};
export const intField = (number: number, value: number): number[] => [
  ...varint(8 * number),
  ...varint(value),
];
export const floatField = (number: number, value: number): number[] => [
  ...varint(8 * number + 5),
  ...new Uint8Array(Float32Array.of(value).buffer),
];

export const UNKNOWN = 2;
export const CONTROL = 3;
export const BYTE = 6;

export const piece = (text: string, score: number, type = 1): number[] =>
  bytesField(1, [
    ...bytesField(1, new TextEncoder().encode(text)),
    ...floatField(2, score),
    ...(type === 1 ? [] : intField(3, type)),
  ]);

export const SPECIALS = [piece('<unk>', 0, UNKNOWN), piece('<s>', 0, CONTROL), piece('</s>', 0, CONTROL)];
export const BYTES = Array.from({ length: 256 }, (_, i) =>
  piece(`<0x${i.toString(16).toUpperCase().padStart(2, '0')}>`, 0, BYTE),
);

/** What LLaMA's file says beside the pieces; fields given later win. */
export const trainer = (...more: number[][]): number[] =>
  bytesField(2, [...intField(3, 2), ...intField(35, 1), ...more.flat()]);
export const normaliser = (...more: number[][]): number[] =>
  bytesField(3, [...bytesField(1, Buffer.from('identity')), ...intField(4, 0), ...more.flat()]);

// The tiny network's vocabulary -------------------------------------------------------------------------------------

const WORDS = ['▁A', '▁B', '▁C', '▁D', 'th', '▁the', 'the', 'er', 'li', 'ver', 'liver', '▁liver', '▁li'];
const CHARACTERS = Array.from(
  '▁abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:;?!()-/%é肝',
);

/** Texts of the normal pieces, best first; together with markers and bytes there are as many as the tiny network has ids. */
export const VOCABULARY: readonly string[] = (() => {
  const found = [...WORDS];
  for (const a of 'aeioustlnr')
    for (const b of 'aeioustlnr')
      if (found.length + CHARACTERS.length < TINY.llama.vocabularySize - 259) found.push(a + b + a);
  return [...new Set([...found, ...CHARACTERS])];
})();

export const MODEL_BYTES: Uint8Array = (() => {
  const pieces = [...SPECIALS, ...BYTES, ...VOCABULARY.map((text, i) => piece(text, -i))];
  for (let i = pieces.length; i < TINY.llama.vocabularySize; i++) pieces.push(piece(`zz${i}`, -i));
  return Uint8Array.from([...pieces.flat(), ...trainer(), ...normaliser()]);
})();

export const tinyTokenizer = (): LlamaTokenizer =>
  new LlamaTokenizer(readSentencePieceModel(MODEL_BYTES, 'tiny'), 'tiny');

// The tiny network --------------------------------------------------------------------------------------------------

export const tinyMedvint = (storage: WeightStorage = 'float32', seed = 3): Medvint =>
  createMedvint(TINY, Generator.seeded(seed), storage);

export function randomIds(length: number, seed = 1, batch = 1): Tensor {
  const random = new Random(seed);
  const ids = BigInt64Array.from({ length: batch * length }, () => BigInt(random.int(3, 400)));
  return fromTypedArray(ids, [batch, length]);
}

/** Largest absolute difference of two tensors. */
export function distance(a: Tensor, b: Tensor): number {
  if (`${a.shape}` !== `${b.shape}`) throw new Error(`shapes [${a.shape}] and [${b.shape}]`);
  return a.sub(b).abs().amax().item();
}
