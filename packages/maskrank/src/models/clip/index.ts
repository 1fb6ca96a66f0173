// BiomedCLIP and OpenAI's CLIP: networks, tokeniser, preprocessing, losses.

export { clipFromState, type LoadClipOptions, loadClip, loadClipTokenizer, saveClip } from './checkpoint.ts';
export { BiomedClip, buildClip, Clip, createClip, OpenAiClip } from './clip.ts';
export * from './config.ts';
export { clipFingerprint } from './fingerprint.ts';
export { describeClip, inferClipConfig } from './infer-config.ts';
export { type Tap, unitRows, type VisionSite } from './layers.ts';
export { type DhnNceOptions, dhnNceLoss, infoNce } from './losses.ts';
export { CLIP_NORMALISATION, type ClipInput, type ClipView, clipInput } from './preprocess.ts';
export { ModifiedResNet } from './resnet.ts';
export { clipStateShapes, countClipParameters } from './state-shapes.ts';
export { type EmbeddedText, embedTexts, tokenIds } from './text.ts';
export { type Encoding, splitWords, WordPiece } from './wordpiece.ts';
