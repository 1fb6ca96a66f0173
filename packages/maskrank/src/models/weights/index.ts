// Pretrained weights: the registry of public files, and the store of those on this machine.

export type { OnBytes, WorkOptions } from './content.ts';
export type { Fetch } from './download.ts';
export { FAMILIES, type FamilyName, shapeDifferences } from './families.ts';
export { maskrankHome } from './home.ts';
export { type PullOptions, type PullResult, pullWeights } from './pull.ts';
export type { WeightRecord } from './record.ts';
export {
  manualSteps,
  REGISTERED_WEIGHTS,
  type RegisteredFile,
  type RegisteredWeights,
  sizeText,
} from './registry.ts';
export { overlapWarnings, resolveWeights } from './resolve.ts';
export {
  type AddOptions,
  type AddResult,
  type ListedWeights,
  type StoredWeights,
  type StoreOptions,
  type VerifyResult,
  WeightStore,
} from './store.ts';
