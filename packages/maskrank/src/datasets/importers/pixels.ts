// Source files as pixels, as exactly as the file has them: images in 8 or 16 bit with the decision whether the file can
// be kept as it is, masks as stored values. Not here: decoding (formats/), what mask values mean (mask-values.ts).

import { DataError } from '@maskrank/torch/errors';
import sharp from 'sharp';
import type { Decoded, RasterInfo, SampleArray } from '../../formats/decode.ts';
import { decodeRaster } from '../../formats/decode.ts';
import { encodePng } from '../../formats/raster.ts';
import type { Image, Mask } from '../../imaging/types.ts';
import type { MaskValues } from './mask-values.ts';

export type SourceImage = {
  readonly image: Image<Uint8Array> | Image<Uint16Array>;
  /** Extension under which the file is copied byte for byte; `undefined` when it must be converted. */
  readonly keep: '.png' | '.jpg' | undefined;
  /** What the conversion does, when there is one. */
  readonly conversion: string | undefined;
};

/** PNG and JPEG that every reader shows alike are kept; all else becomes PNG, without loss except for float samples. */
export async function readSourceImage(path: string): Promise<SourceImage> {
  const decoded = await decodeRaster(`image ${path}`, path, 'colours');
  const { info, width, height, channels } = decoded;
  const reasons = reasonsToConvert(decoded);
  const keep = reasons.length > 0 ? undefined : info.format === 'png' ? '.png' : '.jpg';
  const conversion = reasons.length > 0 ? `${reasons.join(', ')}: written as PNG` : undefined;
  const samples = overBlack(decoded);
  if (samples instanceof Float32Array)
    return { image: { width, height, channels, data: toWords(samples, info) }, keep, conversion };
  // Narrowed by branch: an Image holds one or the other array type.
  if (samples instanceof Uint8Array)
    return { image: { width, height, channels, data: samples }, keep, conversion };
  return { image: { width, height, channels, data: samples }, keep, conversion };
}

/**
 * A mask's stored values: palette indices and grey samples as they are, transparent pixels 0. A black-and-white palette
 * counts by its look. Throws DataError for colours and fractions.
 */
export async function readSourceMask(path: string): Promise<MaskValues> {
  const who = `mask ${path}`;
  const look = await decodeRaster(who, path, 'colours');
  const lossy = look.info.format === 'jpeg';
  const byLook = lossy || !look.info.isPalette || isBlackAndWhite(look);
  const decoded = byLook ? look : await decodeRaster(who, path, 'stored');
  const { width, height } = decoded;
  const grey = lossy ? brightest(decoded) : singleChannel(who, decoded);
  // Fewer than 8 bits of grey come spread over 0..255.
  const { bitsPerSample, isPalette } = decoded.info;
  const step = bitsPerSample < 8 && !isPalette ? 255 / (2 ** bitsPerSample - 1) : 1;
  const { alpha } = decoded;
  const value = (i: number) => (alpha !== undefined && alpha[i] === 0 ? 0 : grey[i]! / step);
  const data = grey instanceof Uint8Array ? new Uint8Array(grey.length) : new Uint16Array(grey.length);
  for (let i = 0; i < data.length; i++) {
    const v = value(i);
    if (!(Number.isInteger(v) && v >= 0 && v <= 65535))
      throw new DataError(
        `${who}: value ${v} at x = ${i % width}, y = ${Math.floor(i / width)}; allowed: whole numbers from 0.`,
      );
    data[i] = v;
  }
  return { width, height, data, lossy };
}

/** PNG bytes of an image in its own depth. */
export async function encodeSourceImage(image: Image<Uint8Array> | Image<Uint16Array>): Promise<Uint8Array> {
  const { width, height, channels, data } = image;
  if (data instanceof Uint8Array) return encodePng({ width, height, channels, data });
  return sharp(data, { raw: { width, height, channels } })
    .toColourspace(channels === 1 ? 'grey16' : 'rgb16')
    .png({ compressionLevel: 6 })
    .toBuffer();
}

