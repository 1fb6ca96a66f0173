// Reading and writing images, masks and label maps: exact values in every bit depth, and errors a person can act on.

import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataError } from '@maskrank/torch/errors';
import fc from 'fast-check';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  probeImage,
  readImage,
  readLabelMap,
  readMask,
  writeImagePng,
  writeLabelMapPng,
  writeMaskPng,
} from '../../src/formats/raster.ts';
import { makePng, makeTiff, type PngOptions, type TiffOptions } from './make-files.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'maskrank-raster-'));
});
afterAll(() => rm(folder, { recursive: true }));

let files = 0;
async function file(bytes: Uint8Array, name = 'x.png'): Promise<string> {
  const path = join(folder, `${files++}-${name}`);
  await writeFile(path, bytes);
  return path;
}
const png = (options: Omit<PngOptions, 'height'>): Promise<string> =>
  file(makePng({ height: 1, ...options }));
const tiff = (options: Omit<TiffOptions, 'height'>): Promise<string> =>
  file(makeTiff({ height: 1, ...options }), 'x.tif');

const COLOURS = [
  [0, 0, 0],
  [255, 0, 0],
  [0, 255, 0],
  [200, 200, 200],
] as const;
const palette = (entries: number) =>
  Array.from({ length: entries }, (_, i) => COLOURS[i] ?? ([9, 9, 9] as const));

