// The NIfTI writer against nifti1.h's field offsets, read here with a DataView and nothing of the writer.

import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Affine, encodeNifti, type Volume, writeNifti } from '../../src/formats/nifti.ts';

const LPS: Affine = [
  [-0.75, 0, 0, 100],
  [0, -0.75, 0, 120.5],
  [0, 0, 5, -260],
];

function parse(bytes: Uint8Array) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const i16 = (at: number) => view.getInt16(at, true);
  const f32 = (at: number) => view.getFloat32(at, true);
  const many = (n: number, read: (k: number) => number) => Array.from({ length: n }, (_, k) => read(k));
  return {
    headerBytes: view.getInt32(0, true),
    dim: many(8, (k) => i16(40 + 2 * k)),
    datatype: i16(70),
    bitpix: i16(72),
    pixdim: many(8, (k) => f32(76 + 4 * k)),
    offset: f32(108),
    slope: f32(112),
    inter: f32(116),
    units: bytes[123],
    description: new TextDecoder().decode(bytes.subarray(148, 228)).replace(/\0+$/, ''),
    qformCode: i16(252),
    sformCode: i16(254),
    quaternion: many(3, (k) => f32(256 + 4 * k)),
    qoffset: many(3, (k) => f32(268 + 4 * k)),
    srow: many(12, (k) => f32(280 + 4 * k)),
    magic: [...bytes.subarray(344, 348)],
    view,
  };
}

/** nifti1.h, method 2: rotation from the quaternion, spacing and handedness from pixdim. */
function qformOf({ quaternion: q, pixdim, qoffset }: ReturnType<typeof parse>): number[] {
  const [b, c, d] = q as [number, number, number];
  const a = Math.sqrt(Math.max(0, 1 - b * b - c * c - d * d));
  const r = [
    [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
    [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
    [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - c * c - b * b],
  ];
  return r.flatMap((row, i) => [
    row[0]! * pixdim[1]!,
    row[1]! * pixdim[2]!,
    row[2]! * pixdim[3]! * pixdim[0]!,
    qoffset[i]!,
  ]);
}

const volume = (
  affine: Affine,
  data: Volume['data'] = new Int16Array([-1000, 40, 3000, -1, 0, 1]),
): Volume => ({
  size: [3, 2, data.length / 6],
  data,
  affine,
});

describe('encodeNifti', () => {
  it('writes the header that nifti1.h asks for, and int16 voxels after it', () => {
    const bytes = encodeNifti(volume(LPS), { description: 'phantom' });
    const h = parse(bytes);
    expect(h.headerBytes).toBe(348);
    expect(h.dim).toEqual([3, 3, 2, 1, 1, 1, 1, 1]);
    expect([h.datatype, h.bitpix]).toEqual([4, 16]);
    expect(h.pixdim.slice(0, 4)).toEqual([1, 0.75, 0.75, 5]);
    expect([h.offset, h.slope, h.inter, h.units]).toEqual([352, 1, 0, 2]);
    expect([h.qformCode, h.sformCode]).toEqual([1, 1]);
    expect(h.srow).toEqual(LPS.flat());
    expect(h.magic).toEqual([0x6e, 0x2b, 0x31, 0]);
    expect(h.description).toBe('phantom');
    expect(bytes.length).toBe(352 + 12);
    expect([0, 1, 2, 3, 4, 5].map((k) => h.view.getInt16(352 + 2 * k, true))).toEqual([
      -1000, 40, 3000, -1, 0, 1,
    ]);
  });

  it('writes uint8 voxels as they are', () => {
    const data = Uint8Array.from([0, 1, 15, 255, 7, 3]);
    const bytes = encodeNifti(volume(LPS, data));
    expect([parse(bytes).datatype, parse(bytes).bitpix]).toEqual([2, 8]);
    expect([...bytes.subarray(352)]).toEqual([...data]);
  });

  it('gives qform and sform that agree, for any turn, spacing, flip and origin', () => {
    const angle = fc.double({ min: -Math.PI, max: Math.PI, noNaN: true });
    const mm = fc.double({ min: 0.3, max: 8, noNaN: true });
    const offset = fc.double({ min: -400, max: 400, noNaN: true });
    fc.assert(
      fc.property(
        fc.tuple(angle, angle, angle),
        fc.tuple(mm, mm, mm),
        fc.boolean(),
        fc.tuple(offset, offset, offset),
        (turn, s, flip, o) => {
          const r = rotation(turn);
          const row = (i: number) =>
            [r[i]![0]! * s[0], r[i]![1]! * s[1], r[i]![2]! * s[2] * (flip ? -1 : 1), o[i]!] as const;
          const h = parse(encodeNifti(volume([row(0), row(1), row(2)])));
          const q = qformOf(h);
          expect(h.qformCode).toBe(1);
          expect(Math.max(...q.map((x, i) => Math.abs(x - h.srow[i]!)))).toBeLessThan(2e-2);
        },
      ),
    );
  });

  it('leaves the qform out where axes are oblique to each other, as it cannot say that', () => {
    const h = parse(
      encodeNifti(
        volume([
          [1, 0.4, 0, 0],
          [0, 1, 0, 0],
          [0, 0, 1, 0],
        ]),
      ),
    );
    expect([h.qformCode, h.sformCode]).toEqual([0, 1]);
  });

  it('refuses a wrong count of voxels, an affine without an inverse and a long description', () => {
    expect(() => encodeNifti({ size: [2, 2, 2], data: new Uint8Array(7), affine: LPS })).toThrow(
      /7 voxels.*exactly 8/,
    );
    expect(() => encodeNifti(volume([LPS[0], LPS[0], LPS[2]]))).toThrow(/invertible/);
    expect(() => encodeNifti(volume(LPS), { description: 'x'.repeat(80) })).toThrow(/79/);
    expect(() => encodeNifti({ size: [40000, 1, 1], data: new Uint8Array(40000), affine: LPS })).toThrow(
      /32767/,
    );
  });
});

describe('writeNifti', () => {
  it('writes plain and compressed files with the same content, whole or not at all', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'nifti-'));
    try {
      await writeNifti(join(folder, 'a.nii'), volume(LPS));
      await writeNifti(join(folder, 'a.nii.gz'), volume(LPS));
      const plain = await readFile(join(folder, 'a.nii'));
      const packed = await readFile(join(folder, 'a.nii.gz'));
      expect([...gunzipSync(packed)]).toEqual([...plain]);
      expect([...packed.subarray(4, 8), packed[9]]).toEqual([0, 0, 0, 0, 255]);
      await expect(writeNifti(join(folder, 'a.img'), volume(LPS))).rejects.toThrow(/\.nii/);
      expect((await readdir(folder)).sort()).toEqual(['a.nii', 'a.nii.gz']);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

function rotation([a, b, c]: readonly number[]): number[][] {
  const [ca, sa, cb, sb, cc, sc] = [
    Math.cos(a!),
    Math.sin(a!),
    Math.cos(b!),
    Math.sin(b!),
    Math.cos(c!),
    Math.sin(c!),
  ];
  return [
    [ca * cb, ca * sb * sc - sa * cc, ca * sb * cc + sa * sc],
    [sa * cb, sa * sb * sc + ca * cc, sa * sb * cc - ca * sc],
    [-sb, cb * sc, cb * cc],
  ];
}
