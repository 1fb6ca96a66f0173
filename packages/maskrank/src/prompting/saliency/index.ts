// Saliency of an image for a text.

export { type CachedCam, SaliencyCache, type SaliencyIdentity, saliencyKey } from './cache.ts';
export { CamImage } from './cam-image.ts';
export { type Evidence, gatherEvidence, meanGradients } from './evidence.ts';
export { normaliseMap, type SaliencyMap, toWholeImage } from './grid.ts';
export { CAM_LAYERS, type CamLayer, camSite, defaultCamLayer } from './layers.ts';
export { channelMasks } from './masked-images.ts';
export { type ChannelWeights, type RawCam, SALIENCY_METHODS, type SaliencyMethod } from './methods.ts';
export type { CamOptions, SaliencyOptions } from './options.ts';
export { attentionRelevance } from './relevance.ts';
export { ImageSaliency, type Saliency } from './saliency.ts';
export { NEUTRAL_TEXT, sensitivityWarning, textSensitivity } from './sensitivity.ts';
export { placeSimilarity } from './similarity.ts';
