// Sizes of the 2-D U-Net (Ronneberger, Fischer & Brox 2015) by name.

export type UnetConfig = {
  readonly inChannels: number;
  readonly outChannels: number;
  /** Channels of the first level; every level below has twice as many. */
  readonly width: number;
  /** Enlarging by bilinear interpolation with half the channels, instead of by transposed convolutions. */
  readonly bilinear: boolean;
};

export type UnetName = 'unet' | 'unet-small';

/** Widths by name: the usual network (31 million weights), and one of a sixteenth of its work (1.9 million) for two cores. */
export const UNET_WIDTHS: Readonly<Record<UnetName, number>> = { unet: 64, 'unet-small': 16 };
