// nnU-Net: its networks and its planner.

export * from './config.ts';
export { featureMapSize } from './feature-maps.ts';
export { createNnunet, loadNnunetState, Nnunet } from './unet.ts';