/** PNG bytes of a binary mask, 0 and 255. */
export async function encodeMask(mask: Mask): Promise<Uint8Array> {
  const data = new Uint8Array(mask.data.length);
  for (let i = 0; i < data.length; i++) data[i] = mask.data[i]! * 255;
  return encodePng({ width: mask.width, height: mask.height, channels: 1, data });
}

function reasonsToConvert({ info, alpha }: Decoded): string[] {
  const reasons: string[] = [];
  if (info.format === 'tiff') reasons.push('TIFF');
  if (info.sampleType === 'float' || info.bitsPerSample > 16)
    reasons.push(`${info.bitsPerSample}-bit ${info.sampleType} samples scaled from their range to 16 bit`);
  else if (info.sampleType === 'signed')
    reasons.push(`signed samples shifted by ${2 ** (info.bitsPerSample - 1)}`);
  if (info.channels === 4) reasons.push('CMYK');
  if (info.orientation !== 1) reasons.push('turned upright');
  if (alpha !== undefined)
    reasons.push(isOpaque(alpha) ? 'alpha channel dropped' : 'transparency mixed with black');
  return reasons;
}

const opaqueValue = (alpha: SampleArray): number => (alpha instanceof Uint8Array ? 255 : 65535);
const isOpaque = (alpha: SampleArray): boolean => alpha.every((v) => v >= opaqueValue(alpha));

/** As `readImage` does it, so that a converted image looks the same. */
function overBlack({ samples, alpha, channels }: Decoded): SampleArray {
  if (alpha === undefined || isOpaque(alpha)) return samples;
  const opaque = opaqueValue(alpha);
  const mixed = (value: number, i: number) =>
    Math.floor((value * alpha[Math.floor(i / channels)]!) / opaque + 0.5);
  return samples.map(mixed) as SampleArray;
}

/** Signed 8- and 16-bit integers are shifted, others stretched from minimum to maximum; NaN becomes 0. */
function toWords(samples: Float32Array, { sampleType, bitsPerSample }: RasterInfo): Uint16Array {
  if (sampleType === 'signed' && bitsPerSample <= 16) {
    const shift = 2 ** (bitsPerSample - 1);
    return Uint16Array.from(samples, (v) => v + shift);
  }
  let [low, high] = [Infinity, -Infinity];
  for (const v of samples) {
    if (v < low && v !== -Infinity) low = v;
    if (v > high && v !== Infinity) high = v;
  }
  const scale = high > low ? 65535 / (high - low) : 0;
  return Uint16Array.from(samples, (v) => Math.min(65535, Math.max(0, Math.round((v - low) * scale) || 0)));
}

function isBlackAndWhite({ samples, channels }: Decoded): boolean {
  return samples.every((v, i) => (v === 0 || v === 255) && v === samples[i - (i % channels)]);
}

function singleChannel(who: string, { samples, channels, width }: Decoded): SampleArray {
  if (channels === 1) return samples;
  const out = samples.slice(0, samples.length / 3);
  for (let i = 0; i < out.length; i++) {
    const [r, g, b] = [samples[3 * i]!, samples[3 * i + 1]!, samples[3 * i + 2]!];
    if (r !== g || g !== b)
      throw new DataError(
        `${who}: a colour (${r}, ${g}, ${b}) at x = ${i % width}, y = ${Math.floor(i / width)}; allowed: grey values or a palette. Map colours to class numbers first.`,
      );
    out[i] = r;
  }
  return out;
}

function brightest({ samples, channels }: Decoded): SampleArray {
  if (channels === 1) return samples;
  return samples
    .slice(0, samples.length / 3)
    .map((_, i) => Math.max(samples[3 * i]!, samples[3 * i + 1]!, samples[3 * i + 2]!)) as SampleArray;
}
