// Regions: what other parts use.

export { type ForegroundRule, foregroundOf } from './foreground.ts';
export {
  type BoxOptions,
  type FallbackRule,
  forChannels,
  type KeepOptions,
  type PointOptions,
  REGION_PRESETS,
  type RegionOptions,
  type RegionPreset,
} from './options.ts';
export {
  countFallbacks,
  keepRegions,
  promptFromLabels,
  promptFromSaliency,
  type RegionInputs,
  type RegionPrompt,
} from './region-prompt.ts';
export { twoMeansThreshold } from './two-means.ts';
