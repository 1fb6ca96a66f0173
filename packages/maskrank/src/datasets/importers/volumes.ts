// Importer `volumes`: a folder of NIfTI scans with label maps of the same names, cut into axial slices; nnU-Net's raw layout too
// (imagesTr/NAME_0000.nii.gz, labelsTr/NAME.nii.gz, dataset.json). All slices of a volume are one group. Not here: AMOS
// (amos.ts), pixels (volume-slices.ts).

import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DataError, UsageError } from '@maskrank/torch/errors';
import * as z from 'zod';
import { isNiftiName, readNifti, readNiftiHeader, withoutNiftiEnding } from '../../formats/nifti-read.ts';
import { parseWindow, SOFT_TISSUE_HU, type WindowRule } from '../../formats/window.ts';
import { axialView, sliceName, takeSlice } from '../../imaging/axial.ts';
import { readArtefact } from '../artefact.ts';
import { mapParallel } from '../parallel.ts';
import type { DatasetClass } from '../schema.ts';
import { defaultName, findLayout, layoutError, list, parseClasses } from './source.ts';
import type { Importer, ImportOptions, ImportPlan, PlannedCase } from './types.ts';

const LAYOUT =
  'images/ and labels/ with NAME.nii.gz in both, or imagesTr/NAME_0000.nii.gz with labelsTr/NAME.nii.gz';

/** Folders of scans and of labels, by the names that people give them. */
const FOLDERS = [
  ['images', 'labels'],
  ['images', 'masks'],
  ['imagesTr', 'labelsTr'],
] as const;

/** A scan and its label map, if it has one. */
export type SourceVolume = {
  readonly name: string;
  readonly image: string;
  readonly labels: string | undefined;
  readonly tags: Readonly<Record<string, string>>;
};

/** Options that mean something for every importer of volumes. */
export const VOLUME_OPTIONS = [
  'classes',
  'window',
  'slices',
  'sliceStep',
] as const satisfies readonly (keyof ImportOptions)[];

export const volumes: Importer = {
  summary: 'NIfTI volumes with label maps, cut into axial slices',
  layout: LAYOUT,
  accepts: VOLUME_OPTIONS,
  scan: async (source, options) => {
    for (const [images, labels] of FOLDERS) {
      const dir = await findLayout(source, [images, labels]);
      if (dir === undefined) continue;
      const found = await pairsIn(dir, images, labels);
      const described = await labelsOf(join(dir, 'dataset.json'));
      const classes =
        options.classes !== undefined
          ? parseClasses(options.classes)
          : (described ?? [{ id: 1, name: 'foreground' }]);
      return {
        name: options.name ?? defaultName(source),
        modality: options.modality ?? 'ct',
        classes,
        groupNearDuplicates: false,
        ...(await planSlices(found, options)),
      };
    }
    throw await layoutError('volumes', source, LAYOUT);
  },
};

async function pairsIn(dir: string, images: string, labels: string): Promise<SourceVolume[]> {
  const scans = await niftiIn(join(dir, images));
  const masks = new Map((await niftiIn(join(dir, labels))).map((file) => [withoutNiftiEnding(file), file]));
  return scans.map((file) => {
    const whole = withoutNiftiEnding(file);
    // nnU-Net numbers the channels of a scan; the first is what its labels were drawn on.
    const name = masks.has(whole) ? whole : whole.replace(/_0000$/, '');
    const mask = masks.get(name);
    return {
      name,
      image: join(dir, images, file),
      labels: mask === undefined ? undefined : join(dir, labels, mask),
      tags: {},
    };
  });
}

/** Names of the volumes in a folder, in natural order. */
export async function niftiIn(dir: string): Promise<string[]> {
  return (await list(dir)).filter((e) => !e.isDirectory() && isNiftiName(e.name)).map((e) => e.name);
}

