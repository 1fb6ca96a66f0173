// The NIfTI reader on files of the writer, on headers made byte by byte, and on public samples where they are at hand; volumes as
// axial slices and back, in every orientation.

import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeNifti, writeNifti } from '../../src/formats/nifti.ts';
import { readNifti, readNiftiHeader } from '../../src/formats/nifti-read.ts';
import { parseWindow, windowOf, windowToBytes } from '../../src/formats/window.ts';
import { axialView, putSlice, takeSlice } from '../../src/imaging/axial.ts';
import type { Affine, Volume } from '../../src/imaging/volume.ts';

const samples = resolve(import.meta.dirname, '../../../../../shared/data/io-samples/images');

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'nifti-'));
});
afterAll(() => rm(dir, { recursive: true }));

const write = async (bytes: Uint8Array, name = 'a.nii') => {
  const path = join(dir, name);
  await writeFile(path, bytes);
  return path;
};

const OBLIQUE: Affine = [
  [0.7, -0.1, 0.4, -90.5],
  [0.12, 0.8, 0.3, 20.25],
  [-0.1, -0.05, 2.5, -400],
];

/** Every permutation and direction of the axes, by number. */
function orientation(number: number, spacing: readonly number[] = [0.5, 0.75, 3]): Affine {
  const orders = [
    [0, 1, 2],
    [0, 2, 1],
    [1, 0, 2],
    [1, 2, 0],
    [2, 0, 1],
    [2, 1, 0],
  ];
  const order = orders[number % 6]!;
  const row = (world: number) => {
    const axis = order.indexOf(world);
    const sign = (number >> (3 + axis)) & 1 ? -1 : 1;
    return [0, 1, 2].map((c) => (c === axis ? sign * spacing[axis]! : 0)).concat(7 * world - 3);
  };
  return [row(0), row(1), row(2)] as unknown as Affine;
}

