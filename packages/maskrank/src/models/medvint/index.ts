// MedVInT-TD: answers questions about medical images.

export { type AnswerOptions, answer, type MedvintAnswer, type MedvintModel } from './answer.ts';
export {
  type LoadMedvintOptions,
  type LoadMedvintReport,
  type LoadNetworkOptions,
  loadMedvint,
  loadMedvintNetwork,
  medvintFromState,
  type SaveMedvintOptions,
  saveMedvint,
  tokenizerPath,
} from './checkpoint.ts';
export * from './config.ts';
export { type GenerateOptions, generate } from './generate.ts';
export { inferMedvintConfig } from './infer-config.ts';
export { type CacheShape, KeyValueCache } from './key-value-cache.ts';
export { Llama } from './llama.ts';
export { createMedvint, Medvint, type OwnedTexts } from './network.ts';
export { imageTensor } from './preprocess.ts';
export { type Candidate, candidates, likeliest, type SamplingOptions, sample } from './sampling.ts';
export { countParameters, medvintShapes } from './shapes.ts';
export {
  type QuantisedRows,
  quantiseRows,
  StoredEmbedding,
  StoredLinear,
  WEIGHT_STORAGES,
  type WeightStorage,
} from './stored-weights.ts';
export { CHOICE_LETTERS, questionPrompt } from './template.ts';
export {
  LlamaTokenizer,
  readSentencePieceModel,
  trainBpe,
  writeSentencePieceModel,
} from './tokenizer/index.ts';
