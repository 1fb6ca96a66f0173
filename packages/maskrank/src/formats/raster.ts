// Images, masks and label maps as PNG, JPEG and TIFF files. Every reader says in one DataError what it found and what is
// allowed; every writer replaces the file in one step. Not here: decoding itself (decode.ts), volumes, DICOM.

import { DataError, UsageError } from '@maskrank/torch/errors';
import { writeFileAtomic } from '@maskrank/torch/io';
import sharp from 'sharp';
import type { Image, LabelMap, Mask, Size } from '../imaging/types.ts';
import {
  type Decoded,
  type DecodeOptions,
  decodeRaster,
  inspectRaster,
  type RasterInfo,
  type SampleArray,
} from './decode.ts';
import { type IntensityConversion, type IntensityOptions, toBytes } from './intensity.ts';

export type { DecodeOptions, RasterFormat, RasterInfo } from './decode.ts';
export type { IntensityConversion, IntensityOptions, IntensityRule } from './intensity.ts';

export type ReadImageOptions = DecodeOptions & {
  /** How 16-bit and float samples become 8 bit. Default: from the image's minimum to its maximum. */
  readonly intensity?: IntensityOptions;
};

/** An 8-bit image with the record of what was done to the file's samples. */
export type LoadedImage = Image & {
  readonly conversion: RasterInfo & {
    /** Transparent pixels were mixed with black: value * alpha. */
    readonly alphaOverBlack: boolean;
    /** Undefined for 8-bit (and smaller) files, whose values stay. */
    readonly intensity?: IntensityConversion;
  };
};

/** Size (after orientation) and kind from the header only. */
export async function probeImage(path: string, options: DecodeOptions = {}): Promise<RasterInfo> {
  return inspectRaster(`probeImage(${path})`, path, options);
}

/** Any supported file as 8-bit grey or RGB. 1-, 2- and 4-bit grey is spread over 0..255; palettes become colours. */
export async function readImage(path: string, options: ReadImageOptions = {}): Promise<LoadedImage> {
  const who = `readImage(${path})`;
  const decoded = await decodeRaster(who, path, 'colours', options);
  const { info, width, height, channels } = decoded;
  const samples = overBlack(decoded);
  const alphaOverBlack = decoded.alpha !== undefined;
  if (samples instanceof Uint8Array) {
    return { width, height, channels, data: samples, conversion: { ...info, alphaOverBlack } };
  }
  const { data, conversion } = toBytes(samples, fullRange(info), options.intensity);
  return { width, height, channels, data, conversion: { ...info, alphaOverBlack, intensity: conversion } };
}

export type ReadMaskOptions = DecodeOptions & {
  /**
   * Foreground is a sample above this (the largest of the channels; 1-, 2- and 4-bit grey counts as 0..255). Without it the
   * file must hold 0 and at most one other value: smoothed edges and class codes are then errors, not guesses.
   */
  readonly threshold?: number;
};

/** A binary mask: 0 and 1, or 0 and 255, or above a threshold. Transparent pixels are background. */
export async function readMask(path: string, { threshold, ...options }: ReadMaskOptions = {}): Promise<Mask> {
  const who = `readMask(${path})`;
  const decoded = await decodeRaster(who, path, 'colours', options);
  const { width, height } = decoded;
  const values = brightest(overBlack(decoded), decoded.channels);
  if (threshold === undefined) {
    const distinct = distinctValues(values, 8);
    if (distinct.filter((value) => value !== 0).length > 1) {
      throw new DataError(
        `${who}: values ${distinct.slice(0, 7).join(', ')}${distinct.length > 7 ? ', ...' : ''}; allowed: 0 and one other. If edges were smoothed, give a threshold (127 for 0..255); if the values are classes, read it as a label map.`,
      );
    }
  }
  const above = threshold ?? 0;
  const data = new Uint8Array(values.length);
  for (let i = 0; i < data.length; i++) data[i] = values[i]! > above ? 1 : 0;
  return { width, height, data };
}

/** A label map and the class codes in it, ascending, background included if present. */
export type LoadedLabelMap = LabelMap & { readonly ids: readonly number[] };

/**
 * Class codes exactly as stored: palette indices or grey samples (also of 1, 2 and 4 bit), 0..255. Colours, profiles and
 * transparency play no part. RGB is accepted where the three channels agree.
 */