describe('readImage', () => {
  it('keeps 8-bit values, grey and RGB, whatever profile or gamma is embedded', async () => {
    const gamma = [['gAMA', Buffer.of(0, 0, 0x80, 0)]] as const;
    const grey = await readImage(
      await png({ width: 4, bitDepth: 8, colourType: 0, values: [0, 1, 128, 255], chunks: gamma }),
    );
    expect([grey.channels, ...grey.data]).toEqual([1, 0, 1, 128, 255]);
    expect(grey.conversion.intensity).toBeUndefined();
    const profile = await sharp({
      create: { width: 2, height: 1, channels: 3, background: { r: 200, g: 30, b: 60 } },
    })
      .withIccProfile('p3')
      .png()
      .toBuffer();
    const stored = (await sharp(profile, { ignoreIcc: true }).raw().toBuffer()).subarray(0, 3);
    const colour = await readImage(await file(profile));
    expect([colour.channels, ...colour.data.subarray(0, 3)]).toEqual([3, ...stored]);
  });

  it('spreads 1, 2 and 4 bit, shows palettes in colour, and reads white-is-zero the right way round', async () => {
    for (const [bitDepth, expected] of [
      [1, [0, 255, 255, 0]],
      [2, [0, 85, 255, 170]],
      [4, [0, 17, 255, 34]],
    ] as const) {
      const values = [0, 1, 2 ** bitDepth - 1, bitDepth === 1 ? 0 : 2];
      const image = await readImage(await png({ width: 4, bitDepth, colourType: 0, values }));
      expect([...image.data]).toEqual(expected);
    }
    const indexed = await readImage(
      await png({ width: 2, bitDepth: 8, colourType: 3, palette: palette(4), values: [1, 3] }),
    );
    expect([indexed.channels, ...indexed.data]).toEqual([3, 255, 0, 0, 200, 200, 200]);
    expect(indexed.conversion.isPalette).toBe(true);
    const inverted = await readImage(await tiff({ width: 3, bits: 8, photometric: 0, values: [0, 1, 255] }));
    expect([...inverted.data]).toEqual([255, 254, 0]);
  });

  it('converts 16 bit by the rule asked for and records it', async () => {
    const path = await png({ width: 5, bitDepth: 16, colourType: 0, values: [100, 1100, 2100, 4100, 4100] });
    const byRange = await readImage(path);
    expect([...byRange.data]).toEqual([0, 64, 128, 255, 255]);
    expect(byRange.conversion.intensity).toEqual({ rule: 'min-max', low: 100, high: 4100 });
    const full = await readImage(path, { intensity: { rule: 'full-range' } });
    expect([...full.data]).toEqual([0, 4, 8, 16, 16]);
    const cut = await readImage(path, { intensity: { rule: 'percentile', percentiles: [25, 75] } });
    expect([...cut.data]).toEqual([0, 0, 85, 255, 255]);
    const constant = await readImage(
      await png({ width: 2, bitDepth: 16, colourType: 0, values: [777, 777] }),
    );
    expect([...constant.data]).toEqual([0, 0]);
    const rgb = await readImage(
      await png({ width: 2, bitDepth: 16, colourType: 2, values: [0, 100, 200, 300, 400, 510] }),
    );
    expect([rgb.channels, ...rgb.data]).toEqual([3, 0, 50, 100, 150, 200, 255]);
  });

  it('reads signed 16-bit, float and 32-bit integer TIFF without clipping', async () => {
    const hounsfield = await tiff({
      width: 4,
      bits: 16,
      sampleFormat: 2,
      photometric: 1,
      values: [-1000, 0, 40, 1000],
    });
    expect((await readImage(hounsfield)).conversion.intensity).toMatchObject({ low: -1000, high: 1000 });
    expect([...(await readImage(hounsfield)).data]).toEqual([0, 128, 133, 255]);
    const float = await tiff({
      width: 4,
      bits: 32,
      sampleFormat: 3,
      photometric: 1,
      values: [-1.5, Number.NaN, 0.5, Infinity],
    });
    expect([...(await readImage(float)).data]).toEqual([0, 0, 255, 255]);
    expect([...(await readImage(float, { intensity: { rule: 'full-range' } })).data]).toEqual([
      0, 0, 128, 255,
    ]);
    const rgb = await tiff({
      width: 1,
      bits: 32,
      sampleFormat: 3,
      photometric: 2,
      samplesPerPixel: 3,
      values: [-1, 0, 1],
    });
    expect([...(await readImage(rgb)).data]).toEqual([0, 128, 255]);
    const wide = await tiff({ width: 2, bits: 32, sampleFormat: 1, photometric: 1, values: [0, 70000] });
    expect((await readImage(wide)).conversion.intensity).toMatchObject({ low: 0, high: 70000 });
  });

  it('mixes transparency with black and says so', async () => {
    for (const [colourType, values, expected] of [
      [6, [10, 20, 30, 255, 100, 101, 200, 128], [10, 20, 30, 50, 51, 100]],
      [4, [10, 255, 100, 128], [10, 50]],
    ] as const) {
      const image = await readImage(await png({ width: 2, bitDepth: 8, colourType, values }));
      expect([...image.data]).toEqual(expected);
      expect(image.conversion).toMatchObject({ alphaOverBlack: true, hasAlpha: true });
    }
    const deep = await readImage(
      await png({ width: 2, bitDepth: 16, colourType: 4, values: [1000, 65535, 1000, 0] }),
      { intensity: { rule: 'full-range' } },
    );
    expect([...deep.data]).toEqual([4, 0]);
  });

  it('applies the orientation, or leaves it', async () => {
    const path = await file(
      makeTiff({ width: 3, height: 2, bits: 8, photometric: 1, orientation: 6, values: [1, 2, 3, 4, 5, 6] }),
      'x.tif',
    );
    const turned = await readImage(path);
    expect([turned.width, turned.height, ...turned.data]).toEqual([2, 3, 4, 1, 5, 2, 6, 3]);
    expect(turned.conversion.orientation).toBe(6);
    expect(await probeImage(path)).toMatchObject({ width: 2, height: 3, orientation: 6 });
    const stored = await readImage(path, { orientation: 'ignore' });
    expect([stored.width, stored.height, ...stored.data]).toEqual([3, 2, 1, 2, 3, 4, 5, 6]);
  });

  it('reads JPEG in grey, colour and CMYK', async () => {
    const flat = sharp({
      create: { width: 16, height: 8, channels: 3, background: { r: 200, g: 30, b: 60 } },
    });
    const colour = await readImage(await file(await flat.clone().jpeg().toBuffer(), 'x.jpg'));
    expect([colour.width, colour.height, colour.channels]).toEqual([16, 8, 3]);
    expect(Math.abs(colour.data[0]! - 200)).toBeLessThan(3);
    const grey = await readImage(
      await file(await flat.clone().toColourspace('b-w').jpeg().toBuffer(), 'x.jpg'),
    );
    expect([grey.channels, grey.data.length]).toEqual([1, 128]);
    const cmyk = await readImage(
      await file(await flat.clone().toColourspace('cmyk').jpeg().toBuffer(), 'x.jpg'),
    );
    expect([cmyk.channels, cmyk.conversion.channels]).toEqual([3, 4]);
  });
});

