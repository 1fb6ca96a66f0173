// Writes volumes as NIfTI-1 single files (.nii, .nii.gz), after nifti1.h (Cox 2004): little-endian, uint8, int16 or float32, with
// sform, and qform where the axes are orthogonal. Equal volumes give equal bytes. Not here: reading (nifti-read.ts), DICOM.

import { randomBytes } from 'node:crypto';
import { rename, rm, writeFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { DataError, UsageError } from '@maskrank/torch/errors';
import { type Affine, columnLengths, type Volume, type VoxelArray } from '../imaging/volume.ts';

export type { Affine, Volume } from '../imaging/volume.ts';

export type NiftiOptions = {
  /** Free text of the header, at most 79 ASCII characters; longer text is refused. */
  readonly description?: string;
};

const HEADER_BYTES = 348;
/** Header and the four bytes that say "no extensions". */
const DATA_OFFSET = 352;
const DATATYPE = {
  uint8: { code: 2, bits: 8 },
  int16: { code: 4, bits: 16 },
  float32: { code: 16, bits: 32 },
} as const;
const UNITS_MM = 2;
const XFORM_SCANNER = 1;
const MAX_DIM = 32767;

/** The whole file's bytes, not compressed. */
export function encodeNifti(volume: Volume, { description = '' }: NiftiOptions = {}): Uint8Array {
  check(volume, description);
  const { size, data, affine } = volume;
  const bytes = new Uint8Array(DATA_OFFSET + data.byteLength);
  const view = new DataView(bytes.buffer);
  const type = DATATYPE[kindOf(data)];
  const spacing = columnLengths(affine);
  const rotation = quaternion(affine, spacing);

  view.setInt32(0, HEADER_BYTES, true);
  [3, ...size, 1, 1, 1, 1].forEach((n, i) => {
    view.setInt16(40 + 2 * i, n, true); // dim[8]
  });
  view.setInt16(70, type.code, true); // datatype
  view.setInt16(72, type.bits, true); // bitpix
  [rotation?.qfac ?? 1, ...spacing, 1, 1, 1, 1].forEach((mm, i) => {
    view.setFloat32(76 + 4 * i, mm, true); // pixdim[8]
  });
  view.setFloat32(108, DATA_OFFSET, true); // vox_offset
  view.setFloat32(112, 1, true); // scl_slope
  view.setUint8(123, UNITS_MM); // xyzt_units
  bytes.set(new TextEncoder().encode(description), 148); // descrip[80]
  view.setInt16(252, rotation === undefined ? 0 : XFORM_SCANNER, true); // qform_code
  view.setInt16(254, XFORM_SCANNER, true); // sform_code
  [rotation?.b ?? 0, rotation?.c ?? 0, rotation?.d ?? 0, affine[0][3], affine[1][3], affine[2][3]].forEach(
    (x, i) => {
      view.setFloat32(256 + 4 * i, x, true); // quatern_b, _c, _d, qoffset_x, _y, _z
    },
  );
  affine.flat().forEach((x, i) => {
    view.setFloat32(280 + 4 * i, x, true); // srow_x, srow_y, srow_z
  });
  bytes.set([0x6e, 0x2b, 0x31, 0], 344); // magic "n+1"

  if (data instanceof Uint8Array) bytes.set(data, DATA_OFFSET);
  else if (data instanceof Int16Array)
    for (let i = 0; i < data.length; i++) view.setInt16(DATA_OFFSET + 2 * i, data[i]!, true);
  else for (let i = 0; i < data.length; i++) view.setFloat32(DATA_OFFSET + 4 * i, data[i]!, true);
  return bytes;
}

function kindOf(data: VoxelArray): keyof typeof DATATYPE {
  if (data instanceof Uint8Array) return 'uint8';
  return data instanceof Int16Array ? 'int16' : 'float32';
}

/** Writes `path` whole or not at all; the suffix chooses: `.nii` plain, `.nii.gz` compressed. */
export async function writeNifti(path: string, volume: Volume, options: NiftiOptions = {}): Promise<void> {
  if (!/\.nii(\.gz)?$/.test(path)) {
    throw new UsageError(`writeNifti(${path}): allowed: names that end in .nii or .nii.gz.`);
  }
  const plain = encodeNifti(volume, options);
  const partial = `${path}.${randomBytes(4).toString('hex')}.partial`;
  try {
    await writeFile(partial, path.endsWith('.gz') ? gzip(plain) : plain);
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}

/** Gzip without a time, and with the operating system's byte set to "unknown": equal on every machine. */
function gzip(bytes: Uint8Array): Uint8Array {
  const out = gzipSync(bytes, { level: 6 });
  out[9] = 255;
  return out;
}

function check({ size, data, affine }: Volume, description: string): void {
  if (size.some((n) => !Number.isInteger(n) || n < 1 || n > MAX_DIM)) {
    throw new DataError(`encodeNifti: size ${size.join(' x ')}; allowed: integers 1..${MAX_DIM} (NIfTI-1).`);
  }
  const count = size[0] * size[1] * size[2];
  if (data.length !== count) {
    throw new DataError(
      `encodeNifti: ${data.length} voxels; size ${size.join(' x ')} needs exactly ${count}.`,
    );
  }
  if (affine.flat().some((x) => !Number.isFinite(x)) || Math.abs(determinant(affine)) < 1e-9) {
    throw new DataError(
      'encodeNifti: the affine is not finite or not invertible; allowed: three independent axes.',
    );
  }
  if (description.length > 79 || /[^\x20-\x7e]/.test(description)) {
    throw new UsageError(`encodeNifti: description "${description}"; allowed: at most 79 ASCII characters.`);
  }
}

function determinant([r, s, t]: Affine): number {
  return (
    r[0] * (s[1] * t[2] - s[2] * t[1]) -
    r[1] * (s[0] * t[2] - s[2] * t[0]) +
    r[2] * (s[0] * t[1] - s[1] * t[0])
  );
}

/** Unit quaternion (a >= 0 is implied by b, c, d) and qfac of nifti1.h's method 2; undefined where axes are oblique to each other. */
function quaternion(affine: Affine, spacing: readonly [number, number, number]) {
  const qfac = determinant(affine) < 0 ? -1 : 1;
  const m = affine.map((row) => [row[0] / spacing[0], row[1] / spacing[1], (row[2] / spacing[2]) * qfac]);
  const dot = (p: number, q: number) => m.reduce((sum, row) => sum + row[p]! * row[q]!, 0);
  if (Math.max(Math.abs(dot(0, 1)), Math.abs(dot(0, 2)), Math.abs(dot(1, 2))) > 1e-4) return undefined;
  const at = (i: number, j: number) => m[i]![j]!;
  const trace = at(0, 0) + at(1, 1) + at(2, 2);
  if (trace > 0) {
    const a = Math.sqrt(1 + trace) / 2;
    const [b, c, d] = [at(2, 1) - at(1, 2), at(0, 2) - at(2, 0), at(1, 0) - at(0, 1)].map((x) => x / (4 * a));
    return { qfac, b: b!, c: c!, d: d! };
  }
  const i = at(0, 0) >= at(1, 1) && at(0, 0) >= at(2, 2) ? 0 : at(1, 1) >= at(2, 2) ? 1 : 2;
  const [j, k] = [(i + 1) % 3, (i + 2) % 3];
  const q = [0, 0, 0];
  q[i] = Math.sqrt(Math.max(0, 1 + at(i, i) - at(j, j) - at(k, k))) / 2;
  q[j] = (at(i, j) + at(j, i)) / (4 * q[i]!);
  q[k] = (at(i, k) + at(k, i)) / (4 * q[i]!);
  const sign = at(k, j) - at(j, k) < 0 ? -1 : 1;
  return { qfac, b: sign * q[0]!, c: sign * q[1]!, d: sign * q[2]! };
}
