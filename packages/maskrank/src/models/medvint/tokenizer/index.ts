// LLaMA's tokeniser.

export { type EncodeOptions, LlamaTokenizer } from './llama-tokenizer.ts';
export {
  type Piece,
  type PieceType,
  readSentencePieceModel,
  type SentencePieceModel,
} from './sentencepiece-model.ts';
export { trainBpe } from './train-bpe.ts';
export { writeSentencePieceModel } from './write-sentencepiece-model.ts';