export async function readLabelMap(path: string, options: DecodeOptions = {}): Promise<LoadedLabelMap> {
  const who = `readLabelMap(${path})`;
  const { info, width, height, channels, samples } = await decodeRaster(who, path, 'stored', options);
  if (info.format === 'jpeg') {
    throw new DataError(
      `${who}: JPEG changes values; allowed for class codes: PNG, TIFF: export it from the original.`,
    );
  }
  // libvips spreads 1-, 2- and 4-bit grey over 0..255.
  const step =
    info.bitsPerSample < 8 && !(info.format === 'png' && info.isPalette)
      ? 255 / (2 ** info.bitsPerSample - 1)
      : 1;
  const data = new Uint8Array(width * height);
  for (let i = 0; i < data.length; i++) {
    const value = samples[i * channels]! / step;
    if (channels === 3 && (samples[i * 3 + 1] !== samples[i * 3] || samples[i * 3 + 2] !== samples[i * 3])) {
      throw new DataError(
        `${who}: a colour at x = ${i % width}, y = ${Math.floor(i / width)}; allowed: grey values or a palette: map colours to class numbers first.`,
      );
    }
    if (!(Number.isInteger(value) && value >= 0 && value <= 255)) {
      throw new DataError(
        `${who}: value ${value} at x = ${i % width}, y = ${Math.floor(i / width)}; allowed: whole numbers 0..255.`,
      );
    }
    data[i] = value;
  }
  return { width, height, data, ids: distinctValues(data, 256) };
}

/** Foreground as 255 in an 8-bit grey PNG. */
export async function writeMaskPng(path: string, mask: Mask): Promise<void> {
  const who = `writeMaskPng(${path})`;
  const wrong = mask.data.find((v) => v > 1);
  if (wrong !== undefined) throw new UsageError(`${who}: a mask value of ${wrong}; allowed: 0 and 1.`);
  await writePng(
    who,
    path,
    mask,
    1,
    mask.data.map((v) => v * 255),
  );
}

/** Class codes as grey values of an 8-bit PNG. */
export async function writeLabelMapPng(path: string, labels: LabelMap): Promise<void> {
  await writePng(`writeLabelMapPng(${path})`, path, labels, 1, labels.data);
}

export async function writeImagePng(path: string, image: Image): Promise<void> {
  await writePng(`writeImagePng(${path})`, path, image, image.channels, image.data);
}

/** The bytes of an 8-bit PNG, for a file or a page. */
export async function encodePng({ width, height, channels, data }: Image): Promise<Uint8Array> {
  const encoder = sharp(data, { raw: { width, height, channels } }).toColourspace(
    channels === 1 ? 'b-w' : 'srgb',
  );
  return encoder.png({ compressionLevel: 6 }).toBuffer();
}

async function writePng(
  who: string,
  path: string,
  { width, height }: Size,
  channels: 1 | 3,
  data: Uint8Array,
): Promise<void> {
  if (data.length !== width * height * channels || data.length === 0) {
    throw new UsageError(
      `${who}: ${data.length} values for ${width} x ${height} x ${channels}; allowed: one for each.`,
    );
  }
  await writeFileAtomic(path, await encodePng({ width, height, channels, data }));
}

/** Samples times opacity; rounded for integers. */
function overBlack({ samples, alpha, channels }: Decoded): SampleArray {
  if (alpha === undefined) return samples;
  const opaque = alpha instanceof Uint8Array ? 255 : 65535;
  return samples.map((value, i) =>
    Math.floor((value * alpha[Math.floor(i / channels)]!) / opaque + 0.5),
  ) as SampleArray;
}

function brightest(samples: SampleArray, channels: 1 | 3): SampleArray {
  if (channels === 1) return samples;
  const out = samples.slice(0, samples.length / 3);
  for (let i = 0; i < out.length; i++) {
    out[i] = Math.max(samples[3 * i]!, samples[3 * i + 1]!, samples[3 * i + 2]!);
  }
  return out;
}

/** Ascending; stops looking after `limit` different ones. */
function distinctValues(values: SampleArray, limit: number): number[] {
  const found = new Set<number>();
  for (const value of values) {
    found.add(value);
    if (found.size >= limit) break;
  }
  return [...found].sort((a, b) => a - b);
}

function fullRange({ sampleType, bitsPerSample }: RasterInfo): [number, number] {
  if (sampleType === 'float') return [0, 1];
  return sampleType === 'signed'
    ? [-(2 ** (bitsPerSample - 1)), 2 ** (bitsPerSample - 1) - 1]
    : [0, 2 ** bitsPerSample - 1];
}