describe('bad files', () => {
  const whole = makePng({
    width: 64,
    height: 64,
    bitDepth: 8,
    colourType: 0,
    values: Array.from({ length: 4096 }, (_, i) => (i * 37) % 251),
  });
  const flipped = Buffer.from(whole);
  flipped[60]! ^= 0xff;
  const cases: [string, Uint8Array, RegExp][] = [
    ['empty', new Uint8Array(0), /empty \(0 bytes\)/],
    ['text', Buffer.from('not an image at all'), /begins with 0x6e6f7420.*allowed: PNG, JPEG, TIFF/],
    ['GIF', Buffer.from('GIF89a000000000000'), /allowed: PNG, JPEG, TIFF/],
    ['header only', whole.subarray(0, 30), /damaged or truncated/],
    ['truncated', whole.subarray(0, whole.length >> 1), /damaged or truncated/],
    ['flipped', flipped, /damaged or truncated/],
    [
      'several pages',
      makeTiff({ width: 2, height: 1, bits: 8, photometric: 1, values: [1, 2], pages: 3 }),
      /3 pages; allowed: 1/,
    ],
  ];
  it.each(cases)('%s: one DataError that names the file', async (_, bytes, message) => {
    const path = await file(bytes);
    for (const read of [readImage, readMask, readLabelMap]) {
      const error = await read(path).then(
        () => undefined,
        (e: unknown) => e,
      );
      expect(error).toBeInstanceOf(DataError);
      expect((error as Error).message).toMatch(message);
      expect((error as Error).message).toContain(path);
      expect((error as Error).message).not.toContain('\n');
    }
  });

  it('a truncated JPEG is not filled with grey', async () => {
    const noise = Uint8Array.from({ length: 200 * 200 }, (_, i) => (i * i * 31) % 256);
    const jpeg = await sharp(noise, { raw: { width: 200, height: 200, channels: 1 } })
      .jpeg()
      .toBuffer();
    await expect(readImage(await file(jpeg.subarray(0, jpeg.length >> 1), 'x.jpg'))).rejects.toThrow(
      /damaged or truncated/,
    );
  });

  it('missing files, folders, and limits', async () => {
    await expect(readImage(join(folder, 'none.png'))).rejects.toThrow(/none\.png\): no such file/);
    await expect(readImage(folder)).rejects.toThrow(/not a file/);
    const path = await file(whole);
    await expect(readImage(path, { maxPixels: 4095 })).rejects.toThrow(
      /4096 pixels; allowed up to 4095|cannot be decoded/,
    );
    await expect(probeImage(path, { maxFileBytes: 10 })).rejects.toThrow(/bytes; allowed up to 10/);
  });
});

