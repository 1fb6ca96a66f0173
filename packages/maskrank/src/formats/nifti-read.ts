// Reads volumes from NIfTI files (.nii, .nii.gz), after nifti1.h and nifti2.h (Cox 2004, 2011): versions 1 and 2, either byte order,
// whole and real numbers, scaled as the header says, with the affine of the sform, else the qform, else the voxel size. Lengths
// in metres or micrometres become mm. Not here: pairs of .hdr and .img, several volumes in a file, colours; writing (nifti.ts).

import { open, readFile, stat } from 'node:fs/promises';
import { constants, gunzipSync } from 'node:zlib';
import { DataError } from '@maskrank/torch/errors';
import type { Affine, AffineRow, Volume, VoxelArray } from '../imaging/volume.ts';

/** What the header says of a volume. */
export type NiftiHeader = Pick<Volume, 'size' | 'affine'> & {
  readonly version: 1 | 2;
  /** Which of the header's descriptions of the axes the affine is from. */
  readonly affineFrom: 'sform' | 'qform' | 'pixdim';
};

export type NiftiReadOptions = {
  /** Volumes of more bytes, uncompressed, are refused before they are read. Default 4 GiB. */
  readonly maxBytes?: number;
};

type Endian = { readonly view: DataView; readonly little: boolean };

/** Where the fields stand that the two versions have in common. */
type Layout = {
  readonly version: 1 | 2;
  readonly headerBytes: number;
  readonly dim: (h: Endian, i: number) => number;
  readonly pixdim: (h: Endian, i: number) => number;
  readonly datatype: (h: Endian) => number;
  readonly dataOffset: (h: Endian) => number;
  readonly scale: (h: Endian) => { readonly slope: number; readonly intercept: number };
  readonly units: (h: Endian) => number;
  readonly codes: (h: Endian) => { readonly qform: number; readonly sform: number };
  readonly quaternion: (h: Endian, i: number) => number;
  readonly qoffset: (h: Endian, i: number) => number;
  readonly srow: (h: Endian, i: number) => number;
  readonly magic: readonly [offset: number, single: string, pair: string];
};

const i16 = ({ view, little }: Endian, at: number) => view.getInt16(at, little);
const i32 = ({ view, little }: Endian, at: number) => view.getInt32(at, little);
const i64 = ({ view, little }: Endian, at: number) => Number(view.getBigInt64(at, little));
const f32 = ({ view, little }: Endian, at: number) => view.getFloat32(at, little);
const f64 = ({ view, little }: Endian, at: number) => view.getFloat64(at, little);

const NIFTI1: Layout = {
  version: 1,
  headerBytes: 348,
  dim: (h, i) => i16(h, 40 + 2 * i),
  pixdim: (h, i) => f32(h, 76 + 4 * i),
  datatype: (h) => i16(h, 70),
  dataOffset: (h) => f32(h, 108),
  scale: (h) => ({ slope: f32(h, 112), intercept: f32(h, 116) }),
  units: ({ view }) => view.getUint8(123),
  codes: (h) => ({ qform: i16(h, 252), sform: i16(h, 254) }),
  quaternion: (h, i) => f32(h, 256 + 4 * i),
  qoffset: (h, i) => f32(h, 268 + 4 * i),
  srow: (h, i) => f32(h, 280 + 4 * i),
  magic: [344, 'n+1', 'ni1'],
};

const NIFTI2: Layout = {
  version: 2,
  headerBytes: 540,
  dim: (h, i) => i64(h, 16 + 8 * i),
  pixdim: (h, i) => f64(h, 104 + 8 * i),
  datatype: (h) => i16(h, 12),
  dataOffset: (h) => i64(h, 168),
  scale: (h) => ({ slope: f64(h, 176), intercept: f64(h, 184) }),
  units: (h) => i32(h, 500),
  codes: (h) => ({ qform: i32(h, 344), sform: i32(h, 348) }),
  quaternion: (h, i) => f64(h, 352 + 8 * i),
  qoffset: (h, i) => f64(h, 376 + 8 * i),
  srow: (h, i) => f64(h, 400 + 8 * i),
  magic: [4, 'n+2', 'ni2'],
};

