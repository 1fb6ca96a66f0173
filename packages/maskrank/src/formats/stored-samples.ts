// Makes decoders return samples as they are stored. Decoders show palette files in their colours, turn white-is-zero upside
// down and cut negative values off; for class codes and signed values that destroys the data. The header is edited instead,
// in memory: a palette becomes the identity, a TIFF's tags say "plain unsigned grey". Pixel data stay untouched.
// Sources: PNG specification (third edition) 5, 11.2.2; TIFF 6.0, BigTIFF.

import { crc32 } from 'node:zlib';

/** Colour and transparency of a palette PNG: without them its indices are plain values. */
const COLOUR_CHUNKS = new Set(['tRNS', 'iCCP', 'sRGB', 'gAMA', 'cHRM', 'cICP', 'hIST', 'sPLT', 'bKGD']);
const SIGNATURE_LENGTH = 8;

/** The same PNG with every palette index showing as the grey value of the index; other PNGs come back as they are. */
export function withIdentityPalette(png: Uint8Array): Uint8Array {
  const bytes = Buffer.from(png.buffer, png.byteOffset, png.byteLength);
  if (bytes.length < 33 || bytes[25] !== 3) return png;
  const entries = 1 << bytes[24]!;
  const palette = Buffer.from(Array.from({ length: entries }, (_, i) => [i, i, i]).flat());
  const parts: Buffer[] = [bytes.subarray(0, SIGNATURE_LENGTH)];
  for (let at = SIGNATURE_LENGTH; at + 12 <= bytes.length; ) {
    const end = Math.min(bytes.length, at + 12 + bytes.readUInt32BE(at));
    const name = bytes.toString('latin1', at + 4, at + 8);
    if (name === 'PLTE') parts.push(pngChunk(name, palette));
    else if (!COLOUR_CHUNKS.has(name)) parts.push(bytes.subarray(at, end));
    at = end;
  }
  return Buffer.concat(parts);
}

function pngChunk(name: string, data: Buffer): Buffer {
  const out = Buffer.alloc(data.length + 12);
  out.writeUInt32BE(data.length, 0);
  out.write(name, 4, 'latin1');
  data.copy(out, 8);
  out.writeUInt32BE(crc32(out.subarray(4, 8 + data.length)), 8 + data.length);
  return out;
}

const TAG_PHOTOMETRIC = 262;
const TAG_SAMPLE_FORMAT = 339;
const BLACK_IS_ZERO = 1;
const UNSIGNED = 1;
const SIGNED = 2;

/**
 * The same TIFF with its first page declared as unsigned grey, black is zero, if it has one sample a pixel: palette
 * indices, inverted values and the bits of signed values then come out of a decoder as they are stored.
 */
export function asPlainGreyTiff(tiff: Uint8Array): Uint8Array {
  const copy = Buffer.from(tiff);
  for (const entry of firstDirectory(copy)) {
    if (entry.tag === TAG_PHOTOMETRIC && [0, 1, 3].includes(entry.value)) entry.write(BLACK_IS_ZERO);
    if (entry.tag === TAG_SAMPLE_FORMAT && entry.count === 1 && entry.value === SIGNED) entry.write(UNSIGNED);
  }
  return copy;
}

type DirectoryEntry = {
  readonly tag: number;
  readonly count: number;
  /** First 16 bits of the value field: the value itself for a single SHORT. */
  readonly value: number;
  readonly write: (value: number) => void;
};

/** Entries of the first directory of a classic or big TIFF, of either byte order; none where it does not fit the file. */
function firstDirectory(bytes: Buffer): DirectoryEntry[] {
  const little = bytes[0] === 0x49;
  const u16 = (at: number): number => (little ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at));
  const u32 = (at: number): number => (little ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at));
  const u64 = (at: number): number => Number(little ? bytes.readBigUInt64LE(at) : bytes.readBigUInt64BE(at));
  if (bytes.length < 16) return [];
  const big = u16(2) === 43;
  const start = big ? u64(8) : u32(4);
  const [head, size, valueAt] = big ? [8, 20, 12] : [2, 12, 8];
  if (start + head > bytes.length) return [];
  const count = big ? u64(start) : u16(start);
  if (start + head + count * size > bytes.length) return [];
  return Array.from({ length: count }, (_, i) => {
    const at = start + head + i * size;
    return {
      tag: u16(at),
      count: big ? u64(at + 4) : u32(at + 4),
      value: u16(at + valueAt),
      write: (value) => {
        if (little) bytes.writeUInt16LE(value, at + valueAt);
        else bytes.writeUInt16BE(value, at + valueAt);
      },
    };
  });
}