describe('readMask', () => {
  it('takes 0/1 and 0/255, in any depth', async () => {
    for (const path of [
      await png({ width: 4, bitDepth: 8, colourType: 0, values: [0, 1, 1, 0] }),
      await png({ width: 4, bitDepth: 8, colourType: 0, values: [0, 255, 255, 0] }),
      await png({ width: 4, bitDepth: 1, colourType: 0, values: [0, 1, 1, 0] }),
      await png({ width: 4, bitDepth: 16, colourType: 0, values: [0, 65535, 65535, 0] }),
      await png({ width: 4, bitDepth: 8, colourType: 3, palette: palette(2), values: [0, 1, 1, 0] }),
      await png({ width: 4, bitDepth: 8, colourType: 2, values: [0, 0, 0, 9, 0, 0, 9, 0, 0, 0, 0, 0] }),
      await png({ width: 4, bitDepth: 8, colourType: 4, values: [255, 0, 255, 255, 255, 255, 255, 0] }),
      await tiff({ width: 4, bits: 1, photometric: 1, values: [0, 1, 1, 0] }),
      await tiff({ width: 4, bits: 1, photometric: 0, values: [1, 0, 0, 1] }),
      await tiff({ width: 4, bits: 32, sampleFormat: 3, photometric: 1, values: [0, 1, 1, 0] }),
    ]) {
      expect([...(await readMask(path)).data]).toEqual([0, 1, 1, 0]);
    }
  });

  it('refuses smoothed edges and class codes without a threshold', async () => {
    const path = await png({ width: 4, bitDepth: 8, colourType: 0, values: [0, 3, 200, 255] });
    await expect(readMask(path)).rejects.toThrow(/values 0, 3, 200, 255; allowed: 0 and one other/);
    expect([...(await readMask(path, { threshold: 127 })).data]).toEqual([0, 0, 1, 1]);
  });
});

describe('readLabelMap', () => {
  it('gives stored codes: palette indices, small grey, inverted and 16-bit files', async () => {
    const transparent = [['tRNS', Buffer.of(0, 0, 255, 255)]] as const;
    for (const path of [
      await png({
        width: 4,
        bitDepth: 8,
        colourType: 3,
        palette: palette(256),
        values: [0, 1, 2, 3],
        chunks: transparent,
      }),
      await png({ width: 4, bitDepth: 8, colourType: 3, palette: palette(4), values: [0, 1, 2, 3] }),
      await png({ width: 4, bitDepth: 4, colourType: 3, palette: palette(16), values: [0, 1, 2, 3] }),
      await png({ width: 4, bitDepth: 2, colourType: 3, palette: palette(4), values: [0, 1, 2, 3] }),
      await png({ width: 4, bitDepth: 8, colourType: 0, values: [0, 1, 2, 3] }),
      await png({ width: 4, bitDepth: 4, colourType: 0, values: [0, 1, 2, 3] }),
      await png({ width: 4, bitDepth: 2, colourType: 0, values: [0, 1, 2, 3] }),
      await png({ width: 4, bitDepth: 16, colourType: 0, values: [0, 1, 2, 3] }),
      await png({ width: 4, bitDepth: 8, colourType: 4, values: [0, 0, 1, 0, 2, 9, 3, 255] }),
      await png({ width: 4, bitDepth: 8, colourType: 2, values: [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3] }),
      await tiff({ width: 4, bits: 8, photometric: 3, palette: palette(256), values: [0, 1, 2, 3] }),
      await tiff({ width: 4, bits: 4, photometric: 3, palette: palette(16), values: [0, 1, 2, 3] }),
      await tiff({ width: 4, bits: 8, photometric: 0, values: [0, 1, 2, 3] }),
      await tiff({ width: 4, bits: 16, photometric: 1, values: [0, 1, 2, 3] }),
      await tiff({ width: 4, bits: 16, sampleFormat: 2, photometric: 1, values: [0, 1, 2, 3] }),
      await tiff({ width: 4, bits: 32, sampleFormat: 3, photometric: 1, values: [0, 1, 2, 3] }),
    ]) {
      const map = await readLabelMap(path);
      expect([...map.data]).toEqual([0, 1, 2, 3]);
      expect(map.ids).toEqual([0, 1, 2, 3]);
    }
  });

  it('is exact for every code, with a palette of misleading colours', async () => {
    const values = Array.from({ length: 256 }, (_, i) => i);
    const scrambled = values.map((i) => [(i * 7) % 256, 255 - i, i % 3] as const);
    for (const path of [
      await png({ width: 256, bitDepth: 8, colourType: 3, palette: scrambled, values }),
      await png({ width: 256, bitDepth: 8, colourType: 0, values }),
      await tiff({ width: 256, bits: 8, photometric: 3, palette: scrambled, values }),
    ]) {
      expect([...(await readLabelMap(path)).data]).toEqual(values);
    }
  });

  it('refuses colours, JPEG and codes beyond 255', async () => {
    const rgb = await png({ width: 2, bitDepth: 8, colourType: 2, values: [0, 0, 0, 255, 0, 0] });
    await expect(readLabelMap(rgb)).rejects.toThrow(
      /a colour at x = 1, y = 0; allowed: grey values or a palette/,
    );
    const wide = await png({ width: 2, bitDepth: 16, colourType: 0, values: [0, 256] });
    await expect(readLabelMap(wide)).rejects.toThrow(
      /value 256 at x = 1, y = 0; allowed: whole numbers 0\.\.255/,
    );
    const jpeg = await sharp({ create: { width: 8, height: 8, channels: 3, background: 'black' } })
      .jpeg()
      .toBuffer();
    await expect(readLabelMap(await file(jpeg, 'x.jpg'))).rejects.toThrow(/JPEG changes values/);
  });
});

