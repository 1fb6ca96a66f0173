// optim: update rules, gradient clipping, schedules.

export { Adam, type AdamOptions, AdamW } from './adam.ts';
export { clipGradNorm } from './clip.ts';
export { type NamedParameters, Optimizer, type ParameterGroup } from './optimizer.ts';
export type { Schedule } from './schedules.ts';
export * as schedules from './schedules.ts';
export { SGD, type SgdOptions } from './sgd.ts';
