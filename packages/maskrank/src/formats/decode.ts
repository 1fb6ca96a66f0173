// Bytes of a PNG, JPEG or TIFF -> samples, with limits, through sharp (libvips). Values are those of the file: embedded
// colour profiles and gamma are ignored, as OpenCV and Pillow do. EXIF orientation is applied, so pixels stand as viewers and
// labelling tools show them. Not here: conversion to 8 bit (intensity.ts), what a mask is (raster.ts), DICOM, NIfTI.

import { readFile, stat } from 'node:fs/promises';
import { DataError } from '@maskrank/torch/errors';
import sharp, { type Metadata, type Sharp, type SharpOptions } from 'sharp';
import { asPlainGreyTiff, withIdentityPalette } from './stored-samples.ts';

export type RasterFormat = 'png' | 'jpeg' | 'tiff';

export type DecodeOptions = {
  /** Larger files are refused before they are read, bytes. Default 512 MiB. */
  readonly maxFileBytes?: number;
  /** Images of more pixels are refused before they are decoded: against memory bombs. Default 100 million. */
  readonly maxPixels?: number;
  /** Turn the pixels as the EXIF orientation says (default), or leave them as stored. */
  readonly orientation?: 'apply' | 'ignore';
};

/** What the file holds, before any conversion; the size is the one after its orientation has been applied. */
export type RasterInfo = {
  readonly format: RasterFormat;
  readonly width: number;
  readonly height: number;
  /** Colour channels, without alpha; 4 is CMYK. */
  readonly channels: number;
  readonly hasAlpha: boolean;
  readonly isPalette: boolean;
  readonly bitsPerSample: number;
  readonly sampleType: 'unsigned' | 'signed' | 'float';
  /** EXIF orientation 1..8 as stored; 1 is upright. */
  readonly orientation: number;
};

export type SampleArray = Uint8Array | Uint16Array | Float32Array;

export type Decoded = {
  readonly info: RasterInfo;
  readonly width: number;
  readonly height: number;
  readonly channels: 1 | 3;
  /** Row-major, channels interleaved, alpha split off. Float32Array also for signed and 32-bit integers. */
  readonly samples: SampleArray;
  /** One value a pixel, in the range of the sample type. */
  readonly alpha: SampleArray | undefined;
};

/** How samples are wanted: as colours, or as stored numbers (palette indices, no inversion). */
export type Interpretation = 'colours' | 'stored';

const DEFAULTS = { maxFileBytes: 512 * 2 ** 20, maxPixels: 100e6, orientation: 'apply' } as const;

const MAGIC: readonly { readonly format: RasterFormat; readonly starts: readonly (readonly number[])[] }[] = [
  { format: 'png', starts: [[0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]] },
  { format: 'jpeg', starts: [[0xff, 0xd8, 0xff]] },
  {
    format: 'tiff',
    starts: [
      [0x49, 0x49, 42, 0],
      [0x4d, 0x4d, 0, 42],
      [0x49, 0x49, 43, 0],
      [0x4d, 0x4d, 0, 43],
    ],
  },
];

type Opened = { readonly bytes: Uint8Array; readonly metadata: Metadata; readonly info: RasterInfo };

/** Size and kind, from the header only: the pixel data may still be damaged. `who` opens error messages. */
export async function inspectRaster(
  who: string,
  path: string,
  options: DecodeOptions = {},
): Promise<RasterInfo> {
  return (await openRaster(who, path, { ...DEFAULTS, ...options })).info;
}

export async function decodeRaster(
  who: string,
  path: string,
  interpretation: Interpretation,
  options: DecodeOptions = {},
): Promise<Decoded> {
  const settings = { ...DEFAULTS, ...options };
  const { bytes, metadata, info } = await openRaster(who, path, settings);
  const signed = info.sampleType === 'signed' && info.bitsPerSample <= 16;
  if (signed && metadata.channels !== 1) {
    throw new DataError(
      `${who}: ${metadata.channels} signed channels of ${info.bitsPerSample} bit; allowed: one signed channel: convert to unsigned or float.`,
    );
  }
  if (info.sampleType === 'float' && info.hasAlpha) {
    throw new DataError(
      `${who}: float samples with an alpha channel; allowed: without: export it without transparency.`,
    );
  }
  let source = bytes;
  if (info.format === 'tiff' && (interpretation === 'stored' || signed)) source = asPlainGreyTiff(bytes);
  if (info.format === 'png' && interpretation === 'stored') source = withIdentityPalette(bytes);
  const depth = rawDepth(info);
  try {
    const view = source === bytes ? metadata : await openSharp(source, settings.maxPixels).metadata();
    const upright = settings.orientation === 'apply' ? { autoOrient: true } : {};
    const { data, info: raw } = await openSharp(source, settings.maxPixels, upright)
      .toColourspace(ownSpace(view))
      .raw({ depth })
      .toBuffer({ resolveWithObject: true });
    const all = typedView(data, depth, signed, info.bitsPerSample);
    return { info, width: raw.width, height: raw.height, ...splitChannels(all, raw.channels, view) };
  } catch (error) {
    throw unreadable(who, error);
  }
}

type RawDepth = 'uchar' | 'ushort' | 'float';

function rawDepth({ sampleType, bitsPerSample }: RasterInfo): RawDepth {
  if (sampleType === 'float' || bitsPerSample > 16) return 'float';
  return bitsPerSample > 8 ? 'ushort' : 'uchar';
}

