// SAM-Med3D.

export {
  type LoadedSam3d,
  type LoadSam3dOptions,
  loadSam3d,
  sam3dFromState,
} from './checkpoint.ts';
export * from './config.ts';
export { describeSam3d, inferSam3dConfig } from './infer-config.ts';
export type { VolumeDecoderOutput } from './mask-decoder.ts';
export type { VolumePrompts } from './prompt-encoder.ts';
export { createSam3d, logitsToVolume, Sam3d } from './sam3d.ts';
export { sam3dStateShapes } from './state-shapes.ts';
