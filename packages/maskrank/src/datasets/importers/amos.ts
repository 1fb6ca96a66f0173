// Importer `amos`: AMOS22 (Zenodo 7262581), CT and MR volumes of the abdomen with 15 organs. CT scans have numbers up to 500, MR
// scans larger ones. Labels of the test volumes were never released, so work on it reports the validation volumes: they get
// the tag `split` = test, the training volumes train. Not here: cutting into slices (volumes.ts, volume-slices.ts).

import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DataError, UsageError } from '@maskrank/torch/errors';
import * as z from 'zod';
import { withoutNiftiEnding } from '../../formats/nifti-read.ts';
import { readArtefact } from '../artefact.ts';
import { compareNames } from '../names.ts';
import type { DatasetClass } from '../schema.ts';
import { defaultName, findLayout, layoutError, parseClasses } from './source.ts';
import type { Importer, ImportOptions } from './types.ts';
import { labelsOf, niftiIn, planSlices, type SourceVolume, VOLUME_OPTIONS } from './volumes.ts';

const LAYOUT = 'dataset.json, imagesTr/amos_0001.nii.gz, labelsTr/amos_0001.nii.gz, imagesVa/ and labelsVa/';
const LAST_CT = 500;

export const AMOS_CLASSES: readonly DatasetClass[] = [
  'spleen',
  'right kidney',
  'left kidney',
  'gallbladder',
  'esophagus',
  'liver',
  'stomach',
  'aorta',
  'inferior vena cava',
  'pancreas',
  'right adrenal gland',
  'left adrenal gland',
  'duodenum',
  'bladder',
  'prostate or uterus',
].map((name, i) => ({ id: i + 1, name }));

const Entry = z.object({ image: z.string(), label: z.string() });
/** What of dataset.json is read; the rest is free. */
const AmosJson = z.object({ training: z.array(Entry).optional(), validation: z.array(Entry).optional() });

/** Lists of dataset.json with the folders that stand in for them, and the tag of their cases. */
const PARTS = [
  { list: 'training', images: 'imagesTr', labels: 'labelsTr', split: 'train' },
  { list: 'validation', images: 'imagesVa', labels: 'labelsVa', split: 'test' },
] as const;

export const amos: Importer = {
  summary: 'AMOS22: abdominal CT (and MR) volumes with 15 organs, cut into axial slices',
  layout: LAYOUT,
  accepts: [...VOLUME_OPTIONS, 'scans'],
  scan: async (source, options) => {
    const dir = await findLayout(source, ['imagesTr', 'labelsTr']);
    if (dir === undefined) throw await layoutError('amos', source, LAYOUT);
    const scans = options.scans ?? 'ct';
    const all = (await Promise.all(PARTS.map((part) => volumesOf(dir, part)))).flat();
    const chosen = all.filter(
      ({ name }) => scans === 'both' || numberOf(name) <= LAST_CT === (scans === 'ct'),
    );
    if (chosen.length === 0)
      throw new DataError(
        `import amos: ${dir}: none of ${all.length} labelled volumes is ${scans === 'ct' ? `CT (number up to ${LAST_CT})` : `MR (number above ${LAST_CT})`}. Give --scans both to take what is there.`,
      );
    const plan = await planSlices(chosen, options, scans === 'ct' ? undefined : 'percentile');
    const left = all.length - chosen.length;
    return {
      name: options.name ?? (defaultName(source) || 'amos'),
      modality: options.modality ?? (scans === 'mr' ? 'mri' : 'ct'),
      classes: await classesOf(dir, options),
      groupNearDuplicates: false,
      ...plan,
      notes: [
        ...plan.notes,
        ...(left === 0 ? [] : [{ message: `${left} volume(s) of the other modality left out`, files: [] }]),
        {
          message: 'validation volumes are tagged as test: labels of the test volumes were not released',
          files: [],
        },
      ],
    };
  },
};

/** The number in `amos_0001`. */
function numberOf(name: string): number {
  const number = /(\d+)$/.exec(name)?.[1];
  if (number === undefined)
    throw new DataError(
      `import amos: "${name}" has no number, which tells CT from MR; allowed: amos_0001. Other sets: maskrank dataset import volumes.`,
    );
  return Number(number);
}

/** As dataset.json lists them, else what the folders hold. */
async function volumesOf(dir: string, part: (typeof PARTS)[number]): Promise<SourceVolume[]> {
  const tags = { split: part.split };
  const path = join(dir, 'dataset.json');
  const isThere = (await stat(path).catch(() => undefined)) !== undefined;
  const listed = isThere ? (await readArtefact(path, AmosJson))[part.list] : undefined;
  if (listed !== undefined) {
    return listed
      .map(({ image, label }) => ({
        name: withoutNiftiEnding(image.slice(image.lastIndexOf('/') + 1)),
        image: inside(dir, image, path),
        labels: inside(dir, label, path),
        tags,
      }))
      .sort((a, b) => compareNames(a.name, b.name));
  }
  const labels = new Set(await niftiIn(join(dir, part.labels)));
  return (await niftiIn(join(dir, part.images)))
    .filter((file) => labels.has(file))
    .map((file) => ({
      name: withoutNiftiEnding(file),
      image: join(dir, part.images, file),
      labels: join(dir, part.labels, file),
      tags,
    }));
}

function inside(dir: string, path: string, json: string): string {
  if (path.startsWith('/') || path.split('/').includes('..'))
    throw new UsageError(`${json}: path "${path}" leaves the folder; allowed: paths inside it.`);
  return join(dir, path);
}

/** The released names, with two of them spelt out; as given; or what dataset.json adds. */
async function classesOf(dir: string, { classes }: ImportOptions): Promise<readonly DatasetClass[]> {
  if (classes !== undefined) return parseClasses(classes);
  const described = await labelsOf(join(dir, 'dataset.json'));
  const known = new Set(AMOS_CLASSES.map(({ id }) => id));
  return [...AMOS_CLASSES, ...(described ?? []).filter(({ id }) => !known.has(id))];
}
