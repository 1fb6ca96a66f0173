// Phantoms as a dataset folder: images, a mask a class, dataset.json, and the words in language.jsonl.
// Deterministic: the same family, seed, number and size give the same pixels and words, and with the same version of
// sharp the same files. Not here: how a family draws; dividing into splits.

import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { UsageError } from '@maskrank/torch/errors';
import { writeFileAtomic } from '@maskrank/torch/io';
import { Random } from '../../util/random.ts';
import { didYouMean } from '../artefact.ts';
import { datasetHash, fileHash } from '../hash.ts';
import { encodeMask, encodeSourceImage } from '../importers/pixels.ts';
import type { CaseRecord, Dataset, FileRecord } from '../schema.ts';
import { DATASET_FILE } from '../schema.ts';
import { PHANTOM_FAMILIES } from './families.ts';
import type { PhantomFamily, PhantomImage, PhantomQuestion } from './types.ts';

/** Name of the file with captions and questions inside a folder of phantoms. */
export const LANGUAGE_FILE = 'language.jsonl';

/** A line of language.jsonl. */
export type LanguageLine = {
  readonly case: string;
  readonly captions: readonly string[];
  readonly questions: readonly PhantomQuestion[];
};

export type PhantomsRequest = {
  /** Name of a family. */
  readonly family: string;
  /** Number of cases, at least 1. */
  readonly cases: number;
  readonly seed: number | string;
  /** New or empty folder. */
  readonly out: string;
  /** Longer side of the pictures, px. Default 256. */
  readonly sizePx?: number;
  /** Names of classes to keep; questions about others are left out. Default all of the family. */
  readonly classes?: readonly string[];
  readonly onProgress?: (progress: {
    readonly done: number;
    readonly total: number;
    readonly name: string;
  }) => void;
  readonly signal?: AbortSignal;
};

/** A family by its name; throws UsageError that lists them all. */
export function phantomFamily(name: string): PhantomFamily {
  const found = PHANTOM_FAMILIES.find((family) => family.name === name);
  if (found !== undefined) return found;
  const names = PHANTOM_FAMILIES.map((family) => family.name);
  throw new UsageError(
    `phantoms: no family "${name}".${didYouMean(name, names)} Allowed: ${names.join(', ')}.`,
  );
}

/** Case number `index` of a family; of four cases two share a patient. */
export function drawPhantom(
  family: PhantomFamily,
  seed: number | string,
  index: number,
  sizePx = 256,
): PhantomImage {
  const stream = new Random(seed).fork(`phantoms ${family.name}`);
  return family.draw(
    stream.fork(`patient ${phantomPatient(index)}`),
    stream.fork(`picture ${index}`),
    sizePx,
  );
}

/** Number of the patient of a case: 0, 0, 1, 2, 3, 3, 4, 5, … */
export function phantomPatient(index: number): number {
  return Math.floor(index / 4) * 3 + Math.max(0, (index % 4) - 1);
}

/** Writes the folder; throws UsageError for bad arguments and a folder that is not empty. */
export async function makePhantoms(
  request: PhantomsRequest,
): Promise<{ dir: string; dataset: Dataset; hash: string }> {
  const { cases, seed, sizePx = 256 } = request;
  const family = phantomFamily(request.family);
  if (!Number.isInteger(cases) || cases < 1)
    throw new UsageError(`phantoms: cases = ${cases}; allowed: a whole number from 1.`);
  if (!Number.isInteger(sizePx) || sizePx < 64 || sizePx > 2048)
    throw new UsageError(`phantoms: sizePx = ${sizePx}; allowed: 64 to 2048.`);
  const classes = keptClasses(family, request.classes);
  const dir = resolve(request.out);
  await mkdir(dir, { recursive: true });
  const present = await readdir(dir);
  if (present.length > 0)
    throw new UsageError(
      `phantoms: ${dir} is not empty (${present.slice(0, 3).join(', ')}). Choose a new folder.`,
    );
  await mkdir(join(dir, 'images'));
  for (const cls of classes) await mkdir(join(dir, 'masks', folderOf(cls.name)), { recursive: true });

  const files: Record<string, FileRecord> = {};
  const store = async (path: string, bytes: Uint8Array) => {
    await writeFile(join(dir, path), bytes);
    files[path] = await fileHash(join(dir, path));
  };
  const records: CaseRecord[] = [];
  const lines: string[] = [];
  for (let index = 0; index < cases; index++) {
    request.signal?.throwIfAborted();
    const id = `${family.name}_${`${index}`.padStart(5, '0')}`;
    const { image, masks, captions, questions, tags } = drawPhantom(family, seed, index, sizePx);
    await store(`images/${id}.png`, await encodeSourceImage(image));
    const paths: Record<string, string> = {};
    for (const cls of classes) {
      const mask = masks.get(cls.id);
      if (mask === undefined) continue;
      paths[cls.id] = `masks/${folderOf(cls.name)}/${id}.png`;
      await store(paths[cls.id]!, await encodeMask(mask));
    }
    const empty = Object.keys(paths).length === 0;
    records.push({
      id,
      image: `images/${id}.png`,
      masks: paths,
      group: `patient_${`${phantomPatient(index)}`.padStart(5, '0')}`,
      tags: { ...tags, collection: 'phantoms' },
      ...(empty ? { empty: true as const } : {}),
    });
    const line: LanguageLine = {
      case: id,
      captions,
      questions: questions.filter(({ classId }) => classes.some((cls) => cls.id === classId)),
    };
    lines.push(JSON.stringify(line));
    request.onProgress?.({ done: index + 1, total: cases, name: id });
  }
  const dataset: Dataset = {
    schemaVersion: 1,
    name: `phantoms-${family.name}`,
    modality: family.modality,
    classes,
    cases: records,
    files,
  };
  await writeFileAtomic(join(dir, LANGUAGE_FILE), `${lines.join('\n')}\n`);
  await writeFileAtomic(join(dir, DATASET_FILE), `${JSON.stringify(dataset, null, 2)}\n`);
  return { dir, dataset, hash: datasetHash(dataset) };
}

const folderOf = (name: string): string => name.replaceAll(' ', '-');

function keptClasses(family: PhantomFamily, names: readonly string[] | undefined) {
  if (names === undefined) return [...family.classes];
  const known = family.classes.map(({ name }) => name);
  for (const name of names)
    if (!known.includes(name))
      throw new UsageError(
        `phantoms: ${family.name} has no class "${name}".${didYouMean(name, known)} Allowed: ${known.join(', ')}.`,
      );
  if (names.length === 0) throw new UsageError('phantoms: no class is named; allowed: at least one.');
  return family.classes.filter(({ name }) => names.includes(name));
}
