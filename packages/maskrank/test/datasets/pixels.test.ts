import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { encodeSourceImage, readSourceImage, readSourceMask } from '../../src/datasets/importers/pixels.ts';
import { readImage } from '../../src/formats/raster.ts';
import { file, messageOf, picture, scratch, square, texture } from './tree.ts';

const dir = scratch();

/** An uncompressed grey TIFF of 8 x 8 float or signed 16-bit samples (TIFF 6.0: one strip after the directory). */
function greyTiff(samples: Float32Array | Int16Array): Buffer {
  const bits = samples.BYTES_PER_ELEMENT * 8;
  const sampleFormat = samples instanceof Float32Array ? 3 : 2;
  const tags: [number, number][] = [
    [256, 8],
    [257, 8],
    [258, bits],
    [259, 1],
    [262, 1],
    [273, 8 + 2 + 10 * 12 + 4],
    [277, 1],
    [278, 8],
    [279, samples.byteLength],
    [339, sampleFormat],
  ];
  const head = Buffer.alloc(8 + 2 + 10 * 12 + 4);
  head.write('II*\0', 'latin1');
  head.writeUInt32LE(8, 4);
  head.writeUInt16LE(tags.length, 8);
  tags.forEach(([tag, value], i) => {
    head.writeUInt16LE(tag, 10 + i * 12);
    head.writeUInt16LE(tag === 273 || tag === 279 ? 4 : 3, 12 + i * 12);
    head.writeUInt32LE(1, 14 + i * 12);
    head.writeUInt32LE(value, 18 + i * 12);
  });
  return Buffer.concat([head, Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength)]);
}

describe('readSourceImage', () => {
  it('keeps 8- and 16-bit PNG and JPEG as they are', async () => {
    await picture(`${dir}/a.png`, 9, 7, texture(1));
    await picture(`${dir}/b.png`, 9, 7, (x, y) => 300 * x + y, { depth: 16 });
    await picture(`${dir}/c.jpg`, 9, 7, texture(1), { format: 'jpeg', channels: 3 });
    expect(await readSourceImage(`${dir}/a.png`)).toMatchObject({ keep: '.png', conversion: undefined });
    expect(await readSourceImage(`${dir}/c.jpg`)).toMatchObject({ keep: '.jpg', conversion: undefined });
    const { image, keep } = await readSourceImage(`${dir}/b.png`);
    expect(keep).toBe('.png');
    expect([...image.data.slice(0, 3)]).toEqual([0, 300, 600]);
  });

  it('converts TIFF to PNG without loss, in 8 and 16 bit and in colour', async () => {
    for (const [name, options] of [
      ['t8', { format: 'tiff' }],
      ['t16', { format: 'tiff', depth: 16 }],
      ['t16c', { format: 'tiff', depth: 16, channels: 3 }],
    ] as const) {
      await picture(`${dir}/${name}.tif`, 9, 7, (x, y) => ('depth' in options ? 3000 : 10) * x + y, options);
      const source = await readSourceImage(`${dir}/${name}.tif`);
      expect(source.keep).toBeUndefined();
      expect(source.conversion).toBe('TIFF: written as PNG');
      file(`${dir}/${name}.png`, await encodeSourceImage(source.image));
      const back = await readSourceImage(`${dir}/${name}.png`);
      expect(back.image).toEqual(source.image);
      expect(back.keep).toBe('.png');
    }
  });

  it('scales float TIFF to 16 bit and says so; the 8-bit picture stays the same', async () => {
    file(`${dir}/f.tif`, greyTiff(Float32Array.from({ length: 64 }, (_, i) => i / 7 - 3)));
    const source = await readSourceImage(`${dir}/f.tif`);
    expect(source.conversion).toBe(
      'TIFF, 32-bit float samples scaled from their range to 16 bit: written as PNG',
    );
    file(`${dir}/f.png`, await encodeSourceImage(source.image));
    expect((await readImage(`${dir}/f.png`)).data).toEqual((await readImage(`${dir}/f.tif`)).data);
  });

  it('shifts signed 16-bit TIFF without loss and says so', async () => {
    file(`${dir}/s.tif`, greyTiff(Int16Array.from({ length: 64 }, (_, i) => i * 50 - 1024)));
    const source = await readSourceImage(`${dir}/s.tif`);
    expect(source.conversion).toBe('TIFF, signed samples shifted by 32768: written as PNG');
    expect([...source.image.data.slice(0, 2)]).toEqual([32768 - 1024, 32768 - 974]);
    file(`${dir}/s.png`, await encodeSourceImage(source.image));
    expect((await readImage(`${dir}/s.png`)).data).toEqual((await readImage(`${dir}/s.tif`)).data);
  });

  it('drops an opaque alpha channel and mixes a transparent one with black', async () => {
    await picture(`${dir}/rgba.png`, 9, 7, texture(2), { channels: 4 });
    const opaque = await readSourceImage(`${dir}/rgba.png`);
    expect(opaque.conversion).toMatch(/alpha channel dropped/);
    expect(opaque.image.channels).toBe(3);
    const pixels = Uint8Array.from([200, 200, 200, 0, 200, 200, 200, 255]);
    file(
      `${dir}/t.png`,
      await sharp(pixels, { raw: { width: 2, height: 1, channels: 4 } })
        .png()
        .toBuffer(),
    );
    const mixed = await readSourceImage(`${dir}/t.png`);
    expect(mixed.conversion).toMatch(/transparency mixed with black/);
    expect([...mixed.image.data]).toEqual([0, 0, 0, 200, 200, 200]);
  });

  it('turns a JPEG with an orientation upright', async () => {
    const jpeg = await sharp(new Uint8Array(8 * 4), { raw: { width: 8, height: 4, channels: 1 } })
      .jpeg()
      .withMetadata({ orientation: 6 })
      .toBuffer();
    file(`${dir}/o.jpg`, jpeg);
    const { image, keep, conversion } = await readSourceImage(`${dir}/o.jpg`);
    expect([image.width, image.height, keep]).toEqual([4, 8, undefined]);
    expect(conversion).toMatch(/turned upright/);
  });

  it('names a file that cannot be decoded', async () => {
    file(`${dir}/bad.png`, 'no picture');
    expect(await messageOf(() => readSourceImage(`${dir}/bad.png`))).toMatch(/^DataError: image .*bad\.png/);
  });
});

