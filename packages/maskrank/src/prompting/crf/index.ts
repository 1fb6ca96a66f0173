// Fully connected CRF: what other parts use.

export type { Compatibility } from './compatibility.ts';
export {
  CRF_PRESETS,
  type CrfPreset,
  type DenseCrfOptions,
  type DenseCrfResult,
  denseCrf,
  featuresOf,
  type PairwiseTerm,
  pairwisePotentials,
} from './dense-crf.ts';
export { ExactFilter } from './exact-filter.ts';
export {
  bilateralFeatures,
  type CrfImage,
  gaussianFeatures,
  type SigmaColour,
  type SigmaPx,
} from './features.ts';
export type { Features, KernelFilter } from './filter.ts';
export { Kernel, type KernelNormalisation } from './kernel.ts';
export { LatticeFilter } from './lattice-filter.ts';
export { MeanField, type PairwisePotential, type Unary } from './mean-field.ts';
export {
  type LabelUnaryOptions,
  type ProbabilityUnaryOptions,
  type SaliencyUnary,
  unaryFromLabels,
  unaryFromProbabilities,
  unaryFromSaliency,
} from './unary.ts';
export { workingSize } from './working-size.ts';
