// A dataset in memory: cases and access to their pixels. A labelled case knows where its masks are; an unlabelled case
// has no such field, so whoever is given one cannot look at ground truth. Not here: caching, resizing, augmentation.

import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { DataError, UsageError } from '@maskrank/torch/errors';
import { probeImage, readImage, readMask } from '../formats/raster.ts';
import type { Image, Mask } from '../imaging/types.ts';
import { didYouMean, listProblems, readArtefact } from './artefact.ts';
import { datasetHash, maskEntries, withFileRecords } from './hash.ts';
import { mapParallel } from './parallel.ts';
import type { CaseRecord, Dataset, SlicePlace } from './schema.ts';
import { DATASET_FILE, DatasetSchema } from './schema.ts';

/** A case without ground truth, or one whose ground truth must not be seen. */
export type UnlabelledCase = {
  readonly kind: 'unlabelled';
  readonly id: string;
  readonly group: string;
  /** Absolute path. */
  readonly imagePath: string;
  /** For slices. */
  readonly volume?: SlicePlace;
};

/** A case with ground truth. */
export type LabelledCase = {
  readonly kind: 'labelled';
  readonly id: string;
  readonly group: string;
  /** Absolute path. */
  readonly imagePath: string;
  /** Class id -> absolute path of its mask; a class without an entry is absent from the image. */
  readonly maskPaths: ReadonlyMap<number, string>;
  /** For slices. */
  readonly volume?: SlicePlace;
};

/** A dataset whose description has been read and whose files are all there. */
export type OpenDataset = {
  /** Absolute path of the folder. */
  readonly dir: string;
  readonly dataset: Dataset;
  /** Content hash; goes into every artefact made from the dataset. */
  readonly hash: string;
  /** Cases with their masks, in the order of `ids`. Default: all that have ground truth. Throws DataError for a case without. */
  readonly labelled: (ids?: readonly string[]) => LabelledCase[];
  /** The same cases stripped of their masks, in the order of `ids`. Default: all. */
  readonly unlabelled: (ids?: readonly string[]) => UnlabelledCase[];
  /** 8-bit pixels of a case's image at its own size. */
  readonly loadImage: (item: LabelledCase | UnlabelledCase) => Promise<Image>;
  /** Mask of a class at the image's size; all 0 when the class is absent. Throws UsageError for an unknown class. */
  readonly loadMask: (item: LabelledCase, classId: number) => Promise<Mask>;
};

/**
 * Opens DATASET/dataset.json and checks that every file is there with the size recorded at import (contents are compared
 * by `verifyDataset`). Throws DataError listing all that is wrong.
 */
export async function openDataset(dir: string): Promise<OpenDataset> {
  const root = resolve(dir);
  const dataset = await withFileRecords(root, await readDataset(root));
  await checkFiles(root, dataset);
  const byId = new Map(dataset.cases.map((c) => [c.id, c]));
  const find = (id: string): CaseRecord => {
    const record = byId.get(id);
    if (record !== undefined) return record;
    throw new UsageError(
      `dataset "${dataset.name}": no case "${id}".${didYouMean(id, byId.keys())} It has ${byId.size} cases.`,
    );
  };
  const allIds = dataset.cases.map((c) => c.id);
  const knownIds = dataset.cases.filter((c) => c.empty || Object.keys(c.masks).length > 0).map((c) => c.id);

  return {
    dir: root,
    dataset,
    hash: datasetHash(dataset),
    labelled: (ids = knownIds) => ids.map((id) => labelledCase(root, find(id))),
    unlabelled: (ids = allIds) => ids.map((id) => unlabelledCase(root, find(id))),
    loadImage: ({ imagePath }) => readImage(imagePath),
    loadMask: async (item, classId) => {
      const path = item.maskPaths.get(classId);
      if (path !== undefined) return readMask(path);
      if (!dataset.classes.some((c) => c.id === classId)) {
        const known = dataset.classes.map((c) => `${c.id}=${c.name}`).join(', ');
        throw new UsageError(`dataset "${dataset.name}": no class ${classId}; allowed: ${known}.`);
      }
      const { width, height } = await probeImage(item.imagePath);
      return { width, height, data: new Uint8Array(width * height) };
    },
  };
}

/** Reads and validates the description alone. */
export async function readDataset(dir: string): Promise<Dataset> {
  const path = join(dir, DATASET_FILE);
  const there = await stat(path).catch(() => undefined);
  if (there === undefined)
    throw new DataError(
      `${path} does not exist: ${dir} is no dataset. Import one first: maskrank dataset import folder SOURCE --out ${dir}`,
    );
  return readArtefact(path, DatasetSchema);
}

function labelledCase(root: string, record: CaseRecord): LabelledCase {
  const masks = maskEntries(record);
  if (masks.length === 0 && record.empty !== true)
    throw new DataError(
      `case "${record.id}" has no ground truth (no masks, and not marked empty), so it cannot be labelled, validation or test.`,
    );
  return {
    kind: 'labelled',
    id: record.id,
    group: record.group,
    imagePath: join(root, record.image),
    maskPaths: new Map(masks.map(([id, path]) => [id, join(root, path)])),
    ...placeOf(record),
  };
}

function unlabelledCase(root: string, record: CaseRecord): UnlabelledCase {
  return {
    kind: 'unlabelled',
    id: record.id,
    group: record.group,
    imagePath: join(root, record.image),
    ...placeOf(record),
  };
}

const placeOf = ({ volume }: CaseRecord) => (volume === undefined ? {} : { volume });

async function checkFiles(root: string, dataset: Dataset): Promise<void> {
  const faults = await mapParallel(Object.entries(dataset.files ?? {}), 32, async ([path, { bytes }]) => {
    const found = await stat(join(root, path)).catch(() => undefined);
    if (found === undefined) return [`${path}: missing`];
    return found.size === bytes ? [] : [`${path}: ${found.size} bytes, ${bytes} at import`];
  });
  const lines = faults.flat();
  if (lines.length > 0)
    throw new DataError(
      listProblems(
        `${root}: ${lines.length} file(s) differ from what was imported; restore them or import again`,
        lines,
      ),
    );
}
