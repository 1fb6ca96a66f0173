// What nnU-Net sees at once: a picture, or in three dimensions a volume put together from its slices. Grey or colour planes and masks
// as they are stored. Not here: cropping, resampling, normalising (training/nnunet/prepare.ts).

import { DataError } from '@maskrank/torch/errors';
import type { LabelledCase, OpenDataset, UnlabelledCase } from '../../datasets/cases.ts';
import type { Image, Mask } from '../../imaging/types.ts';
import type { Dimension, Sizes } from '../../models/nnunet/index.ts';
import type { Grid } from '../../training/nnunet/grid.ts';
import type { ClassMasks } from '../../training/nnunet/postprocess.ts';
import { volumesOf } from '../volumes.ts';

type AnyCase = LabelledCase | UnlabelledCase;

export type Subject<C extends AnyCase = LabelledCase> = {
  readonly id: string;
  /** A picture's one, at place 0; a volume's, those that the dataset lacks stay empty. */
  readonly slices: readonly { readonly item: C; readonly place: number }[];
  readonly depth: number;
  /** Between slices, rows, columns: mm, or pixels where nobody knows. */
  readonly spacing: Sizes;
};

/** So far apart that a picture is never mixed with anything through its plane. */
const ALONE = 999;

/** Throws DataError where volumes are wanted and cases are none. */
export function subjectsOf<C extends AnyCase>(cases: readonly C[], dimension: Dimension): Subject<C>[] {
  if (dimension === 2)
    return cases.map((item) => {
      const [, rows, columns] = item.volume?.spacingMm ?? [ALONE, 1, 1];
      return { id: item.id, slices: [{ item, place: 0 }], depth: 1, spacing: [ALONE, rows, columns] };
    });
  const volumes = volumesOf(cases);
  if (volumes.length === 0)
    throw new DataError(
      'baseline nnunet: the images are no slices of volumes, so there is nothing in three dimensions. Give volumes (.nii, .nii.gz; as a dataset: maskrank dataset import volumes SOURCE --out DATASET), or train with --baselines.nnunet.dimension 2d',
    );
  return volumes.map(({ spacingMm = [1, 1, 1], ...volume }) => ({ ...volume, spacing: spacingMm }));
}

type Loader = Pick<OpenDataset, 'loadImage' | 'loadMask'>;

/** Planes [channels, D, H, W]. Throws DataError where slices of a volume differ in size. */
export async function loadGrid(
  subject: Subject<AnyCase>,
  { loadImage }: Pick<Loader, 'loadImage'>,
  channels: number,
): Promise<Grid<Uint8Array>> {
  let grid: Grid<Uint8Array> | undefined;
  for (const { item, place } of subject.slices) {
    const slice = planesOfPicture(await loadImage(item), channels);
    grid ??= emptyGrid(subject, slice, channels);
    put(grid, slice, place, item.id);
  }
  return grid as Grid<Uint8Array>;
}

/** Masks [C, D, H, W] of 0 and 1. */
export async function loadMasks(
  subject: Subject,
  { loadMask }: Pick<Loader, 'loadMask'>,
  classIds: readonly number[],
): Promise<ClassMasks> {
  let grid: Grid<Uint8Array> | undefined;
  for (const { item, place } of subject.slices) {
    const masks = await Promise.all(classIds.map((classId) => loadMask(item, classId)));
    const { width, height } = masks[0] as Mask;
    const values = new Uint8Array(masks.length * width * height);
    for (const [c, { data }] of masks.entries()) values.set(data, c * width * height);
    const slice = { shape: [height, width], channels: masks.length, values };
    grid ??= emptyGrid(subject, slice, masks.length);
    put(grid, slice, place, item.id);
  }
  const { shape, values } = grid as Grid<Uint8Array>;
  return { shape, classes: classIds.length, data: values };
}

function emptyGrid({ depth }: Pick<Subject, 'depth'>, { shape }: Grid, channels: number): Grid<Uint8Array> {
  const [height, width] = shape as readonly [number, number];
  return {
    shape: [depth, height, width],
    channels,
    values: new Uint8Array(channels * depth * height * width),
  };
}

function put(
  { shape, channels, values }: Grid<Uint8Array>,
  slice: Grid<Uint8Array>,
  place: number,
  id: string,
): void {
  const [depth, height, width] = shape as readonly [number, number, number];
  const [ownHeight, ownWidth] = slice.shape;
  if (ownHeight !== height || ownWidth !== width)
    throw new DataError(
      `baseline nnunet: slice ${id} is ${ownWidth} x ${ownHeight}, others of its volume are ${width} x ${height}; slices of a volume must be of one size.`,
    );
  const count = height * width;
  for (let c = 0; c < channels; c++)
    values.set(slice.values.subarray(c * count, (c + 1) * count), (c * depth + place) * count);
}

/** Planes of a picture: one, or red, green and blue. A colour picture among grey ones becomes its mean. */
export function planesOfPicture(
  { width, height, channels: given, data }: Image,
  channels: number,
): Grid<Uint8Array> {
  const count = width * height;
  const values = new Uint8Array(channels * count);
  const at = (i: number, c: number): number => data[given * i + c] as number;
  const read: (i: number, c: number) => number =
    given === 1
      ? (i) => at(i, 0)
      : channels === 3
        ? at
        : (i) => Math.round((at(i, 0) + at(i, 1) + at(i, 2)) / 3);
  for (let c = 0; c < channels; c++) for (let i = 0; i < count; i++) values[c * count + i] = read(i, c);
  return { shape: [height, width], channels, values };
}

/** Whether a picture has any colour. */
export function hasColour({ channels, data }: Image): boolean {
  if (channels === 1) return false;
  for (let i = 0; i < data.length; i += 3)
    if (data[i] !== data[i + 1] || data[i] !== data[i + 2]) return true;
  return false;
}