async function openRaster(who: string, path: string, settings: Required<DecodeOptions>): Promise<Opened> {
  const bytes = await readWhole(who, path, settings.maxFileBytes);
  const format = MAGIC.find(({ starts }) =>
    starts.some((start) => start.every((v, i) => bytes[i] === v)),
  )?.format;
  if (format === undefined) {
    const found = Buffer.from(bytes.subarray(0, 8)).toString('hex');
    throw new DataError(`${who}: the file begins with 0x${found}; allowed: PNG, JPEG, TIFF: convert it.`);
  }
  const metadata = await openSharp(bytes, settings.maxPixels)
    .metadata()
    .catch((error: unknown) => {
      throw unreadable(who, error);
    });
  const info = describe(format, metadata, settings.orientation === 'apply');
  if (info.width * info.height > settings.maxPixels) {
    throw new DataError(
      `${who}: ${info.width} x ${info.height} = ${info.width * info.height} pixels; allowed up to ${settings.maxPixels} (maxPixels).`,
    );
  }
  if ((metadata.pages ?? 1) > 1) {
    throw new DataError(`${who}: ${metadata.pages} pages; allowed: 1: save the pages as separate files.`);
  }
  return { bytes, metadata, info };
}

async function readWhole(who: string, path: string, maxFileBytes: number): Promise<Uint8Array> {
  try {
    const stats = await stat(path);
    if (!stats.isFile()) throw new DataError(`${who}: not a file: an image file is needed.`);
    if (stats.size === 0) throw new DataError(`${who}: the file is empty (0 bytes): copy it again.`);
    if (stats.size > maxFileBytes) {
      throw new DataError(`${who}: ${stats.size} bytes; allowed up to ${maxFileBytes} (maxFileBytes).`);
    }
    return await readFile(path);
  } catch (error) {
    if (error instanceof DataError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    const reason = code === 'ENOENT' ? 'no such file: check the path' : message;
    throw new DataError(`${who}: ${reason}.`, { cause: error });
  }
}

function openSharp(bytes: Uint8Array, maxPixels: number, more: SharpOptions = {}): Sharp {
  // 'error' lets harmless warnings pass but not a picture with missing rows.
  return sharp(bytes, { failOn: 'error', ignoreIcc: true, limitInputPixels: maxPixels, ...more });
}

const SIGNED_DEPTHS = new Set(['char', 'short', 'int']);
const FLOAT_DEPTHS = new Set(['float', 'double', 'complex', 'dpcomplex']);
const DEPTH_BITS: Readonly<Record<string, number>> = { char: 8, uchar: 8, short: 16, ushort: 16, double: 64 };

function describe(format: RasterFormat, metadata: Metadata, oriented: boolean): RasterInfo {
  const depth = metadata.depth ?? 'uchar';
  const size = oriented ? metadata.autoOrient : metadata;
  return {
    format,
    width: size.width,
    height: size.height,
    channels: metadata.channels - (metadata.hasAlpha ? 1 : 0),
    hasAlpha: metadata.hasAlpha,
    isPalette: metadata.isPalette,
    bitsPerSample: metadata.bitsPerSample ?? DEPTH_BITS[depth] ?? 32,
    sampleType: SIGNED_DEPTHS.has(depth) ? 'signed' : FLOAT_DEPTHS.has(depth) ? 'float' : 'unsigned',
    orientation: metadata.orientation ?? 1,
  };
}

/** The colour space in which libvips already holds the samples, so that nothing is converted; others become sRGB. */
function ownSpace({ space = 'srgb', hasAlpha }: Metadata): string {
  // Output as 'b-w' would lose the alpha channel: take the detour over three equal channels.
  if (space === 'b-w' && hasAlpha) return 'srgb';
  return ['b-w', 'grey16', 'rgb16', 'scrgb'].includes(space) ? space : 'srgb';
}

function typedView(data: Buffer, depth: RawDepth, signed: boolean, bits: number): SampleArray {
  const { buffer, byteOffset, byteLength } = data;
  if (signed) {
    const integers =
      bits === 8
        ? new Int8Array(buffer, byteOffset, byteLength)
        : new Int16Array(buffer, byteOffset, byteLength / 2);
    return Float32Array.from(integers);
  }
  if (depth === 'uchar') return new Uint8Array(buffer, byteOffset, byteLength);
  if (depth === 'ushort') return new Uint16Array(buffer, byteOffset, byteLength / 2);
  return new Float32Array(buffer, byteOffset, byteLength / 4);
}

/** Grey stays one channel; alpha goes its own way. */
function splitChannels(
  all: SampleArray,
  found: number,
  metadata: Metadata,
): Pick<Decoded, 'channels' | 'samples' | 'alpha'> {
  const alphas = found === 2 || found === 4 ? 1 : 0;
  const isGrey = found <= 2 || metadata.space === 'b-w' || metadata.space === 'grey16';
  const channels = isGrey ? 1 : 3;
  if (channels === found) return { channels, samples: all, alpha: undefined };
  const pixels = all.length / found;
  const like = all.constructor as typeof Uint8Array;
  const samples = new like(pixels * channels);
  for (let i = 0; i < pixels; i++) {
    for (let c = 0; c < channels; c++) samples[i * channels + c] = all[i * found + c]!;
  }
  if (alphas === 0) return { channels, samples, alpha: undefined };
  const alpha = new like(pixels);
  for (let i = 0; i < pixels; i++) alpha[i] = all[i * found + found - 1]!;
  return { channels, samples, alpha };
}

function unreadable(who: string, error: unknown): DataError {
  const reason = (error instanceof Error ? error.message : String(error)).split('\n')[0];
  return new DataError(
    `${who}: cannot be decoded, it is damaged or truncated (${reason}): copy or export it again.`,
    {
      cause: error,
    },
  );
}