describe('readSourceMask', () => {
  const distinct = async (path: string) =>
    [...new Set((await readSourceMask(path)).data)].sort((a, b) => a - b);

  it('gives stored values in grey, three equal channels and 16 bit', async () => {
    await picture(`${dir}/m1.png`, 8, 8, square(2, 5, 3));
    await picture(`${dir}/m2.png`, 8, 8, square(2, 5, 3), { channels: 3 });
    await picture(`${dir}/m3.png`, 8, 8, square(2, 5, 300), { depth: 16 });
    expect(await distinct(`${dir}/m1.png`)).toEqual([0, 3]);
    expect(await distinct(`${dir}/m2.png`)).toEqual([0, 3]);
    expect(await distinct(`${dir}/m3.png`)).toEqual([0, 300]);
  });

  it('reads palette indices, but a black-and-white palette by its look', async () => {
    const indices = (paint: (x: number, y: number) => [number, number, number]) => {
      const data = new Uint8Array(64 * 3);
      for (let i = 0; i < 64; i++) data.set(paint(i % 8, Math.floor(i / 8)), i * 3);
      return sharp(data, { raw: { width: 8, height: 8, channels: 3 } })
        .png({ palette: true, dither: 0 })
        .toBuffer();
    };
    file(`${dir}/p1.png`, await indices((x) => (x < 4 ? [255, 0, 0] : [0, 255, 0])));
    expect(await distinct(`${dir}/p1.png`)).toEqual([0, 1]);
    file(`${dir}/p2.png`, await indices((x) => (x < 4 ? [255, 255, 255] : [0, 0, 0])));
    const mask = await readSourceMask(`${dir}/p2.png`);
    expect([mask.data[0], mask.data[7]]).toEqual([255, 0]);
  });

  it('takes transparent pixels for background', async () => {
    const pixels = Uint8Array.from([255, 255, 255, 0, 255, 255, 255, 255]);
    file(
      `${dir}/ma.png`,
      await sharp(pixels, { raw: { width: 2, height: 1, channels: 4 } })
        .png()
        .toBuffer(),
    );
    expect([...(await readSourceMask(`${dir}/ma.png`)).data]).toEqual([0, 255]);
  });

  it('marks JPEG as lossy and refuses colours, with the place', async () => {
    await picture(`${dir}/m.jpg`, 16, 16, square(4, 9), { format: 'jpeg' });
    expect((await readSourceMask(`${dir}/m.jpg`)).lossy).toBe(true);
    const red = Uint8Array.from([0, 0, 0, 255, 0, 0]);
    file(
      `${dir}/red.png`,
      await sharp(red, { raw: { width: 2, height: 1, channels: 3 } })
        .png()
        .toBuffer(),
    );
    expect(await messageOf(() => readSourceMask(`${dir}/red.png`))).toMatch(
      /DataError: mask .*red\.png: a colour \(255, 0, 0\) at x = 1, y = 0; allowed: grey values or a palette/,
    );
  });
});
