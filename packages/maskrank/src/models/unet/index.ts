// The 2-D U-Net.

export * from './config.ts';
export { createUnet, Unet } from './unet.ts';