type VoxelType = { readonly bytes: number; readonly read: (h: Endian, at: number) => number };

/** By the header's code. */
const VOXEL_TYPES: Readonly<Record<number, VoxelType>> = {
  2: { bytes: 1, read: ({ view }, at) => view.getUint8(at) },
  4: { bytes: 2, read: i16 },
  8: { bytes: 4, read: i32 },
  16: { bytes: 4, read: f32 },
  64: { bytes: 8, read: f64 },
  256: { bytes: 1, read: ({ view }, at) => view.getInt8(at) },
  512: { bytes: 2, read: ({ view, little }, at) => view.getUint16(at, little) },
  768: { bytes: 4, read: ({ view, little }, at) => view.getUint32(at, little) },
  1024: { bytes: 8, read: i64 },
  1280: { bytes: 8, read: ({ view, little }, at) => Number(view.getBigUint64(at, little)) },
};

/** Stored values that stay as they are. */
const KEPT: Readonly<Record<number, (count: number) => VoxelArray>> = {
  2: (count) => new Uint8Array(count),
  4: (count) => new Int16Array(count),
  256: (count) => new Int16Array(count),
};

const MM: Readonly<Record<number, number>> = { 1: 1000, 3: 0.001 };
const MAX_BYTES = 4 * 2 ** 30;
/** The runtime's own limit. */
const MAX_UNPACKED = 2 ** 32;

/** Whether a file's name says that it is a NIfTI volume. */
export const isNiftiName = (path: string): boolean => /\.nii(\.gz)?$/i.test(path);

/** `scan.nii.gz` -> `scan`. */
export const withoutNiftiEnding = (name: string): string => name.replace(/\.nii(\.gz)?$/i, '');

/** Size and axes, without the voxels. Throws DataError naming the file, the field, what was found and what is allowed. */
export async function readNiftiHeader(path: string): Promise<NiftiHeader> {
  const { size, affine, version, affineFrom } = parse(path, await firstBytes(path), MAX_BYTES);
  return { size, affine, version, affineFrom };
}

/**
 * The volume: uint8 and int16 as stored, int8 as int16, all other numbers and scaled ones as float32. Throws DataError like
 * `readNiftiHeader`, and for a file that ends too early.
 */
export async function readNifti(
  path: string,
  { maxBytes = MAX_BYTES }: NiftiReadOptions = {},
): Promise<Volume> {
  const { size, affine, header, type, code, offset, scale } = parse(path, await firstBytes(path), maxBytes);
  const stored = await wholeFile(path);
  const bytes = isGzip(stored) ? unpack(path, stored, maxBytes + 2 ** 20) : stored;
  const count = size[0] * size[1] * size[2];
  if (bytes.length < offset + count * type.bytes)
    throw fail(
      path,
      `${bytes.length} bytes; ${size.join(' x ')} voxels of ${type.bytes} bytes after byte ${offset} need ${offset + count * type.bytes}: truncated, copy it again`,
    );
  const h = { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), little: header.little };
  const isPlain = scale.slope === 1 && scale.intercept === 0;
  if (isPlain && code === 2)
    return { size, affine, data: new Uint8Array(bytes.subarray(offset, offset + count)) };
  const keep = isPlain ? KEPT[code] : undefined;
  const data = keep === undefined ? new Float32Array(count) : keep(count);
  const { read } = type;
  for (let i = 0; i < count; i++) data[i] = read(h, offset + i * type.bytes) * scale.slope + scale.intercept;
  return { size, affine, data };
}

type Parsed = NiftiHeader & {
  readonly header: Endian;
  readonly code: number;
  readonly type: VoxelType;
  readonly offset: number;
  readonly scale: { readonly slope: number; readonly intercept: number };
};

