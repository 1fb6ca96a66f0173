// Imports a source folder as a dataset: looks at it, writes every case, then groups, then DATASET/dataset.json last of
// all. The source is only read. Stopped at any moment, the same call goes on where it was; finished, it does nothing.
// All problems are collected before the import fails. DATASET/import.json tells what was done.
// Not here: the layouts (one file each), pixels (case.ts).

import { createHash } from 'node:crypto';
import { mkdir, readdir, realpath, stat } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { DataError, UsageError } from '@maskrank/torch/errors';
import { writeFileAtomic } from '@maskrank/torch/io';
import * as z from 'zod';
import { didYouMean, listProblems, readArtefact } from '../artefact.ts';
import { clusters, nearDuplicates } from '../fingerprint.ts';
import { datasetHash } from '../hash.ts';
import { uniqueSlugs } from '../names.ts';
import { mapParallel } from '../parallel.ts';
import type { CaseRecord, Dataset, SlicePlace } from '../schema.ts';
import { DATASET_FILE, DatasetSchema } from '../schema.ts';
import type { ImportedCase } from './case.ts';
import { importCase } from './case.ts';
import { hasJournal, openJournal } from './journal.ts';
import { sourceFolder } from './source.ts';
import type { Importer, ImportNote, ImportOptions, ImportPlan, PlannedCase } from './types.ts';
import { COMMON_OPTIONS } from './types.ts';
import { openVolumes } from './volume-slices.ts';

/** Name of the import's report inside the dataset's folder. */
export const IMPORT_FILE = 'import.json';
/** Cases worked on at the same time; decoding runs in the runtime's own thread pool. */
const AT_ONCE = 4;

const NoteSchema = z.strictObject({ message: z.string(), files: z.array(z.string()) });

export const ImportReportSchema = z.strictObject({
  schemaVersion: z.literal(1),
  importer: z.string(),
  source: z.string(),
  options: z.record(z.string(), z.unknown()),
  /** Hash over options and the sizes and times of all source files: tells whether a repetition would do anything. */
  fingerprint: z.string(),
  datasetHash: z.string(),
  finishedAt: z.string(),
  cases: z.int(),
  /** With at least one class in the image, known to be empty, without ground truth. */
  withMasks: z.int(),
  empty: z.int(),
  unlabelled: z.int(),
  groups: z.int(),
  /** Cases in which each class is present. */
  classes: z.record(z.string(), z.int()),
  /** Images that were not copied byte for byte, by what was done to them. */
  conversions: z.record(z.string(), z.array(z.string())),
  notes: z.array(NoteSchema),
  /** With `onProblem: 'skip'`: why cases were left out. */
  skipped: z.array(z.string()),
});

export type ImportReport = z.output<typeof ImportReportSchema>;

export type ImportResult = {
  /** Absolute path of the dataset. */
  readonly dir: string;
  readonly dataset: Dataset;
  readonly hash: string;
  readonly report: ImportReport;
  /** The dataset was there already, from the same source with the same options; nothing was done. */
  readonly reused: boolean;
};

export type ImportRequest = {
  /** Importer's name, for messages and the report. */
  readonly name: string;
  readonly importer: Importer;
  /** Folder to read. */
  readonly source: string;
  /** Folder of the dataset: new, empty, or an import that was stopped. */
  readonly out: string;
  readonly options?: ImportOptions;
  /** Called after every case. */
  readonly onProgress?: (progress: {
    readonly done: number;
    readonly total: number;
    readonly name: string;
  }) => void;
  /** Stops between two cases; the same call resumes. */
  readonly signal?: AbortSignal;
};

