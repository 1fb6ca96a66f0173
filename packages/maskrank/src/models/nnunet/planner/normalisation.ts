// How intensities are normalised, chosen by the name of each channel: nnU-Net's table. Not here: doing it (training/nnunet).

/**
 * - `z-score`: less the image's mean, over its standard deviation
 * - `ct`: cut to the 0.5th and 99.5th percentile of the foreground of all training images, then less their mean, over their
 *   standard deviation: intensities mean the same in every image
 * - `rescale`: to 0..1 by the image's smallest and largest value
 * - `rgb`: over 255
 * - `none`
 */
export type NormalisationScheme = 'z-score' | 'ct' | 'rescale' | 'rgb' | 'none';

const BY_CHANNEL: Readonly<Record<string, NormalisationScheme>> = {
  ct: 'ct',
  nonorm: 'none',
  zscore: 'z-score',
  rescale_to_0_1: 'rescale',
  rgb_to_0_1: 'rgb',
};

/** The scheme of a channel by its name, `CT` or `T2` or `R`; z-score unless the name says otherwise. */
export const schemeOf = (channel: string): NormalisationScheme =>
  BY_CHANNEL[channel.toLowerCase()] ?? 'z-score';

/** Where cropping took more than a quarter of the images away, z-scores are those of what is inside the object. */
export const usesMask = (scheme: NormalisationScheme, medianShareAfterCrop: number): boolean =>
  scheme === 'z-score' && medianShareAfterCrop < 3 / 4;
