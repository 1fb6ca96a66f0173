// Looks at every file of a dataset and lists all that is wrong or suspicious, never stopping at the first fault: missing,
// unreadable or changed files, sizes, values, emptiness, constant images, duplicates (exact and near; within and across
// splits), groups torn by a split, masks that vanish when scaled to the model's canvas.
// Not here: mending anything; the wording for a terminal (verify-text.ts).

import { readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { DataError } from '@maskrank/torch/errors';
import { decodeRaster } from '../formats/decode.ts';
import { createGeometry, vanishesOnCanvas } from '../imaging/geometry.ts';
import type { Mask } from '../imaging/types.ts';
import { readDataset } from './cases.ts';
import type { Fingerprint, NearDuplicateOptions } from './fingerprint.ts';
import { fingerprint, nearDuplicates } from './fingerprint.ts';
import { caseFiles, datasetHash, fileHash, maskEntries } from './hash.ts';
import { readSourceImage } from './importers/pixels.ts';
import { mapParallel } from './parallel.ts';
import type { CaseRecord, Dataset, FileRecord, Splits } from './schema.ts';
import { SPLIT_NAMES } from './schema.ts';

/** What a finding means: `error` - results would be wrong; `warning` - look at it; `info` - good to know. */
export type Severity = 'error' | 'warning' | 'info';

/** Every kind of finding with its severity. */
export const FINDING_KINDS = {
  'missing-file': 'error',
  'unreadable-file': 'error',
  'changed-file': 'error',
  'size-mismatch': 'error',
  'mask-values': 'error',
  'empty-mask': 'error',
  'constant-image': 'warning',
  'full-mask': 'warning',
  'contradicting-masks': 'error',
  'duplicate-across-splits': 'error',
  duplicate: 'warning',
  'near-duplicate-across-splits': 'warning',
  'near-duplicate-across-groups': 'warning',
  'near-duplicate': 'info',
  'group-across-splits': 'error',
  'stale-splits': 'error',
  'vanishing-mask': 'warning',
  'unused-class': 'warning',
  'stray-file': 'info',
} as const satisfies Record<string, Severity>;

export type FindingKind = keyof typeof FINDING_KINDS;

export type Finding = {
  readonly kind: FindingKind;
  readonly severity: Severity;
  /** Ids of the cases concerned. */
  readonly cases: readonly string[];
  /** Paths relative to the dataset's folder. */
  readonly files: readonly string[];
  /** What was found, with both values where two are compared. */
  readonly message: string;
};

export type VerifyOptions = {
  /** A division to check for leaks. */
  readonly splits?: Splits;
  /** Side of the model's canvas, px, for masks that vanish. Default 256. */
  readonly canvasPx?: number;
  /** What counts as alike. */
  readonly nearDuplicates?: NearDuplicateOptions;
  readonly onProgress?: (progress: {
    readonly done: number;
    readonly total: number;
    readonly name: string;
  }) => void;
  readonly signal?: AbortSignal;
};

export type VerifyReport = {
  readonly schemaVersion: 1;
  readonly dir: string;
  readonly name: string;
  /** Content hash of the files as they are now; `undefined` when some cannot be read. */
  readonly hash: string | undefined;
  readonly cases: number;
  readonly files: number;
  readonly counts: Readonly<Record<Severity, number>>;
  /** No errors; warnings are allowed. */
  readonly ok: boolean;
  /** Errors first, then warnings, then remarks. */
  readonly findings: readonly Finding[];
};

/** Throws DataError only when dataset.json itself cannot be read. */
export async function verifyDataset(dir: string, options: VerifyOptions = {}): Promise<VerifyReport> {
  const root = resolve(dir);
  const dataset = await readDataset(root);
  const findings: Finding[] = [];
  const add: Add = (kind, cases, files, message) =>
    findings.push({ kind, severity: FINDING_KINDS[kind], cases, files, message });

  let done = 0;
  const looks = await mapParallel(
    dataset.cases,
    4,
    async (record) => {
      const look = await lookAtCase(root, dataset, record, options.canvasPx ?? 256, add);
      options.onProgress?.({ done: ++done, total: dataset.cases.length, name: record.id });
      return look;
    },
    options.signal,
  );
  const hash = currentHash(dataset, looks);
  findDuplicates(dataset, looks, options, add);
  findUnusedClasses(dataset, add);
  await findStrays(root, dataset, add);
  if (options.splits !== undefined) findLeaks(dataset, options.splits, hash, add);

  const rank: Record<Severity, number> = { error: 0, warning: 1, info: 2 };
  const place = new Map(dataset.cases.map((c, i) => [c.id, i]));
  const first = (f: Finding) => place.get(f.cases[0] ?? '') ?? -1;
  findings.sort(
    (a, b) => rank[a.severity] - rank[b.severity] || a.kind.localeCompare(b.kind) || first(a) - first(b),
  );
  const count = (severity: Severity) => findings.filter((f) => f.severity === severity).length;
  const counts = { error: count('error'), warning: count('warning'), info: count('info') };
  return {
    schemaVersion: 1,
    dir: root,
    name: dataset.name,
    hash,
    cases: dataset.cases.length,
    files: new Set(dataset.cases.flatMap(caseFiles)).size,
    counts,
    ok: counts.error === 0,
    findings,
  };
}

type Add = (kind: FindingKind, cases: readonly string[], files: readonly string[], message: string) => void;

/** What later checks need of a case. */
type Look = {
  readonly print: Fingerprint | undefined;
  /** Content of the files as found. */
  readonly files: Readonly<Record<string, FileRecord>>;
};

async function lookAtCase(
  root: string,
  dataset: Dataset,
  record: CaseRecord,
  canvasPx: number,
  add: Add,
): Promise<Look> {
  const files: Record<string, FileRecord> = {};
  for (const path of caseFiles(record)) {
    const found = await fileHash(join(root, path)).catch((error: NodeJS.ErrnoException) => error);
    if (found instanceof Error) {
      const missing = found.code === 'ENOENT';
      const message = missing ? 'the file does not exist' : `cannot be read (${found.code})`;
      add(missing ? 'missing-file' : 'unreadable-file', [record.id], [path], message);
      continue;
    }
    files[path] = found;
    const recorded = dataset.files?.[path];
    if (recorded !== undefined && recorded.sha256 !== found.sha256)
      add(
        'changed-file',
        [record.id],
        [path],
        `changed since the import: ${recorded.bytes} bytes, sha256 ${recorded.sha256.slice(0, 12)}… then; ${found.bytes} bytes, ${found.sha256.slice(0, 12)}… now`,
      );
  }
  const image =
    files[record.image] !== undefined
      ? await readSourceImage(join(root, record.image)).catch(unreadable(add, record, record.image))
      : undefined;
  const print = image === undefined ? undefined : fingerprint(image.image);
  if (print?.constant)
    add(
      'constant-image',
      [record.id],
      [record.image],
      `every pixel is ${image!.image.data[0]}: nothing to see`,
    );

  for (const [classId, path] of maskEntries(record)) {
    if (files[path] === undefined) continue;
    const mask = await readStoredMask(join(root, path)).catch(unreadable(add, record, path));
    if (mask === undefined) continue;
    const name = dataset.classes.find((c) => c.id === classId)?.name ?? `${classId}`;
    if (mask.strange.length > 0)
      add('mask-values', [record.id], [path], `values ${mask.strange.join(', ')}; allowed: 0, 255`);
    if (mask.set === 0)
      add('empty-mask', [record.id], [path], `no pixel of "${name}", yet the case lists this mask`);
    if (mask.set === mask.data.length)
      add('full-mask', [record.id], [path], `all ${mask.data.length} pixels are "${name}"`);
    const size = image?.image;
    if (size !== undefined && (mask.width !== size.width || mask.height !== size.height)) {
      const message = `the mask is ${mask.width} x ${mask.height}, the image ${size.width} x ${size.height}`;
      add('size-mismatch', [record.id], [path, record.image], message);
    }
    if (mask.set > 0 && vanishesOnCanvas(createGeometry('sammed2d', mask, canvasPx), mask))
      add(
        'vanishing-mask',
        [record.id],
        [path],
        `all ${mask.set} pixels of "${name}" vanish when ${mask.width} x ${mask.height} is scaled to ${canvasPx} x ${canvasPx} by nearest neighbour; use area resampling`,
      );
  }
  return { print, files };
}

const unreadable = (add: Add, record: CaseRecord, path: string) => (error: unknown) => {
  if (!(error instanceof DataError)) throw error;
  add('unreadable-file', [record.id], [path], error.message);
  return undefined;
};

/** A mask of the dataset with the values that should not be there (the first eight) and the number of set pixels. */
async function readStoredMask(path: string): Promise<Mask & { strange: number[]; set: number }> {
  const { width, height, channels, samples } = await decodeRaster(`mask ${path}`, path, 'colours');
  const data = new Uint8Array(width * height);
  const strange = new Set<number>();
  let set = 0;
  for (let i = 0; i < data.length; i++) {
    const value = samples[i * channels]!;
    if (value !== 0 && value !== 255 && strange.size < 8) strange.add(value);
    if (value > 0) data[i] = 1;
    set += data[i]!;
  }
  return { width, height, data, strange: [...strange].sort((a, b) => a - b), set };
}

/** Hash of the dataset as its files are now, or `undefined` when one of them cannot be read. */
function currentHash(dataset: Dataset, looks: readonly Look[]): string | undefined {
  const files: Record<string, FileRecord> = Object.assign({}, ...looks.map((look) => look.files));
  const complete = dataset.cases.flatMap(caseFiles).every((path) => files[path] !== undefined);
  return complete ? datasetHash({ ...dataset, files }) : undefined;
}

function findDuplicates(dataset: Dataset, looks: readonly Look[], options: VerifyOptions, add: Add): void {
  const splitOf = new Map(
    SPLIT_NAMES.flatMap((name) => (options.splits?.[name] ?? []).map((id) => [id, name] as const)),
  );
  // Labelled and unlabelled are both training: the same image in the two wastes a label and leaks nothing.
  const side = (id: string): string | undefined => {
    const split = splitOf.get(id);
    return split === 'labelled' || split === 'unlabelled' ? 'training' : split;
  };
  const where = (c: CaseRecord) =>
    `${c.id} (group ${c.group}${splitOf.has(c.id) ? `, ${splitOf.get(c.id)}` : ''})`;
  const seen = looks.flatMap(({ print }, index) =>
    print === undefined || print.constant ? [] : [{ print, index }],
  );
  const pairs = nearDuplicates(
    seen.map((s) => s.print),
    options.nearDuplicates,
  );
  for (const pair of pairs) {
    const [i, j] = [seen[pair.first]!.index, seen[pair.second]!.index];
    const [a, b] = [dataset.cases[i]!, dataset.cases[j]!];
    const ids = [a.id, b.id];
    const files = [a.image, b.image];
    const both = `${where(a)} and ${where(b)}`;
    const [sideA, sideB] = [side(a.id), side(b.id)];
    const across = sideA !== undefined && sideB !== undefined && sideA !== sideB;
    if (seen[pair.first]!.print.pixels === seen[pair.second]!.print.pixels) {
      add(across ? 'duplicate-across-splits' : 'duplicate', ids, files, `the same pixels: ${both}`);
      if (bothKnown(a, b) && maskContent(a, looks[i]!) !== maskContent(b, looks[j]!))
        add(
          'contradicting-masks',
          ids,
          [...caseFiles(a), ...caseFiles(b)],
          `the same pixels, different masks: ${both}`,
        );
      continue;
    }
    const kind = across
      ? 'near-duplicate-across-splits'
      : a.group === b.group
        ? 'near-duplicate'
        : 'near-duplicate-across-groups';
    add(
      kind,
      ids,
      files,
      `${pair.bits} of 256 hash bits differ, correlation ${pair.correlation.toFixed(3)}: ${both}`,
    );
  }
}

const maskContent = (record: CaseRecord, { files }: Look): string =>
  maskEntries(record)
    .map(([id, path]) => `${id}:${files[path]?.sha256}`)
    .join(' ');
const known = (c: CaseRecord): boolean => c.empty === true || Object.keys(c.masks).length > 0;
const bothKnown = (a: CaseRecord, b: CaseRecord): boolean => known(a) && known(b);

function findUnusedClasses(dataset: Dataset, add: Add): void {
  for (const { id, name } of dataset.classes) {
    if (!dataset.cases.some((c) => c.masks[`${id}`] !== undefined))
      add('unused-class', [], [], `class ${id} "${name}" is in no case`);
  }
}

/** Files in images/ and masks/ that the description does not name. */
async function findStrays(root: string, dataset: Dataset, add: Add): Promise<void> {
  const named = new Set(dataset.cases.flatMap(caseFiles));
  const strays: string[] = [];
  const walk = async (dir: string): Promise<void> => {
    const entries = await readdir(join(root, dir), { withFileTypes: true }).catch(() => []);
    for (const entry of entries) {
      const path = `${dir}/${entry.name}`;
      if (entry.isDirectory()) await walk(path);
      else if (!named.has(path)) strays.push(path);
    }
  };
  for (const dir of ['images', 'masks']) await walk(dir);
  if (strays.length > 0)
    add('stray-file', [], strays.sort(), `${strays.length} file(s) that dataset.json does not name`);
}

function findLeaks(dataset: Dataset, splits: Splits, hash: string | undefined, add: Add): void {
  if (hash !== undefined && splits.datasetHash !== hash)
    add(
      'stale-splits',
      [],
      [],
      `divided at hash ${splits.datasetHash.slice(0, 12)}…, the dataset is now ${hash.slice(0, 12)}…`,
    );
  const byId = new Map(dataset.cases.map((c) => [c.id, c]));
  const unknown = SPLIT_NAMES.flatMap((name) => splits[name].filter((id) => !byId.has(id)));
  if (unknown.length > 0)
    add('stale-splits', unknown, [], `${unknown.length} case(s) of the division are not in the dataset`);
  const groups = new Map<string, Map<string, string[]>>();
  for (const name of SPLIT_NAMES) {
    for (const id of splits[name]) {
      const record = byId.get(id);
      if (record === undefined) continue;
      const sides = groups.get(record.group) ?? new Map<string, string[]>();
      const sideName = name === 'labelled' || name === 'unlabelled' ? 'training' : name;
      sides.set(sideName, [...(sides.get(sideName) ?? []), id]);
      groups.set(record.group, sides);
    }
  }
  for (const [group, sides] of groups) {
    if (sides.size < 2) continue;
    const parts = [...sides].map(([name, ids]) => `${name}: ${ids.join(', ')}`);
    add('group-across-splits', [...sides.values()].flat(), [], `group ${group} is torn: ${parts.join('; ')}`);
  }
}
