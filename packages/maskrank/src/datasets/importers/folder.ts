// Importer `folder`: images/ and masks/ (or masks/<class>/) matched by name, with an optional manifest.csv. Images may
// lie in subfolders, one a patient. A mask is called like its image, or with `_mask`, `_mask_1`, … behind it; several of
// one image are united. Images without a mask are unlabelled cases. Not here: the table's columns (manifest.ts).

import { stat } from 'node:fs/promises';
import { isAbsolute, join, relative } from 'node:path';
import { DataError, UsageError } from '@maskrank/torch/errors';
import { didYouMean } from '../artefact.ts';
import { pathFault } from '../names.ts';
import type { DatasetClass } from '../schema.ts';
import { readManifest } from './manifest.ts';
import {
  defaultName,
  few,
  filesBelow,
  isImageFile,
  layoutError,
  normaliseSplit,
  parseClasses,
} from './source.ts';
import type { Importer, ImportNote, ImportOptions, ImportPlan, PlannedCase, PlannedMask } from './types.ts';

const LAYOUT =
  'images/NAME.png (or jpg, tif; subfolders are patients), masks/NAME.png or masks/CLASS/NAME.png, optional manifest.csv (id, image, mask, group, class_labels, split, pathology)';

/** The class of a source that names none. */
const UNNAMED_CLASS: DatasetClass = { id: 1, name: 'foreground' };

export const folder: Importer = {
  summary: 'images/ and masks/ matched by name, class-coded or binary, with an optional manifest.csv',
  layout: LAYOUT,
  accepts: ['classes', 'manifest'],
  scan: async (source, options) => {
    const manifest = await findManifest(source, options);
    return manifest === undefined ? scanByName(source, options) : scanByManifest(source, manifest, options);
  },
};

async function findManifest(source: string, options: ImportOptions): Promise<string | undefined> {
  const path = isAbsolute(options.manifest ?? '')
    ? options.manifest!
    : join(source, options.manifest ?? 'manifest.csv');
  const exists = (await stat(path).catch(() => undefined))?.isFile() ?? false;
  if (!exists && options.manifest !== undefined)
    throw new UsageError(`import folder: manifest ${path} does not exist; give the path of a CSV file.`);
  return exists ? path : undefined;
}

async function scanByManifest(source: string, path: string, options: ImportOptions): Promise<ImportPlan> {
  const rows = await readManifest(path);
  if (rows.length === 0) throw new DataError(`${path}: no rows; add a row an image.`);
  const problems: string[] = [];
  const where = (line: number) => `${path}, line ${line}`;

  const inside = async (text: string, line: number, what: string): Promise<string | undefined> => {
    const fault = pathFault(text);
    if (fault !== undefined) {
      problems.push(`${where(line)}: ${what} "${text}" ${fault}.`);
      return undefined;
    }
    const file = join(source, text);
    if ((await stat(file).catch(() => undefined))?.isFile()) return file;
    problems.push(`${where(line)}: ${what} ${file} does not exist.`);
    return undefined;
  };

  const classes = manifestClasses(rows, path, options);
  const seen = new Map<string, number>();
  const cases: PlannedCase[] = [];
  for (const row of rows) {
    const before = seen.get(row.id);
    if (before !== undefined) {
      problems.push(`${where(row.line)}: id "${row.id}" already stands in line ${before}; ids must differ.`);
      continue;
    }
    seen.set(row.id, row.line);
    const image = await inside(row.image, row.line, 'image');
    const mask = row.mask === undefined ? undefined : await inside(row.mask, row.line, 'mask');
    if (image === undefined || (row.mask !== undefined && mask === undefined)) continue;
    const split = row.split === undefined ? {} : { split: normaliseSplit(row.split) };
    cases.push({
      name: row.id,
      image,
      masks: mask === undefined ? undefined : [{ kind: 'class-coded', path: mask }],
      ...(row.group === undefined ? {} : { group: row.group }),
      tags: { ...row.tags, ...split },
    });
  }
  return {
    name: options.name ?? defaultName(source),
    modality: options.modality ?? 'unknown',
    classes,
    cases,
    notes: [],
    problems,
    groupNearDuplicates: false,
  };
}

/** Classes from the option, or the union of the table's class lists, which must not contradict each other. */
function manifestClasses(
  rows: readonly { line: number; classes: string | undefined }[],
  path: string,
  options: ImportOptions,
): DatasetClass[] {
  if (options.classes !== undefined) return parseClasses(options.classes);
  const byId = new Map<number, DatasetClass>();
  const parsed = new Set<string>();
  for (const { line, classes } of rows) {
    if (classes === undefined || parsed.has(classes)) continue;
    parsed.add(classes);
    for (const cls of parseClasses(classes, `${path}, line ${line}, class labels`)) {
      const before = byId.get(cls.id);
      if (before !== undefined && before.name !== cls.name)
        throw new DataError(
          `${path}, line ${line}: class ${cls.id} is "${cls.name}", earlier "${before.name}"; give one name an id.`,
        );
      byId.set(cls.id, cls);
    }
  }
  return byId.size === 0 ? [UNNAMED_CLASS] : [...byId.values()].sort((a, b) => a.id - b.id);
}

