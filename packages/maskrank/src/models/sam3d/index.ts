// SAM-Med3D.

export * from './config.ts';
export type { VolumeDecoderOutput } from './mask-decoder.ts';
export type { VolumePrompts } from './prompt-encoder.ts';
export { createSam3d, logitsToVolume, Sam3d } from './sam3d.ts';
