// Content hashes: of a file, and of a dataset. A dataset's hash covers what a result depends on - classes, case ids,
// groups, places in volumes, and the bytes of images and masks - and nothing else: not names, prompts, tags, paths, dates or the order of
// the cases. So copies agree, and a changed pixel, mask or group does not. Not here: checking files against it (verify.ts).

import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { DataError } from '@maskrank/torch/errors';
import { listProblems } from './artefact.ts';
import type { CaseRecord, Dataset, FileRecord } from './schema.ts';

/** Version of the rule below; part of what is hashed. */
const RULE = 'maskrank dataset 1';

/** SHA-256 and size of a file, read as a stream. Rejects with the system's error. */
export async function fileHash(path: string): Promise<FileRecord> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) {
    hash.update(chunk as Buffer);
    bytes += (chunk as Buffer).length;
  }
  return { sha256: hash.digest('hex'), bytes };
}

/** Paths of a case: the image first, then its masks in order of class id. */
export function caseFiles(record: CaseRecord): string[] {
  return [record.image, ...maskEntries(record).map(([, path]) => path)];
}

/** Class id and path of each mask, in order of id. */
export function maskEntries(record: CaseRecord): [number, string][] {
  return Object.entries(record.masks)
    .map(([id, path]): [number, string] => [Number(id), path])
    .sort(([a], [b]) => a - b);
}

/** Hash of a dataset whose `files` name every image and mask. Throws DataError for files without a record. */
export function datasetHash(dataset: Dataset): string {
  const files = dataset.files ?? {};
  const unknown = dataset.cases.flatMap(caseFiles).filter((path) => files[path] === undefined);
  if (unknown.length > 0)
    throw new DataError(listProblems(`dataset "${dataset.name}": no content hash recorded for`, unknown));
  const content = {
    rule: RULE,
    classes: dataset.classes.map((c): [number, string] => [c.id, c.name]).sort(([a], [b]) => a - b),
    cases: [...dataset.cases]
      .sort((a, b) => (a.id < b.id ? -1 : 1))
      .map((c) => [
        c.id,
        c.group,
        files[c.image]!.sha256,
        maskEntries(c).map(([id, path]) => [id, files[path]!.sha256]),
        c.empty === true,
        ...(c.volume === undefined ? [] : [[c.volume.id, c.volume.slice, c.volume.spacingMm ?? null]]),
      ]),
  };
  return createHash('sha256').update(JSON.stringify(content)).digest('hex');
}

/** The dataset with `files` filled in for whatever lacks a record. Throws DataError listing all unreadable files. */
export async function withFileRecords(dir: string, dataset: Dataset): Promise<Dataset> {
  const files: Record<string, FileRecord> = { ...dataset.files };
  const faults: string[] = [];
  for (const path of dataset.cases.flatMap(caseFiles)) {
    if (files[path] !== undefined) continue;
    try {
      files[path] = await fileHash(join(dir, path));
    } catch (error) {
      faults.push(`${path} (${(error as NodeJS.ErrnoException).code ?? String(error)})`);
    }
  }
  if (faults.length > 0) throw new DataError(listProblems(`${dir}: files cannot be read`, faults));
  return { ...dataset, files };
}