/** Throws DataError listing every problem of the source, UsageError for options and folders that do not fit. */
export async function runImport(request: ImportRequest): Promise<ImportResult> {
  const { name, importer, options = {}, signal } = request;
  checkOptions(name, importer, options);
  const source = await sourceFolder(request.source);
  const out = resolve(request.out);
  await checkOut(name, source, out);

  const plan = await importer.scan(source, options);
  const ids = uniqueSlugs(plan.cases.map((c) => c.name));
  const keys = await mapParallel(plan.cases, 32, (planned, i) => sourceKey(planned, ids[i]!));
  const settings = digest({ name, source, options, classes: plan.classes });
  const whole = digest({ settings, keys, problems: plan.problems });
  const before = await finishedImport(name, out, whole);
  if (before !== undefined) return before;
  if (plan.problems.length > 0 && options.onProblem !== 'skip') throw failure(name, source, plan.problems);

  await mkdir(out, { recursive: true });
  const journal = await openJournal(out, settings);
  const rules = { classes: plan.classes, threshold: options.maskThreshold };
  const problems: string[] = [...plan.problems];
  const volumes = openVolumes();
  let done = 0;
  const outcomes = await mapParallel(
    plan.cases,
    AT_ONCE,
    async (planned, i) => {
      const known = await journal.find(keys[i]!);
      const outcome = known ? { imported: known } : await importCase(planned, ids[i]!, out, rules, volumes);
      if (!known && 'imported' in outcome) await journal.add(keys[i]!, outcome.imported);
      request.onProgress?.({ done: ++done, total: plan.cases.length, name: planned.name });
      return outcome;
    },
    signal,
  );
  const written: { planned: PlannedCase; imported: ImportedCase }[] = [];
  outcomes.forEach((outcome, i) => {
    if ('imported' in outcome) written.push({ planned: plan.cases[i]!, imported: outcome.imported });
    else problems.push(...outcome.problems);
  });
  if (problems.length > 0 && options.onProblem !== 'skip') throw failure(name, source, problems);
  if (written.length === 0)
    throw new DataError(listProblems(`import ${name}: ${source}: no usable case`, problems));

  const groups = groupsOf(written, plan, options, name);
  const dataset = describe(plan, written, groups, slicesOf(written, groups, options, name));
  const hash = datasetHash(dataset);
  const report = makeReport({
    name,
    source,
    options,
    fingerprint: whole,
    hash,
    plan,
    written,
    problems,
    dataset,
  });
  await writeFileAtomic(join(out, IMPORT_FILE), `${JSON.stringify(report, null, 2)}\n`);
  await writeFileAtomic(
    join(out, DATASET_FILE),
    `${JSON.stringify(DatasetSchema.parse(dataset), null, 2)}\n`,
  );
  await journal.remove();
  return { dir: out, dataset, hash, report, reused: false };
}

function checkOptions(name: string, importer: Importer, options: ImportOptions): void {
  const allowed: readonly string[] = [...COMMON_OPTIONS, ...importer.accepts];
  for (const key of Object.keys(options).filter((k) => options[k as keyof ImportOptions] !== undefined)) {
    if (!allowed.includes(key))
      throw new UsageError(
        `import ${name}: no option "${key}".${didYouMean(key, allowed)} Allowed: ${allowed.join(', ')}.`,
      );
  }
  const { maskThreshold: t } = options;
  if (t !== undefined && !(t >= 0 && t < 65535))
    throw new UsageError(
      `import ${name}: maskThreshold = ${t}; allowed: 0 to 254 (8 bit) or 65534 (16 bit).`,
    );
}

async function checkOut(name: string, source: string, out: string): Promise<void> {
  const real = await realpath(out).catch(() => out);
  if (real === (await realpath(source)))
    throw new UsageError(
      `import ${name}: ${out} is the source itself, which stays untouched. Choose another folder.`,
    );
  const info = await stat(out).catch(() => undefined);
  if (info === undefined) return;
  if (!info.isDirectory()) throw new UsageError(`import ${name}: ${out} is a file; choose a folder.`);
  const entries = await readdir(out);
  if (entries.length > 0 && !entries.includes(DATASET_FILE) && !(await hasJournal(out)))
    throw new UsageError(
      `import ${name}: ${out} holds other files (${entries.slice(0, 3).join(', ')}). Choose a new or empty folder.`,
    );
}

/** The result of an earlier, finished import of exactly this. Throws UsageError when the folder holds anything else. */
async function finishedImport(
  name: string,
  out: string,
  fingerprint: string,
): Promise<ImportResult | undefined> {
  const path = join(out, DATASET_FILE);
  if ((await stat(path).catch(() => undefined)) === undefined) return undefined;
  const reportPath = join(out, IMPORT_FILE);
  const report = await readArtefact(reportPath, ImportReportSchema).catch(() => undefined);
  if (report?.fingerprint !== fingerprint)
    throw new UsageError(
      `import ${name}: ${out} already holds a dataset from another source, other options or files that changed. Remove it, or choose another folder.`,
    );
  const dataset = await readArtefact(path, DatasetSchema);
  return { dir: out, dataset, hash: datasetHash(dataset), report, reused: true };
}

/** Changes when any file of the case does. */
async function sourceKey(planned: PlannedCase, id: string): Promise<string> {
  const paths = [planned.image, ...(planned.masks ?? []).map((m) => m.path)];
  const stats = await Promise.all(paths.map((path) => stat(path).catch(() => undefined)));
  return digest({ id, planned, stats: stats.map((s) => [s?.size ?? -1, s?.mtimeMs ?? -1]) });
}

type Written = readonly { readonly planned: PlannedCase; readonly imported: ImportedCase }[];

