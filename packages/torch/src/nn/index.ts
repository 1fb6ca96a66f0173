// nn: modules, layers, initialisation.

export * from './activations.ts';
export * from './attention.ts';
export * as F from './functional.ts';
export * from './fused.ts';
export * as init from './init.ts';
export { initialise } from './init.ts';
export * from './layers.ts';
export { Buffer, Layer, Module, Parameter, Sequential } from './module.ts';
export * from './norms.ts';
export * from './pooling.ts';
export {
  type KeyPattern,
  type LoadStateOptions,
  type LoadStateReport,
  loadStateDict,
  type StateSource,
  saveStateDict,
} from './state-dict.ts';