describe('readNifti', () => {
  it.each([
    ['uint8', Uint8Array.of(0, 1, 2, 255, 7, 9), 'a.nii'],
    ['int16', Int16Array.of(-1024, 40, 3071, -1, 0, 1), 'a.nii.gz'],
    ['float32', Float32Array.of(-1.5, 0, 1e-3, 1e6, 2, 3), 'b.nii.gz'],
  ] as const)('gives back what was written: %s', async (_, data, name) => {
    const path = join(dir, name);
    const volume: Volume = { size: [3, 2, 1], data, affine: OBLIQUE };
    await writeNifti(path, volume);
    const read = await readNifti(path);
    expect(read.data).toEqual(data);
    expect(read.size).toEqual([3, 2, 1]);
    expect(read.affine.flat().map((x) => Math.fround(x))).toEqual(OBLIQUE.flat().map((x) => Math.fround(x)));
  });

  it('writes again what it read: bytes are equal', () =>
    fc.assert(
      fc.asyncProperty(fc.nat(47), async (number) => {
        const volume = { size: [2, 3, 4], data: new Int16Array(24), affine: orientation(number) } as const;
        const bytes = encodeNifti(volume);
        expect(Buffer.compare(encodeNifti(await readNifti(await write(bytes))), bytes)).toBe(0);
      }),
      { numRuns: 20 },
    ));

  it('takes the axes of the qform where there is no sform, of the voxel size where there is neither', async () => {
    const affine = orientation(0b101011);
    const bytes = encodeNifti({ size: [1, 2, 3], data: new Uint8Array(6), affine });
    const view = new DataView(bytes.buffer);
    view.setInt16(254, 0, true); // sform_code
    const byQform = await readNiftiHeader(await write(bytes));
    expect(byQform.affineFrom).toBe('qform');
    byQform.affine.flat().forEach((x, i) => {
      expect(x).toBeCloseTo(affine.flat()[i]!, 5);
    });
    view.setInt16(252, 0, true); // qform_code
    const bySize = await readNiftiHeader(await write(bytes));
    expect(bySize.affineFrom).toBe('pixdim');
    expect(bySize.affine.map((row, i) => row[i as 0 | 1 | 2])).toEqual([0.5, 0.75, 3]);
  });

  it('scales stored numbers, reads either byte order, metres, and four dimensions of one volume', async () => {
    const bytes = encodeNifti({ size: [2, 1, 1], data: Int16Array.of(10, -3), affine: orientation(0) });
    const view = new DataView(bytes.buffer);
    view.setFloat32(112, 0.5, true); // scl_slope
    view.setFloat32(116, -1, true); // scl_inter
    view.setUint8(123, 1); // metres
    view.setInt16(40, 4, true); // dim[0]
    const scaled = await readNifti(await write(gzipSync(bytes), 'scaled.nii.gz'));
    expect(scaled.data).toEqual(Float32Array.of(4, -2.5));
    expect(scaled.affine[0][0]).toBe(500);

    const big = Uint8Array.from(bytes);
    const swap = (at: number, width: number) => big.subarray(at, at + width).reverse();
    swap(0, 4);
    for (let at = 40; at < 56; at += 2) swap(at, 2);
    for (const at of [70, 72, 252, 254]) swap(at, 2);
    for (let at = 76; at < 120; at += 4) swap(at, 4);
    for (let at = 256; at < 328; at += 4) swap(at, 4);
    big[123] = 1;
    for (const at of [352, 354]) swap(at, 2);
    // Bytes 120 to 123 are single ones.
    big.set(bytes.subarray(120, 124), 120);
    expect((await readNifti(await write(big))).data).toEqual(Float32Array.of(4, -2.5));
  });

  it('says what is wrong with a file', async () => {
    const good = encodeNifti({ size: [2, 2, 2], data: new Int16Array(8), affine: OBLIQUE });
    const changed = (at: number, value: number) => {
      const bytes = Uint8Array.from(good);
      new DataView(bytes.buffer).setInt16(at, value, true);
      return bytes;
    };
    const cases: [Uint8Array, RegExp][] = [
      [good.subarray(0, 360), /360 bytes; 2 x 2 x 2 voxels.*truncated/],
      [changed(40, 9), /dim\[0\] = 9; allowed 1\.\.7/],
      [changed(42, -4), /dim\[1\] = -4/],
      [changed(70, 128), /datatype 128; allowed/],
      [Uint8Array.of(1, 2, 3), /3 bytes; allowed: 348/],
    ];
    for (const [bytes, message] of cases)
      await expect(readNifti(await write(bytes))).rejects.toThrow(message);
    const series = changed(40, 4);
    new DataView(series.buffer).setInt16(48, 5, true);
    await expect(readNifti(await write(series))).rejects.toThrow(/2 x 2 x 2 x 5; allowed: one volume/);
    await expect(readNifti(join(dir, 'absent.nii'))).rejects.toThrow(/no such file/);
    await expect(readNifti(await write(good), { maxBytes: 8 })).rejects.toThrow(/allowed up to 8/);
  });

  it.skipIf(!existsSync(samples))('reads public samples (skipped where they are absent)', async () => {
    const small = await readNifti(join(samples, 'example_ct_sm.nii.gz'));
    expect(small.size.every((n) => n > 20)).toBe(true);
    expect(small.data.some((v) => v < -500) && small.data.some((v) => v > 100)).toBe(true);
    expect((await readNiftiHeader(join(samples, 'anatomical.nii'))).size.every((n) => n > 1)).toBe(true);
    const second = await readNiftiHeader(join(samples, 'example_nifti2.nii.gz')).catch(
      (error: Error) => error,
    );
    // Two time points in that file.
    expect(second instanceof Error ? second.message : second.version).toMatch(/one volume|2/);
  });
});

