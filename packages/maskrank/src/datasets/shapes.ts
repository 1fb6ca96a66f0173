// Datasets of generated shapes, for the demonstration, tests and examples: pictures that look somewhat like breast
// ultrasound or chest X-rays, with exact masks. They are painted by eye, not simulated, and stand for nothing clinical:
// a model trained on them is of no use on patients. Deterministic: the same family, seed and number give the same pixels, and with the
// same version of sharp the same files.

import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { UsageError } from '@maskrank/torch/errors';
import { writeFileAtomic } from '@maskrank/torch/io';
import type { Image, Mask } from '../imaging/types.ts';
import { Random } from '../util/random.ts';
import { didYouMean } from './artefact.ts';
import { datasetHash, fileHash } from './hash.ts';
import { encodeMask, encodeSourceImage } from './importers/pixels.ts';
import type { CaseRecord, Dataset, DatasetClass, FileRecord } from './schema.ts';
import { DATASET_FILE } from './schema.ts';
import { drawBreast, drawBreastPatient } from './shapes/breast.ts';
import { drawChest, drawChestPatient } from './shapes/chest.ts';

/** A picture with its mask; `pathology` becomes a tag. */
export type ShapePicture = { readonly image: Image; readonly mask: Mask; readonly pathology: string };

type Family = {
  readonly modality: string;
  readonly class: DatasetClass;
  /** `patient` is the stream that pictures of one patient share. */
  readonly draw: (patient: Random, picture: Random, size: number) => ShapePicture;
};

/** The families by name. */
export const SHAPE_FAMILIES = {
  breast: {
    modality: 'ultrasound',
    class: { id: 1, name: 'lesion', prompts: ['breast tumor'] },
    draw: (patient, picture, size) => {
      const { image, lesion, pathology } = drawBreast(picture, drawBreastPatient(patient), size);
      return { image, mask: lesion, pathology };
    },
  },
  chest: {
    modality: 'x-ray',
    class: { id: 1, name: 'lung', prompts: ['chest x-ray'], maxComponents: 2 },
    draw: (patient, picture, size) => {
      const { image, lung, pathology } = drawChest(picture, drawChestPatient(patient), size);
      return { image, mask: lung, pathology };
    },
  },
} as const satisfies Record<string, Family>;

export type ShapeFamily = keyof typeof SHAPE_FAMILIES;

export type ShapesRequest = {
  readonly family: string;
  /** Number of cases, at least 1. */
  readonly cases: number;
  readonly seed: number | string;
  /** New or empty folder. */
  readonly out: string;
  /** Side in pixels. Default 256. */
  readonly sizePx?: number;
  readonly onProgress?: (progress: {
    readonly done: number;
    readonly total: number;
    readonly name: string;
  }) => void;
  readonly signal?: AbortSignal;
};

/** One picture out of a family, case number `index`; every third patient has two. */
export function drawShape(
  family: ShapeFamily,
  seed: number | string,
  index: number,
  sizePx = 256,
): ShapePicture {
  const stream = new Random(seed).fork(`shapes ${family}`);
  return SHAPE_FAMILIES[family].draw(
    stream.fork(`patient ${patientOf(index)}`),
    stream.fork(`picture ${index}`),
    sizePx,
  );
}

/** Writes images, masks and dataset.json; throws UsageError for bad arguments and a folder that is not empty. */
export async function makeShapes(
  request: ShapesRequest,
): Promise<{ dir: string; dataset: Dataset; hash: string }> {
  const { family, cases, seed, sizePx = 256 } = request;
  if (!Object.hasOwn(SHAPE_FAMILIES, family)) {
    const names = Object.keys(SHAPE_FAMILIES);
    throw new UsageError(
      `shapes: no family "${family}".${didYouMean(family, names)} Allowed: ${names.join(', ')}.`,
    );
  }
  if (!Number.isInteger(cases) || cases < 1)
    throw new UsageError(`shapes: cases = ${cases}; allowed: a whole number from 1.`);
  if (!Number.isInteger(sizePx) || sizePx < 64 || sizePx > 2048)
    throw new UsageError(`shapes: sizePx = ${sizePx}; allowed: 64 to 2048.`);
  const dir = resolve(request.out);
  const name = family as ShapeFamily;
  const cls = SHAPE_FAMILIES[name].class;
  await mkdir(dir, { recursive: true });
  const present = await readdir(dir);
  if (present.length > 0)
    throw new UsageError(
      `shapes: ${dir} is not empty (${present.slice(0, 3).join(', ')}). Choose a new folder.`,
    );
  await mkdir(join(dir, 'images'));
  await mkdir(join(dir, 'masks', cls.name), { recursive: true });

  const files: Record<string, FileRecord> = {};
  const store = async (path: string, bytes: Uint8Array) => {
    await writeFile(join(dir, path), bytes);
    files[path] = await fileHash(join(dir, path));
  };
  const records: CaseRecord[] = [];
  for (let index = 0; index < cases; index++) {
    request.signal?.throwIfAborted();
    const id = `${family}_${`${index}`.padStart(4, '0')}`;
    const { image, mask, pathology } = drawShape(name, seed, index, sizePx);
    const empty = !mask.data.includes(1);
    await store(`images/${id}.png`, await encodeSourceImage(image));
    const maskPath = `masks/${cls.name}/${id}.png`;
    if (!empty) await store(maskPath, await encodeMask(mask));
    records.push({
      id,
      image: `images/${id}.png`,
      masks: empty ? {} : { [`${cls.id}`]: maskPath },
      group: `patient_${`${patientOf(index)}`.padStart(4, '0')}`,
      tags: { pathology, collection: 'shapes' },
      ...(empty ? { empty: true as const } : {}),
    });
    request.onProgress?.({ done: index + 1, total: cases, name: id });
  }
  const dataset: Dataset = {
    schemaVersion: 1,
    name: `shapes-${family}`,
    modality: SHAPE_FAMILIES[name].modality,
    classes: [cls],
    cases: records,
    files,
  };
  await writeFileAtomic(join(dir, DATASET_FILE), `${JSON.stringify(dataset, null, 2)}\n`);
  return { dir, dataset, hash: datasetHash(dataset) };
}

/** Cases 0, 1 | 2 | 3 | 4, 5 | …: of four cases two share a patient. */
function patientOf(index: number): number {
  return Math.floor(index / 4) * 3 + Math.max(0, (index % 4) - 1);
}
