// SAM and SAM-Med2D.

export { attend, type Windowing } from './attention.ts';
export {
  describeLoad,
  type LoadSamOptions,
  type LoadSamReport,
  loadSam,
  loadSamCheckpoint,
  samFromState,
} from './checkpoint.ts';
export * from './config.ts';
export { asMaskPrompt, decodeGivenBack, maskPromptOf } from './given-back.ts';
export { embeddingChannels } from './high-res.ts';
export { ImageEncoder } from './image-encoder.ts';
export { inferSamConfig } from './infer-config.ts';
export { type DecoderOutput, MaskDecoder } from './mask-decoder.ts';
export { logitsToCanvas, logitsToOriginal } from './postprocess.ts';
export {
  type ImagePrompt,
  type PredictedMask,
  type Prediction,
  type PredictorOptions,
  SamPredictor,
} from './predictor.ts';
export { PromptEncoder, type PromptTensors } from './prompt-encoder.ts';
export { createSam, pickBest, pickHead, Sam } from './sam.ts';
export { samStateShapes } from './state-shapes.ts';