function parse(path: string, bytes: Uint8Array, maxBytes: number): Parsed {
  const { header, layout } = layoutOf(path, bytes);
  const [at, single, pair] = layout.magic;
  const magic = Buffer.from(bytes.subarray(at, at + 3)).toString('latin1');
  if (magic === pair)
    throw fail(path, 'header of a pair (.hdr, .img); allowed: single files: convert it, e.g. with nibabel');
  if (magic !== single) throw fail(path, `magic "${magic}"; allowed: "${single}": no NIfTI file, or damaged`);
  const rank = layout.dim(header, 0);
  if (!(rank >= 1 && rank <= 7)) throw fail(path, `dim[0] = ${rank}; allowed 1..7: damaged`);
  const dims = Array.from({ length: 7 }, (_, i) => (i < rank ? layout.dim(header, i + 1) : 1));
  const bad = dims.findIndex((n) => !(n >= 1));
  if (bad >= 0) throw fail(path, `dim[${bad + 1}] = ${dims[bad]}; allowed: 1 and more: damaged`);
  if (dims.slice(3).some((n) => n > 1))
    throw fail(
      path,
      `size ${dims.slice(0, rank).join(' x ')}; allowed: one volume a file: save each by itself`,
    );
  const code = layout.datatype(header);
  const type = VOXEL_TYPES[code];
  if (type === undefined)
    throw fail(
      path,
      `datatype ${code}; allowed: whole and real numbers (${Object.keys(VOXEL_TYPES).join(', ')})`,
    );
  const size = dims.slice(0, 3) as [number, number, number];
  const volumeBytes = size[0] * size[1] * size[2] * type.bytes;
  if (volumeBytes > maxBytes)
    throw fail(path, `${size.join(' x ')} voxels are ${volumeBytes} bytes; allowed up to ${maxBytes}`);
  const { slope, intercept } = layout.scale(header);
  const isScaled = Number.isFinite(slope) && slope !== 0 && Number.isFinite(intercept);
  return {
    version: layout.version,
    size,
    ...affineOf(path, header, layout),
    header,
    code,
    type,
    offset: Math.max(layout.headerBytes, Math.round(layout.dataOffset(header))),
    scale: isScaled ? { slope, intercept } : { slope: 1, intercept: 0 },
  };
}

function layoutOf(path: string, bytes: Uint8Array): { header: Endian; layout: Layout } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length >= NIFTI1.headerBytes)
    for (const layout of [NIFTI1, NIFTI2])
      for (const little of [true, false])
        if (view.getInt32(0, little) === layout.headerBytes && bytes.length >= layout.headerBytes)
          return { header: { view, little }, layout };
  const found = bytes.length < 4 ? `${bytes.length} bytes` : `a header of ${view.getInt32(0, true)} bytes`;
  throw fail(path, `${found}; allowed: 348 (NIfTI-1) or 540 (NIfTI-2): no NIfTI file`);
}

function affineOf(path: string, h: Endian, layout: Layout): Pick<NiftiHeader, 'affine' | 'affineFrom'> {
  const mm = MM[layout.units(h) & 7] ?? 1;
  const { qform, sform } = layout.codes(h);
  const scaled = (rows: readonly (readonly number[])[]) =>
    rows.map((row) => row.map((x) => x * mm)) as unknown as Affine;
  if (sform > 0) {
    const rows = [0, 1, 2].map((r) => [0, 1, 2, 3].map((c) => layout.srow(h, 4 * r + c)));
    if (isInvertible(rows)) return { affine: scaled(rows), affineFrom: 'sform' };
  }
  const spacing = [1, 2, 3].map((i) => Math.abs(layout.pixdim(h, i)) || 1);
  const rows = qform > 0 ? qformRows(h, layout, spacing) : spacing.map((x, i) => axisRow(i, x));
  if (!isInvertible(rows))
    throw fail(
      path,
      'its axes are not three independent, finite directions; save it again with an orientation',
    );
  return { affine: scaled(rows), affineFrom: qform > 0 ? 'qform' : 'pixdim' };
}