/** Classes of a dataset.json of nnU-Net or of a challenge, {"1": "spleen"} or {"spleen": 1}; undefined where there is none. */
export async function labelsOf(path: string): Promise<DatasetClass[] | undefined> {
  if ((await stat(path).catch(() => undefined)) === undefined) return undefined;
  const { labels } = await readArtefact(path, z.object({ labels: z.unknown() }));
  if (typeof labels !== 'object' || labels === null) return undefined;
  const classes = Object.entries(labels)
    .map(([key, value]) =>
      /^\d+$/.test(key) ? { id: Number(key), name: String(value) } : { id: Number(value), name: key },
    )
    .filter(({ id }) => id !== 0)
    .sort((a, b) => a.id - b.id);
  const bad = classes.find(({ id, name }) => !Number.isInteger(id) || id < 1 || id > 255 || name === '');
  if (bad !== undefined)
    throw new DataError(
      `${path}: label "${bad.name}" has the value ${bad.id}; allowed: whole numbers from 1 to 255. Give --classes in its place.`,
    );
  return classes.length === 0 ? undefined : classes;
}

/** The cases of these volumes: their axial slices, as the options say. */
export async function planSlices(
  found: readonly SourceVolume[],
  options: ImportOptions,
  byDefault: WindowRule = SOFT_TISSUE_HU,
): Promise<Pick<ImportPlan, 'cases' | 'notes' | 'problems'>> {
  const window = options.window === undefined ? byDefault : parseWindow(options.window);
  const step = options.sliceStep ?? 1;
  if (!Number.isInteger(step) || step < 1)
    throw new UsageError(`import: sliceStep = ${options.sliceStep}; allowed: whole numbers from 1.`);
  const problems: string[] = [];
  const all = await mapParallel(found, 4, async (volume): Promise<PlannedCase[]> => {
    try {
      return await slicesOf(volume, { window, step, onlyLabelled: options.slices === 'labelled' });
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      problems.push(error.message);
      return [];
    }
  });
  const bare = found.filter(({ labels }) => labels === undefined).map(({ name }) => name);
  const notes =
    bare.length === 0
      ? []
      : [
          {
            message: `${bare.length} volume(s) without labels: their slices can only be unlabelled`,
            files: bare,
          },
        ];
  return { cases: all.flat(), notes, problems: problems.sort() };
}

async function slicesOf(
  { name, image, labels, tags }: SourceVolume,
  how: { readonly window: WindowRule; readonly step: number; readonly onlyLabelled: boolean },
): Promise<PlannedCase[]> {
  const { size, affine } = await readNiftiHeader(image);
  const { shape, spacingMm } = axialView(size, affine);
  const [count, height, width] = shape;
  if (labels !== undefined) {
    const own = await readNiftiHeader(labels);
    const [slices, rows, columns] = axialView(own.size, own.affine).shape;
    if (slices !== count || rows !== height || columns !== width)
      throw new DataError(
        `${labels}: ${slices} axial slices of ${columns} x ${rows}, its scan ${image} has ${count} of ${width} x ${height}; sizes must be equal.`,
      );
  }
  const wanted = how.onlyLabelled && labels !== undefined ? await labelledSlices(labels) : undefined;
  const chosen = Array.from({ length: Math.ceil(count / how.step) }, (_, i) => i * how.step);
  return chosen
    .filter((slice) => wanted?.has(slice) ?? true)
    .map(
      (slice): PlannedCase => ({
        name: sliceName(name, slice),
        image,
        masks: labels === undefined ? undefined : [{ kind: 'class-coded', path: labels }],
        group: name,
        tags,
        cut: { slice, window: how.window },
        volume: { id: name, slice, spacingMm: [...spacingMm] },
      }),
    );
}

/** Slices in which the label map holds anything. */
async function labelledSlices(path: string): Promise<Set<number>> {
  const { size, affine, data } = await readNifti(path);
  const view = axialView(size, affine);
  const slices = Array.from({ length: view.shape[0] }, (_, k) => k);
  return new Set(slices.filter((k) => takeSlice(view, data, k).some((v) => v !== 0)));
}