describe('axial slices', () => {
  /** Voxels that hold their own place in the patient, coded by millimetre. */
  function located(affine: Affine, size: readonly [number, number, number]): Volume<Float32Array> {
    return { size, affine, data: new Float32Array(size[0] * size[1] * size[2]) };
  }
  const fill = (volume: Volume<Float32Array>, world: 0 | 1 | 2) => {
    const [a, b, c] = volume.size;
    for (let k = 0; k < c; k++)
      for (let j = 0; j < b; j++)
        for (let i = 0; i < a; i++) {
          const row = volume.affine[world];
          volume.data[(k * b + j) * a + i] = row[0] * i + row[1] * j + row[2] * k + row[3];
        }
    return volume.data;
  };

  it('run from feet to head, rows from front to back, columns from right to left, in all 48 orientations', () => {
    for (let number = 0; number < 48; number++) {
      const volume = located(orientation(number), [4, 3, 5]);
      const view = axialView(volume.size, volume.affine);
      const [slices, rows, columns] = view.shape;
      const at = (world: 0 | 1 | 2, k: number, y: number, x: number) =>
        takeSlice(view, fill(volume, world), k)[y * columns + x]!;
      const [sliceMm, rowMm, columnMm] = view.spacingMm;
      expect(at(2, slices - 1, 0, 0) - at(2, 0, 0, 0)).toBeCloseTo((slices - 1) * sliceMm, 4);
      expect(at(1, 0, rows - 1, 0) - at(1, 0, 0, 0)).toBeCloseTo(-(rows - 1) * rowMm, 4);
      expect(at(0, 0, 0, columns - 1) - at(0, 0, 0, 0)).toBeCloseTo(-(columns - 1) * columnMm, 4);
    }
  });

  it('go back into the volume, every voxel at its place, also of oblique scans', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.nat(47).map((n) => orientation(n)),
          fc.constant(OBLIQUE),
        ),
        fc.tuple(
          fc.integer({ min: 1, max: 5 }),
          fc.integer({ min: 1, max: 4 }),
          fc.integer({ min: 1, max: 6 }),
        ),
        (affine, size) => {
          const data = Int16Array.from({ length: size[0] * size[1] * size[2] }, (_, i) => i + 1);
          const view = axialView(size, affine);
          const back = new Int16Array(data.length);
          for (let k = 0; k < view.shape[0]; k++) putSlice(view, back, k, takeSlice(view, data, k));
          expect(back).toEqual(data);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('of an oblique scan follow the nearest axes', () => {
    const view = axialView([10, 20, 30], OBLIQUE);
    expect(view.shape).toEqual([30, 20, 10]);
    // Right-to-left and front-to-back run against the voxel axes, feet-to-head along.
    expect(view.strides).toEqual([200, -10, -1]);
    expect(view.spacingMm[0]).toBeCloseTo(Math.hypot(0.4, 0.3, 2.5), 10);
  });
});

describe('windows', () => {
  it('cut and stretch', () => {
    expect([...windowToBytes(Int16Array.of(-1000, -160, 40, 239, 240, 3000), [-160, 240])]).toEqual([
      0, 0, 128, 254, 255, 255,
    ]);
    expect([...windowToBytes(Float32Array.of(Number.NaN, 0.5), [0, 1])]).toEqual([0, 128]);
  });

  it('by percentiles leave out the background of zeros', () => {
    const voxels = new Float32Array(2000).fill(0, 0, 1000);
    for (let i = 0; i < 1000; i++) voxels[1000 + i] = 100 + i;
    const [low, high] = windowOf('percentile', voxels);
    expect([low, high]).toEqual([105, 1094]);
    expect(windowOf('percentile', new Float32Array(5))).toEqual([0, 1]);
  });

  it('are written LOW,HIGH', () => {
    expect(parseWindow('-160,240')).toEqual([-160, 240]);
    expect(parseWindow('percentile')).toBe('percentile');
    for (const text of ['', '1', '5,5', '5,1', '1,2,3', 'a,b'])
      expect(() => parseWindow(text)).toThrow(/no window/);
  });
});