const axisRow = (i: number, mm: number): AffineRow =>
  [0, 1, 2, 3].map((c) => (c === i ? mm : 0)) as unknown as AffineRow;

/** Rotation of a unit quaternion, voxel sizes, handedness: method 2 of nifti1.h. */
function qformRows(h: Endian, layout: Layout, spacing: readonly number[]): number[][] {
  const stored = [0, 1, 2].map((i) => layout.quaternion(h, i));
  const length = Math.hypot(...stored);
  // Half a turn but for the rounding of its single-precision parts: taken as half a turn, as nifti1.h has it.
  const isHalfTurn = 1 - length * length < 1e-7;
  const [b, c, d] = stored.map((x) => (isHalfTurn ? x / length : x)) as [number, number, number];
  const a = isHalfTurn ? 0 : Math.sqrt(1 - length * length);
  const turn = [
    [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
    [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
    [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - c * c - b * b],
  ];
  const hand = layout.pixdim(h, 0) < 0 ? -1 : 1;
  return turn.map((row, r) => [
    ...row.map((x, i) => x * spacing[i]! * (i === 2 ? hand : 1)),
    layout.qoffset(h, r),
  ]);
}

function isInvertible(rows: readonly (readonly number[])[]): boolean {
  const at = (r: number, c: number) => rows[r]![c]!;
  const lengths = [0, 1, 2].map((c) => Math.hypot(at(0, c), at(1, c), at(2, c)));
  const determinant =
    at(0, 0) * (at(1, 1) * at(2, 2) - at(1, 2) * at(2, 1)) -
    at(0, 1) * (at(1, 0) * at(2, 2) - at(1, 2) * at(2, 0)) +
    at(0, 2) * (at(1, 0) * at(2, 1) - at(1, 1) * at(2, 0));
  // Relative to the axes' lengths, so that small voxels count as well.
  return (
    rows.flat().every(Number.isFinite) &&
    Math.abs(determinant) > 1e-6 * lengths[0]! * lengths[1]! * lengths[2]!
  );
}

const isGzip = (bytes: Uint8Array): boolean => bytes[0] === 0x1f && bytes[1] === 0x8b;

/** Enough of the file for either header, unpacked. */
async function firstBytes(path: string): Promise<Uint8Array> {
  const buffer = Buffer.alloc(8192);
  const file = await open(path).catch((error: unknown) => {
    throw unreadable(path, error);
  });
  try {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, 0);
    const bytes = buffer.subarray(0, bytesRead);
    // The stream is cut off in the middle, on purpose.
    return isGzip(bytes) ? gunzipSync(bytes, { finishFlush: constants.Z_SYNC_FLUSH }) : bytes;
  } catch (error) {
    throw unreadable(path, error);
  } finally {
    await file.close();
  }
}

async function wholeFile(path: string): Promise<Uint8Array> {
  try {
    const { size } = await stat(path);
    if (size > 2 * MAX_BYTES) throw new Error(`${size} bytes; allowed up to ${2 * MAX_BYTES}`);
    return await readFile(path);
  } catch (error) {
    throw unreadable(path, error);
  }
}

function unpack(path: string, packed: Uint8Array, maxOutputLength: number): Uint8Array {
  try {
    return gunzipSync(packed, { maxOutputLength: Math.min(maxOutputLength, MAX_UNPACKED) });
  } catch (error) {
    throw unreadable(path, error);
  }
}

const fail = (path: string, what: string): DataError => new DataError(`readNifti(${path}): ${what}.`);

function unreadable(path: string, error: unknown): DataError {
  const { code, message } = error as NodeJS.ErrnoException;
  const reason = code === 'ENOENT' ? 'no such file: check the path' : `cannot be read (${message})`;
  return new DataError(`readNifti(${path}): ${reason}.`, { cause: error });
}