/** A group a case: what the source says, widened by near-duplicates where wanted. */
function groupsOf(written: Written, plan: ImportPlan, options: ImportOptions, name: string): string[] {
  const pattern = rule(name, 'groupPattern', options.groupPattern);
  const missed: string[] = [];
  const own = written.map(({ planned, imported }) => {
    if (pattern === undefined) return planned.group ?? imported.record.id;
    const found = pattern.exec(planned.name)?.[1];
    if (found === undefined || found === '') missed.push(planned.name);
    return found ?? '';
  });
  if (missed.length > 0)
    throw new DataError(
      listProblems(`import ${name}: groupPattern ${options.groupPattern} finds no group in`, missed),
    );
  if (!(options.groupNearDuplicates ?? plan.groupNearDuplicates)) return own;
  const firstOf = new Map<string, number>();
  const sameGroup = own.map((group, second) => {
    const first = firstOf.get(group) ?? second;
    firstOf.set(group, first);
    return { first, second };
  });
  // Generous: two patients in one group cost little, one patient in two groups spoils a test.
  const prints = written.map(({ imported }) => imported.print);
  const alike = nearDuplicates(prints, { minCorrelation: 0.96 });
  const roots = clusters(written.length, [...sameGroup, ...alike]);
  return own.map((_, i) => own[roots[i]!]!);
}

/** Where cases lie in volumes, if the option says so: the group's volume, the number in the name. */
function slicesOf(
  written: Written,
  groups: readonly string[],
  { slicePattern }: ImportOptions,
  name: string,
): readonly (SlicePlace | undefined)[] {
  const pattern = rule(name, 'slicePattern', slicePattern);
  if (pattern === undefined) return written.map(() => undefined);
  const missed: string[] = [];
  const places = written.map(({ planned }, i) => {
    const slice = Number(pattern.exec(planned.name)?.[1] || Number.NaN);
    if (!Number.isInteger(slice) || slice < 0) missed.push(planned.name);
    return { id: groups[i]!, slice };
  });
  if (missed.length > 0)
    throw new DataError(
      listProblems(`import ${name}: slicePattern ${slicePattern} finds no number of a slice in`, missed),
    );
  return places;
}

function rule(
  name: string,
  option: 'groupPattern' | 'slicePattern',
  pattern: string | undefined,
): RegExp | undefined {
  if (pattern === undefined) return undefined;
  try {
    return new RegExp(pattern, 'u');
  } catch (cause) {
    throw new UsageError(
      `import ${name}: ${option} ${pattern} is no regular expression (${(cause as Error).message}). Example: ^(patient\\d+)_`,
      { cause },
    );
  }
}

function describe(
  plan: ImportPlan,
  written: Written,
  groups: readonly string[],
  places: readonly (SlicePlace | undefined)[],
): Dataset {
  return {
    schemaVersion: 1,
    name: plan.name,
    modality: plan.modality,
    classes: [...plan.classes],
    cases: written.map(({ imported: { record } }, i): CaseRecord => {
      const { id, image, masks, ...rest } = record;
      const place = places[i];
      return {
        id,
        image,
        masks,
        group: groups[i]!,
        ...rest,
        ...(place === undefined ? {} : { volume: place }),
      };
    }),
    files: Object.assign({}, ...written.map(({ imported }) => imported.files)),
  };
}

function makeReport(from: {
  readonly name: string;
  readonly source: string;
  readonly options: ImportOptions;
  readonly fingerprint: string;
  readonly hash: string;
  readonly plan: ImportPlan;
  readonly written: Written;
  readonly problems: readonly string[];
  readonly dataset: Dataset;
}): ImportReport {
  const { cases, classes } = from.dataset;
  const conversions: Record<string, string[]> = {};
  for (const { planned, imported } of from.written) {
    if (imported.conversion === undefined) continue;
    conversions[imported.conversion] ??= [];
    conversions[imported.conversion]!.push(relative(from.source, planned.image));
  }
  const withMasks = cases.filter((c) => Object.keys(c.masks).length > 0).length;
  const empty = cases.filter((c) => c.empty).length;
  return {
    schemaVersion: 1,
    importer: from.name,
    source: from.source,
    options: { ...from.options },
    fingerprint: from.fingerprint,
    datasetHash: from.hash,
    finishedAt: new Date().toISOString(),
    cases: cases.length,
    withMasks,
    empty,
    unlabelled: cases.length - withMasks - empty,
    groups: new Set(cases.map((c) => c.group)).size,
    classes: Object.fromEntries(
      classes.map((cls) => [cls.name, cases.filter((c) => c.masks[`${cls.id}`] !== undefined).length]),
    ),
    conversions,
    notes: from.plan.notes.map((note): ImportNote & { files: string[] } => ({
      ...note,
      files: [...note.files],
    })),
    skipped: [...from.problems],
  };
}

const failure = (name: string, source: string, problems: readonly string[]): DataError =>
  new DataError(
    listProblems(`import ${name}: ${source}: ${problems.length} problem(s), nothing was imported`, problems),
  );

const digest = (value: unknown): string => createHash('sha256').update(JSON.stringify(value)).digest('hex');