async function scanByName(source: string, options: ImportOptions): Promise<ImportPlan> {
  const imagesDir = join(source, 'images');
  const masksDir = join(source, 'masks');
  const imageFiles = await filesBelow(imagesDir);
  const maskFiles = await filesBelow(masksDir);
  const images = imageFiles.filter(isImageFile);
  if (images.length === 0) throw await layoutError('folder', source, LAYOUT);
  const problems: string[] = [];
  const byKey = new Map<string, string>();
  for (const image of images) {
    const key = withoutExtension(image);
    const before = byKey.get(key);
    if (before === undefined) byKey.set(key, image);
    else problems.push(`${imagesDir}: ${before} and ${image} have the same name; keep one of them.`);
  }
  const matches = matchMasks(maskFiles.filter(isImageFile), byKey);
  const folders = [...new Set(matches.matched.map((m) => m.folder))];
  const classes = folderClasses(folders, masksDir, options);
  for (const mask of matches.orphans) {
    const near = didYouMean(withoutExtension(mask), byKey.keys());
    problems.push(`${join(masksDir, mask)}: no image of that name below ${imagesDir}.${near}`);
  }

  const masksOf = new Map<string, PlannedMask[]>();
  for (const { key, path, folder } of matches.matched) {
    const file = join(masksDir, path);
    const classId = classes.find((c) => c.name === folder)?.id;
    const mask: PlannedMask =
      classId === undefined ? { kind: 'class-coded', path: file } : { kind: 'binary', path: file, classId };
    masksOf.set(key, [...(masksOf.get(key) ?? []), mask]);
  }
  const cases = [...byKey].map(([key, image]): PlannedCase => {
    const patient = image.includes('/') ? { group: image.slice(0, image.lastIndexOf('/')) } : {};
    return { name: key, image: join(imagesDir, image), masks: masksOf.get(key), ...patient, tags: {} };
  });
  return {
    name: options.name ?? defaultName(source),
    modality: options.modality ?? 'unknown',
    classes,
    cases,
    notes: [
      ...unlabelledNote(cases, source),
      ...ignoredNote([
        ...imageFiles.map((path) => `images/${path}`),
        ...maskFiles.map((path) => `masks/${path}`),
      ]),
    ],
    problems,
    groupNearDuplicates: false,
  };
}

type MaskMatch = { readonly key: string; readonly path: string; readonly folder: string | undefined };

/** Matches `NAME`, `NAME_mask`, `NAME_mask_2` to an image; with a folder in front that no image has, it is the class. */
function matchMasks(masks: readonly string[], images: ReadonlyMap<string, string>) {
  const matched: MaskMatch[] = [];
  const orphans: string[] = [];
  for (const path of masks) {
    const name = withoutExtension(path);
    const slash = name.indexOf('/');
    const candidates = [
      { key: name, folder: undefined },
      ...(slash < 0 ? [] : [{ key: name.slice(slash + 1), folder: name.slice(0, slash) }]),
    ].flatMap((c) => [c, { ...c, key: c.key.replace(/_mask(_\d+)?$/, '') }]);
    const hit = candidates.find((c) => images.has(c.key));
    if (hit) matched.push({ ...hit, path });
    else orphans.push(path);
  }
  return { matched, orphans };
}

function folderClasses(
  folders: readonly (string | undefined)[],
  masksDir: string,
  options: ImportOptions,
): DatasetClass[] {
  const named = folders.filter((f) => f !== undefined);
  if (named.length > 0 && named.length < folders.length)
    throw new DataError(
      `${masksDir}: masks lie both directly in it and in class folders (${few(named)}); use one of the two.`,
    );
  const declared = options.classes === undefined ? undefined : parseClasses(options.classes);
  if (named.length === 0) return declared ?? [UNNAMED_CLASS];
  if (declared === undefined) return named.map((name, i) => ({ id: i + 1, name }));
  const unknown = named.filter((name) => !declared.some((c) => c.name === name));
  if (unknown.length > 0)
    throw new DataError(
      `${masksDir}: class folder(s) ${few(unknown)} not among the declared classes ${declared.map((c) => c.name).join(', ')}. Rename or declare them.`,
    );
  return declared;
}

function unlabelledNote(cases: readonly PlannedCase[], source: string): ImportNote[] {
  const bare = cases.filter((c) => c.masks === undefined);
  if (bare.length === 0) return [];
  return [
    {
      message: `${bare.length} of ${cases.length} images have no mask; they are imported as unlabelled cases`,
      files: bare.map((c) => relative(source, c.image)),
    },
  ];
}

function ignoredNote(files: readonly string[]): ImportNote[] {
  const ignored = files.filter((path) => !isImageFile(path));
  if (ignored.length === 0) return [];
  return [{ message: `${ignored.length} file(s) are no PNG, JPEG or TIFF and were ignored`, files: ignored }];
}

const withoutExtension = (path: string): string => path.replace(/\.[^./]+$/, '');
