// An image as it is sent to an endpoint: pixels alone (names, dates and whatever else the file says stay here), 8 bit, no larger
// than needed, as a data URL.

import { DataError, UsageError } from '@maskrank/torch/errors';
import sharp from 'sharp';
import { encodePng, readImage } from '../../../formats/raster.ts';
import { resize } from '../../../imaging/resample.ts';
import type { Image } from '../../../imaging/types.ts';

/** How an image is sent: size, format, limit. */
export type SentImageOptions = {
  /** Longer side at most, px; larger images are shrunk, smaller ones sent as they are. Default 512. */
  readonly maxSidePx?: number;
  /** `png` (default) loses nothing, `jpeg` is a fifth of the size. */
  readonly format?: 'png' | 'jpeg';
  /** Of `jpeg`, 1..100. Default 90. */
  readonly quality?: number;
  /** Bytes of the encoded image at most. Default 4 MiB. */
  readonly maxBytes?: number;
};

/** The defaults. */
export const SENT_IMAGE = {
  maxSidePx: 512,
  format: 'png',
  quality: 90,
  maxBytes: 4 * 2 ** 20,
} as const satisfies SentImageOptions;

export type SentImage = { readonly url: string; readonly widthPx: number; readonly heightPx: number };

type Encode = (image: Image, quality: number) => Promise<Uint8Array>;

const ENCODERS: Readonly<Record<'png' | 'jpeg', { readonly type: string; readonly encode: Encode }>> = {
  png: { type: 'image/png', encode: (image) => encodePng(image) },
  jpeg: {
    type: 'image/jpeg',
    encode: ({ width, height, channels, data }, quality) =>
      sharp(data, { raw: { width, height, channels } }).jpeg({ quality }).toBuffer(),
  },
};

/** How an image is sent, in words; all that an answer depends on. */
export function imageWords(options: SentImageOptions = {}): string {
  const { maxSidePx, format, quality } = { ...SENT_IMAGE, ...options };
  return `at most ${maxSidePx} px, ${format}${format === 'jpeg' ? ` ${quality}` : ''}`;
}

/** The file as a data URL. */
export async function imageUrl(path: string, options: SentImageOptions = {}): Promise<SentImage> {
  const { maxSidePx, format, quality, maxBytes } = { ...SENT_IMAGE, ...options };
  if (!Number.isInteger(maxSidePx) || maxSidePx < 1)
    throw new UsageError(`imageUrl: maxSidePx ${maxSidePx}; allowed: whole numbers from 1.`);
  if (!Number.isInteger(quality) || quality < 1 || quality > 100)
    throw new UsageError(`imageUrl: quality ${quality}; allowed: whole numbers from 1 to 100.`);
  const { width, height, channels, data } = await readImage(path);
  const shrink = Math.min(1, maxSidePx / Math.max(width, height));
  const size = {
    width: Math.max(1, Math.round(width * shrink)),
    height: Math.max(1, Math.round(height * shrink)),
  };
  const whole: Image = { width, height, channels, data };
  const image = shrink < 1 ? resize(whole, size, { filter: 'cubic' }) : whole;
  const { type, encode } = ENCODERS[format];
  const bytes = await encode(image, quality);
  if (bytes.length > maxBytes)
    throw new DataError(
      `imageUrl(${path}): ${bytes.length} bytes as ${format} of ${size.width} x ${size.height} px; allowed: ${maxBytes}. Send it smaller or as jpeg.`,
    );
  const url = `data:${type};base64,${Buffer.from(bytes).toString('base64')}`;
  return { url, widthPx: size.width, heightPx: size.height };
}
