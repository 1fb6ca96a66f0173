// nnU-Net: its networks and its planner.

export * from './config.ts';
export { featureMapSize } from './feature-maps.ts';
export { type NormalisationScheme, schemeOf } from './planner/normalisation.ts';
export {
  type Configuration,
  type DatasetFingerprint,
  medianShare,
  newShape,
  type Plan,
  type PlannedTask,
  planExperiment,
  targetSpacing,
} from './planner/plan.ts';
export { PLANNERS, type PlannerName, type PlannerSettings } from './planner/presets.ts';
export { percentile } from './planner/statistics.ts';
export { planTopology, type Topology } from './planner/topology.ts';
export { type SlidingWindowOptions, slidingWindow } from './sliding-window.ts';
export { createNnunet, loadNnunetState, Nnunet } from './unet.ts';