describe('writing', () => {
  const sizes = fc.record({
    width: fc.integer({ min: 1, max: 40 }),
    height: fc.integer({ min: 1, max: 40 }),
  });
  const raster = (perPixel: number, max: number) =>
    sizes.chain((size) => {
      const length = size.width * size.height * perPixel;
      return fc.uint8Array({ minLength: length, maxLength: length, max }).map((data) => ({ ...size, data }));
    });

  it('gives masks, label maps and images back bit for bit', async () => {
    const path = join(folder, 'round.png');
    await fc.assert(
      fc.asyncProperty(raster(1, 1), async (mask) => {
        await writeMaskPng(path, mask);
        expect(await readMask(path)).toEqual(mask);
      }),
      { numRuns: 40 },
    );
    await fc.assert(
      fc.asyncProperty(raster(1, 255), async (labels) => {
        await writeLabelMapPng(path, labels);
        const { ids, ...back } = await readLabelMap(path);
        expect(back).toEqual(labels);
        expect(ids).toEqual([...new Set(labels.data)].sort((a, b) => a - b));
      }),
      { numRuns: 40 },
    );
    for (const channels of [1, 3] as const) {
      await fc.assert(
        fc.asyncProperty(raster(channels, 255), async (image) => {
          await writeImagePng(path, { ...image, channels });
          const { conversion, ...back } = await readImage(path);
          expect(back).toEqual({ ...image, channels });
          expect(conversion.bitsPerSample).toBe(8);
        }),
        { numRuns: 30 },
      );
    }
  });

  it('gives masks back bit for bit from TIFF and from 1-bit files', async () => {
    await fc.assert(
      fc.asyncProperty(raster(1, 1), async ({ width, height, data }) => {
        const values = [...data];
        for (const path of [
          await file(makePng({ width, height, bitDepth: 1, colourType: 0, values })),
          await file(makeTiff({ width, height, bits: 1, photometric: 1, values })),
          await file(makeTiff({ width, height, bits: 8, photometric: 1, values })),
          await file(
            await sharp(
              data.map((v) => v * 255),
              { raw: { width, height, channels: 1 } },
            )
              .tiff({ compression: 'lzw' })
              .toBuffer(),
          ),
        ]) {
          expect((await readMask(path)).data).toEqual(data);
          await rm(path);
        }
      }),
      { numRuns: 15 },
    );
  });

  it('writes masks as 0 and 255, refuses other values and wrong sizes, and leaves nothing behind', async () => {
    const path = join(folder, 'mask.png');
    await writeMaskPng(path, { width: 2, height: 1, data: Uint8Array.of(0, 1) });
    expect([...(await readImage(path)).data]).toEqual([0, 255]);
    await expect(writeMaskPng(path, { width: 2, height: 1, data: Uint8Array.of(0, 2) })).rejects.toThrow(
      /mask value of 2/,
    );
    await expect(writeMaskPng(path, { width: 2, height: 2, data: Uint8Array.of(0, 1) })).rejects.toThrow(
      /2 values for 2 x 2/,
    );
    expect([...(await readImage(path)).data]).toEqual([0, 255]);
    expect((await readdir(folder)).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });
});
