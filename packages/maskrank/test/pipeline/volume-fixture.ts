// Small scans with their label maps: a bright ball on noise, slices 4 mm apart.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { writeNifti } from '../../src/formats/nifti.ts';
import { Random } from '../../src/util/random.ts';

/** Slices, rows, columns. */
export const BALL_SHAPE = [6, 20, 24] as const;

/** Writes SOURCE/images/p0.nii.gz, ... and SOURCE/labels. */
export async function writeBalls(source: string, count: number): Promise<void> {
  for (const part of ['images', 'labels']) mkdirSync(join(source, part), { recursive: true });
  for (let i = 0; i < count; i++) await writeBall(source, i);
}

async function writeBall(source: string, i: number): Promise<void> {
  const [slices, rows, columns] = BALL_SHAPE;
  const random = new Random(i);
  const image = new Int16Array(slices * rows * columns);
  const truth = new Uint8Array(image.length);
  for (let k = 0; k < image.length; k++) {
    const [z, y, x] = [Math.floor(k / (rows * columns)), Math.floor(k / columns) % rows, k % columns];
    truth[k] = Number(Math.hypot(3 * (z - 2.5), y - 9 - (i % 3), x - 11) < 6);
    image[k] = Math.round(-60 + 160 * (truth[k] as number) + 20 * random.normal());
  }
  const affine = [
    [-0.8, 0, 0, 10],
    [0, -0.8, 0, 20],
    [0, 0, 4, -30],
  ] as const;
  const size = [columns, rows, slices] as const;
  await writeNifti(join(source, 'images', `p${i}.nii.gz`), { size, data: image, affine });
  await writeNifti(join(source, 'labels', `p${i}.nii.gz`), { size, data: truth, affine });
}
