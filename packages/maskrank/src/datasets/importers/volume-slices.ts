// Axial slices of NIfTI volumes as the images and masks of cases: intensities cut to a window and written in 8 bit, labels as they
// are. Volumes are read once and kept while their slices are made. Not here: which slices there are (volumes.ts, amos.ts).

import { DataError } from '@maskrank/torch/errors';
import { readNifti } from '../../formats/nifti-read.ts';
import { type WindowRule, windowOf, windowToBytes } from '../../formats/window.ts';
import { type AxialView, axialView, takeSlice } from '../../imaging/axial.ts';
import type { Volume } from '../../imaging/volume.ts';
import type { MaskValues } from './mask-values.ts';
import type { SourceImage } from './pixels.ts';

/** A case that is a slice of the volumes in its files. */
export type SliceCut = {
  /** From the feet, 0-based (imaging/axial.ts). */
  readonly slice: number;
  readonly window: WindowRule;
};

/** Pixels of slices; keeps the volumes last asked for. */
export type VolumeReader = {
  readonly image: (path: string, cut: SliceCut) => Promise<SourceImage>;
  readonly mask: (path: string, cut: SliceCut) => Promise<MaskValues>;
};

type Opened = {
  readonly volume: Volume;
  readonly view: AxialView;
  readonly windows: Map<string, readonly [number, number]>;
};

/** Image and labels of this volume and the next, between which cases are made at the same time. */
const KEPT = 4;

export function openVolumes(): VolumeReader {
  const kept = new Map<string, Promise<Opened>>();
  const opened = (path: string): Promise<Opened> => {
    const found = kept.get(path) ?? open(path);
    kept.delete(path); // to the end: the last one used
    kept.set(path, found);
    for (const oldest of kept.keys()) {
      if (kept.size <= KEPT) break;
      kept.delete(oldest);
    }
    return found;
  };
  return {
    image: async (path, { slice, window }) => {
      const { volume, view, windows } = await opened(path);
      const key = String(window);
      const ends = windows.get(key) ?? windowOf(window, volume.data);
      windows.set(key, ends);
      const [, height, width] = view.shape;
      const data = windowToBytes(takeSlice(view, volume.data, within(path, view, slice)), ends);
      const range = window === 'percentile' ? 'between percentiles' : `from ${window[0]} to ${window[1]}`;
      return {
        image: { width, height, channels: 1, data },
        keep: undefined,
        conversion: `slices of a volume, values ${range}: written as 8-bit PNG`,
      };
    },
    mask: async (path, { slice }) => {
      const { volume, view } = await opened(path);
      const [, height, width] = view.shape;
      const values = takeSlice(view, volume.data, within(path, view, slice));
      const wrong = values.findIndex((v) => !(Number.isInteger(v) && v >= 0 && v <= 65535));
      if (wrong >= 0)
        throw new DataError(
          `mask ${path}: value ${values[wrong]} in slice ${slice}; allowed: whole numbers from 0.`,
        );
      return { width, height, data: Uint16Array.from(values), lossy: false };
    },
  };
}

async function open(path: string): Promise<Opened> {
  const volume = await readNifti(path);
  return { volume, view: axialView(volume.size, volume.affine), windows: new Map() };
}

function within(path: string, { shape }: AxialView, slice: number): number {
  if (slice < shape[0]) return slice;
  throw new DataError(
    `${path}: has ${shape[0]} axial slices, slice ${slice} is asked for; image and labels must be of one size.`,
  );
}
