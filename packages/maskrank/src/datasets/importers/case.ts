// One case of a source -> its files in the dataset: the image as it is (8-bit PNG and JPEG) or converted to PNG, one
// binary PNG a class. Nothing is written before everything about the case is known to be right. Not here: which files
// belong to a case (the importers), the dataset's description (run.ts).

import { copyFile, mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DataError } from '@maskrank/torch/errors';
import type { Fingerprint } from '../fingerprint.ts';
import { fingerprint } from '../fingerprint.ts';
import { fileHash } from '../hash.ts';
import { slug } from '../names.ts';
import type { CaseRecord, DatasetClass, FileRecord } from '../schema.ts';
import type { MaskRules } from './mask-values.ts';
import { readMaskValues } from './mask-values.ts';
import { encodeMask, encodeSourceImage, readSourceImage, readSourceMask } from './pixels.ts';
import type { PlannedCase } from './types.ts';
import type { VolumeReader } from './volume-slices.ts';

/** A case that has been written. */
export type ImportedCase = {
  readonly record: Omit<CaseRecord, 'group'>;
  readonly files: Readonly<Record<string, FileRecord>>;
  /** What was done to the image beyond copying it. */
  readonly conversion?: string;
  readonly print: Fingerprint;
};

/** The case, or everything that is wrong with it. */
export type CaseOutcome = { readonly imported: ImportedCase } | { readonly problems: readonly string[] };

export async function importCase(
  planned: PlannedCase,
  id: string,
  out: string,
  rules: MaskRules,
  volumes: VolumeReader,
): Promise<CaseOutcome> {
  const { cut } = planned;
  const problems: string[] = [];
  const reading = cut === undefined ? readSourceImage(planned.image) : volumes.image(planned.image, cut);
  const image = await reading.catch((error: unknown) => collect(problems, error));
  const united = new Map<number, Uint8Array>();
  for (const mask of planned.masks ?? []) {
    const reading = cut === undefined ? readSourceMask(mask.path) : volumes.mask(mask.path, cut);
    const values = await reading.catch((error: unknown) => collect(problems, error));
    if (values === undefined || image === undefined) continue;
    const { width, height } = image.image;
    if (values.width !== width || values.height !== height) {
      problems.push(
        `${mask.path}: the mask is ${values.width} x ${values.height}, its image ${planned.image} is ${width} x ${height}; sizes must be equal.`,
      );
      continue;
    }
    const found = readMaskValues(mask, values, rules);
    if ('problem' in found) problems.push(`${mask.path}: ${found.problem}`);
    else for (const [classId, data] of found.masks) united.set(classId, unite(united.get(classId), data));
  }
  if (image === undefined || problems.length > 0) return { problems };

  const { width, height } = image.image;
  const files: Record<string, FileRecord> = {};
  const imagePath = `images/${id}${image.keep ?? '.png'}`;
  await store(
    out,
    imagePath,
    files,
    image.keep === undefined ? await encodeSourceImage(image.image) : planned.image,
  );
  const masks: Record<string, string> = {};
  for (const [classId, data] of [...united].sort(([a], [b]) => a - b)) {
    const path = `masks/${classFolder(rules.classes, classId)}/${id}.png`;
    await store(out, path, files, await encodeMask({ width, height, data }));
    masks[`${classId}`] = path;
  }
  const empty = planned.masks !== undefined && united.size === 0;
  const tags = Object.keys(planned.tags).length === 0 ? {} : { tags: { ...planned.tags } };
  const volume = planned.volume === undefined ? {} : { volume: planned.volume };
  return {
    imported: {
      record: { id, image: imagePath, masks, ...volume, ...tags, ...(empty ? { empty: true as const } : {}) },
      files,
      ...(image.conversion === undefined ? {} : { conversion: image.conversion }),
      print: fingerprint(image.image),
    },
  };
}

/** Folder of a class below masks/: its name, made safe; with the id where two classes would share a folder. */
function classFolder(classes: readonly DatasetClass[], classId: number): string {
  const folders = classes.map((c) => slug(c.name).toLowerCase());
  const folder = folders[classes.findIndex((c) => c.id === classId)]!;
  return folders.filter((f) => f === folder).length > 1 ? `${folder}-${classId}` : folder;
}

/** Adds the pixels of `b` to `a`. */
function unite(a: Uint8Array | undefined, b: Uint8Array): Uint8Array {
  if (a === undefined) return b;
  for (let i = 0; i < a.length; i++) a[i]! |= b[i]!;
  return a;
}

function collect(problems: string[], error: unknown): undefined {
  if (!(error instanceof DataError)) throw error;
  problems.push(error.message);
}

/** Writes bytes, or copies a file, under a temporary name first. */
async function store(
  out: string,
  path: string,
  files: Record<string, FileRecord>,
  content: Uint8Array | string,
): Promise<void> {
  const target = join(out, path);
  const temporary = `${target}.part`;
  try {
    await mkdir(dirname(target), { recursive: true });
    if (typeof content === 'string') await copyFile(content, temporary);
    else await writeFile(temporary, content);
    files[path] = await fileHash(temporary);
    await rename(temporary, target);
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    throw new DataError(
      `import: cannot write ${target} (${code ?? message}). Free space or choose another folder; the same import goes on where it stopped.`,
      { cause },
    );
  }
}
