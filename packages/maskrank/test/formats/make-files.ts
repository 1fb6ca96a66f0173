// Writes PNG and TIFF files of any bit depth and colour type, uncompressed or deflated, for the reader's tests: an encoder
// of its own, so that reader and writer cannot share a mistake.

import { crc32, deflateSync } from 'node:zlib';

type Samples = { readonly width: number; readonly height: number; readonly values: readonly number[] };

export type PngOptions = Samples & {
  readonly bitDepth: 1 | 2 | 4 | 8 | 16;
  /** 0 grey, 2 RGB, 3 palette, 4 grey + alpha, 6 RGBA. */
  readonly colourType: 0 | 2 | 3 | 4 | 6;
  readonly palette?: readonly (readonly [number, number, number])[];
  /** Other chunks before the pixel data, such as tRNS or iCCP. */
  readonly chunks?: readonly (readonly [name: string, data: Uint8Array])[];
};

const CHANNELS = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 } as const;

export function makePng(options: PngOptions): Buffer {
  const { width, height, bitDepth, colourType } = options;
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([bitDepth, colourType, 0, 0, 0], 8);
  const perRow = width * CHANNELS[colourType];
  const rows = Array.from({ length: height }, (_, y) => {
    const row = packBits(options.values.slice(y * perRow, (y + 1) * perRow), bitDepth);
    return Buffer.concat([Buffer.of(0), row]);
  });
  return Buffer.concat([
    Buffer.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a),
    chunk('IHDR', header),
    ...(options.palette ? [chunk('PLTE', Buffer.from(options.palette.flat()))] : []),
    ...(options.chunks ?? []).map(([name, data]) => chunk(name, data)),
    chunk('IDAT', deflateSync(Buffer.concat(rows))),
    chunk('IEND', Buffer.alloc(0)),
  ]);
}

function chunk(name: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(name, 'latin1'), data]);
  const frame = Buffer.alloc(8);
  frame.writeUInt32BE(data.length, 0);
  frame.writeUInt32BE(crc32(body), 4);
  return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
}

/** Big-endian samples, whole bytes at the end of the row. */
function packBits(values: readonly number[], bits: number): Buffer {
  if (bits === 16) return Buffer.from(values.flatMap((v) => [v >> 8, v & 255]));
  const out = Buffer.alloc(Math.ceil((values.length * bits) / 8));
  values.forEach((v, i) => {
    const at = i * bits;
    out[at >> 3]! |= v << (8 - bits - (at & 7));
  });
  return out;
}

export type TiffOptions = Samples & {
  readonly bits: 1 | 4 | 8 | 16 | 32;
  /** 1 unsigned, 2 signed, 3 float. Default 1. */
  readonly sampleFormat?: 1 | 2 | 3;
  /** 0 white is zero, 1 black is zero, 2 RGB, 3 palette. */
  readonly photometric: 0 | 1 | 2 | 3;
  readonly samplesPerPixel?: number;
  /** 256 (or 2^bits) entries per channel, 16-bit. */
  readonly palette?: readonly (readonly [number, number, number])[];
  readonly orientation?: number;
  /** Extra samples: 1 associated alpha, 2 unassociated alpha. */
  readonly extraSample?: 1 | 2;
  readonly pages?: number;
};

export function makeTiff(options: TiffOptions): Buffer {
  const { width, height, bits, samplesPerPixel = 1, sampleFormat = 1, photometric } = options;
  const perRow = width * samplesPerPixel;
  const pixels = Buffer.concat(
    Array.from({ length: height }, (_, y) =>
      tiffRow(options.values.slice(y * perRow, (y + 1) * perRow), bits, sampleFormat),
    ),
  );
  const parts: Buffer[] = [Buffer.from('II*\0\0\0\0\0', 'latin1')];
  let offset = 8;
  const append = (data: Buffer): number => {
    const at = offset;
    const padded = data.length % 2 === 0 ? data : Buffer.concat([data, Buffer.alloc(1)]);
    parts.push(padded);
    offset += padded.length;
    return at;
  };
  const shorts = (values: readonly number[]): Buffer => {
    const out = Buffer.alloc(values.length * 2);
    values.forEach((v, i) => {
      out.writeUInt16LE(v, i * 2);
    });
    return out;
  };
  const pixelsAt = append(pixels);
  const tags: [tag: number, type: 3 | 4, values: number[]][] = [
    [256, 4, [width]],
    [257, 4, [height]],
    [258, 3, new Array<number>(samplesPerPixel).fill(bits)],
    [259, 3, [1]],
    [262, 3, [photometric]],
    [273, 4, [pixelsAt]],
    [274, 3, [options.orientation ?? 1]],
    [277, 3, [samplesPerPixel]],
    [278, 4, [height]],
    [279, 4, [pixels.length]],
    [284, 3, [1]],
  ];
  if (options.palette) {
    const { palette } = options;
    tags.push([320, 3, [0, 1, 2].flatMap((c) => palette.map((entry) => entry[c as 0 | 1 | 2] * 257))]);
  }
  if (options.extraSample) tags.push([338, 3, [options.extraSample]]);
  tags.push([339, 3, new Array<number>(samplesPerPixel).fill(sampleFormat)]);
  const entries = tags.map(([tag, type, values]) => {
    const entry = Buffer.alloc(12);
    entry.writeUInt16LE(tag, 0);
    entry.writeUInt16LE(type, 2);
    entry.writeUInt32LE(values.length, 4);
    const size = values.length * (type === 3 ? 2 : 4);
    if (size > 4) entry.writeUInt32LE(append(shorts(values)), 8);
    else if (type === 3) shorts(values).copy(entry, 8);
    else entry.writeUInt32LE(values[0]!, 8);
    return entry;
  });
  const pages = options.pages ?? 1;
  const directorySize = 2 + entries.length * 12 + 4;
  parts[0]!.writeUInt32LE(offset, 4);
  for (let page = 0; page < pages; page++) {
    const frame = Buffer.alloc(6);
    frame.writeUInt16LE(entries.length, 0);
    frame.writeUInt32LE(page + 1 < pages ? offset + directorySize : 0, 2);
    append(Buffer.concat([frame.subarray(0, 2), ...entries, frame.subarray(2)]));
  }
  return Buffer.concat(parts);
}

function tiffRow(values: readonly number[], bits: number, sampleFormat: number): Buffer {
  if (bits < 16)
    return packBits(
      values.map((v) => v & 255),
      bits,
    );
  const out = Buffer.alloc((values.length * bits) / 8);
  const view = new DataView(out.buffer, out.byteOffset);
  values.forEach((v, i) => {
    if (bits === 16) view.setInt16(i * 2, v, true);
    else if (sampleFormat === 3) view.setFloat32(i * 4, v, true);
    else view.setInt32(i * 4, v, true);
  });
  return out;
}
