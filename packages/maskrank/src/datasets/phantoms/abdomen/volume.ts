// A whole patient as NIfTI volumes: attenuation (int16, HU) and labels (uint8, AMOS ids), of the same slices that pictures
// show. Voxel axes run to the patient's left, back and head (LPS); the affine says so in NIfTI's RAS+.

import type { Affine, Volume } from '../../../formats/nifti.ts';
import type { Random } from '../../../util/random.ts';
import { type Anatomy, heightMm, makeAnatomy } from './anatomy.ts';
import { SLICE_MM } from './patient.ts';
import { drawSlice } from './slice.ts';

export type AbdomenVolume = {
  readonly image: Volume<Int16Array>;
  readonly labels: Volume<Uint8Array>;
};

/** Spacing in plane is 0.7 to 1.0 mm at 512 pixels. */
export type VolumeOptions = {
  /** Columns and rows of a slice. Default 512, as scanners store it. */
  readonly sizePx?: number;
};

/** @param random the patient's stream, as for the pictures of the same patient */
export function drawVolume(random: Random, { sizePx = 512 }: VolumeOptions = {}): AbdomenVolume {
  const anatomy = makeAnatomy(random);
  const count = sizePx * sizePx;
  const hu = new Int16Array(count * anatomy.slices);
  const labels = new Uint8Array(count * anatomy.slices);
  for (let k = 0; k < anatomy.slices; k++) {
    const slice = drawSlice(anatomy, k, sizePx);
    hu.set(slice.hu, k * count);
    labels.set(slice.labels, k * count);
  }
  const size = [sizePx, sizePx, anatomy.slices] as const;
  const affine = affineOf(anatomy, sizePx);
  return { image: { size, data: hu, affine }, labels: { size, data: labels, affine } };
}

/** Origin at the spine, at the height of the disc L1/L2. */
function affineOf(anatomy: Anatomy, sizePx: number): Affine {
  const { fieldOfViewMm, centre } = anatomy.patient;
  const mm = fieldOfViewMm / sizePx;
  return [
    [-mm, 0, 0, centre[0] * fieldOfViewMm - mm / 2],
    [0, -mm, 0, centre[1] * fieldOfViewMm - mm / 2],
    [0, 0, SLICE_MM, heightMm(anatomy, 0)],
  ];
}
