// The artefacts of a dataset: DATASET/dataset.json and DATASET/splits.json, as zod schemas with their types.
// Paths are relative to the dataset's folder and never leave it. Unknown keys are refused (artefact.ts says which name
// is near). Not here: the pixels (cases.ts), how a dataset comes to be (importers/), how it is divided (splits.ts).

import * as z from 'zod';
import { ID_PATTERN, pathFault } from './names.ts';

/** Name of the dataset's description inside its folder. */
export const DATASET_FILE = 'dataset.json';
/** Name of the default division inside the dataset's folder. */
export const SPLITS_FILE = 'splits.json';

const Text = z.string().min(1);
const Id = z.string().regex(ID_PATTERN, 'allowed: letters, digits, ".", "-", "_", not starting with a dot');
const RelativePath = z.string().superRefine((path, ctx) => {
  const fault = pathFault(path);
  if (fault !== undefined) ctx.addIssue({ code: 'custom', message: `path "${path}" ${fault}` });
});
const Sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'allowed: 64 hexadecimal digits');

export const DatasetClassSchema = z.strictObject({
  /** 1..255; 0 is the background and never a class. */
  id: z.int().min(1).max(255),
  name: Text,
  /** Phrases that name the class to a vision-language model, most specific first. */
  prompts: z.array(Text).exactOptional(),
  /** What a visual question answering model is asked about the class; without it a template is. */
  question: Text.exactOptional(),
  /** Largest number of separate regions that make sense (2 for lungs); automatic prompts keep at most as many. */
  maxComponents: z.int().min(1).exactOptional(),
});

/** Where an image lies in a volume. */
export const SlicePlaceSchema = z.strictObject({
  /** Name of the volume; all its slices are in one group. */
  id: Text,
  /** Number of the slice, from the feet where the source says so. Slices of a volume need not be all there. */
  slice: z.int().min(0),
  /** From slice number to slice number, height of a pixel, width of a pixel, mm; absent where the source has none. */
  spacingMm: z.tuple([z.number().positive(), z.number().positive(), z.number().positive()]).exactOptional(),
});

export const CaseRecordSchema = z.strictObject({
  id: Id,
  /** Path of the image: PNG or JPEG. */
  image: RelativePath,
  /** Class id -> path of a binary PNG (0 and 255) of the image's size. A class without a file is absent from the image. */
  masks: z.record(z.string().regex(/^[1-9][0-9]*$/, 'allowed: class ids'), RelativePath),
  /** Patient, or whatever must never be divided over two splits. */
  group: Text,
  /** For images that are slices: metrics are then told by volume, too. */
  volume: SlicePlaceSchema.exactOptional(),
  /** Free facts about the case: pathology, collection, `split` (the source's suggestion: train, validation, test). */
  tags: z.record(z.string(), z.string()).exactOptional(),
  /** The ground truth is known, and no class is in the image. Without it, no masks means: ground truth unknown. */
  empty: z.literal(true).exactOptional(),
});

const FileRecordSchema = z.strictObject({
  sha256: Sha256,
  bytes: z.int().min(0),
});

export const DatasetSchema = z
  .strictObject({
    schemaVersion: z.literal(1),
    name: Text,
    /** What the images are: "ultrasound", "x-ray", "ct", … */
    modality: Text,
    classes: z.array(DatasetClassSchema).min(1),
    cases: z.array(CaseRecordSchema),
    /** Path -> content at the time of import; lets `verify` tell what has changed since. */
    files: z.record(RelativePath, FileRecordSchema).exactOptional(),
  })
  .superRefine((dataset, ctx) => {
    const report = (message: string, ...path: (string | number)[]) =>
      ctx.addIssue({ code: 'custom', message, path });
    const classIds = new Set<string>();
    const classNames = new Set<string>();
    dataset.classes.forEach(({ id, name }, i) => {
      if (classIds.has(`${id}`)) report(`class id ${id} stands twice`, 'classes', i, 'id');
      if (classNames.has(name)) report(`class name "${name}" stands twice`, 'classes', i, 'name');
      classIds.add(`${id}`);
      classNames.add(name);
    });
    const caseIds = new Set<string>();
    const places = new Set<string>();
    const groupOf = new Map<string, string>();
    dataset.cases.forEach(({ id, group, volume }, i) => {
      if (volume === undefined) return;
      const place = `${volume.slice} of ${volume.id}`;
      if (places.has(place)) report(`slice ${place} stands twice`, 'cases', i, 'volume');
      places.add(place);
      if ((groupOf.get(volume.id) ?? group) !== group)
        report(`case "${id}": volume "${volume.id}" is in two groups`, 'cases', i, 'group');
      groupOf.set(volume.id, group);
    });
    dataset.cases.forEach((record, i) => {
      const key = record.id.toLowerCase();
      if (caseIds.has(key))
        report(`case id "${record.id}" stands twice (letter case ignored)`, 'cases', i, 'id');
      caseIds.add(key);
      for (const classId of Object.keys(record.masks)) {
        if (!classIds.has(classId))
          report(
            `class ${classId} is not declared; declared: ${[...classIds].join(', ')}`,
            'cases',
            i,
            'masks',
          );
      }
      if (record.empty && Object.keys(record.masks).length > 0)
        report('marked empty, yet it has masks', 'cases', i, 'empty');
    });
  });

const Fraction = z.number().min(0).max(1);

/** Requested shares; `labelled` and `unlabelled` are shares of the training pool, the others of all usable cases. */
export const SplitFractionsSchema = z.strictObject({
  test: Fraction,
  validation: Fraction,
  labelled: Fraction,
  unlabelled: Fraction,
});

export const SplitsSchema = z
  .strictObject({
    schemaVersion: z.literal(1),
    /** Content hash of the dataset that was divided; another hash means: stale. */
    datasetHash: Sha256,
    seed: z.union([z.int(), Text]),
    fractions: SplitFractionsSchema,
    labelled: z.array(Id),
    unlabelled: z.array(Id),
    validation: z.array(Id),
    test: z.array(Id),
    /** How the division was asked for, beyond seed and fractions. */
    options: z
      .strictObject({
        holdOutSeed: z.union([z.int(), Text]),
        stratifyBy: z.array(Text),
        keepTest: z.boolean(),
        keepValidation: z.boolean(),
        emptyCases: z.enum(['keep', 'leave-out']),
      })
      .exactOptional(),
    /** What came out, per split: cases, groups, share of its base, and cases that hold each class. */
    achieved: z
      .record(
        z.string(),
        z.strictObject({
          cases: z.int().min(0),
          groups: z.int().min(0),
          fraction: Fraction,
          classes: z.record(z.string(), z.int().min(0)),
        }),
      )
      .exactOptional(),
    /** Case id -> why it stands in no split. */
    leftOut: z.record(Id, Text).exactOptional(),
  })
  .superRefine((splits, ctx) => {
    const seen = new Map<string, string>();
    for (const name of SPLIT_NAMES) {
      splits[name].forEach((id, i) => {
        const before = seen.get(id);
        if (before !== undefined)
          ctx.addIssue({ code: 'custom', message: `case "${id}" also stands in ${before}`, path: [name, i] });
        seen.set(id, name);
      });
    }
  });

/** The four lists of a division, in the order of the data's way. */
export const SPLIT_NAMES = ['labelled', 'unlabelled', 'validation', 'test'] as const;
export type SplitName = (typeof SPLIT_NAMES)[number];

export type DatasetClass = z.output<typeof DatasetClassSchema>;
export type SlicePlace = z.output<typeof SlicePlaceSchema>;
export type CaseRecord = z.output<typeof CaseRecordSchema>;
export type FileRecord = z.output<typeof FileRecordSchema>;
export type Dataset = z.output<typeof DatasetSchema>;
export type SplitFractions = z.output<typeof SplitFractionsSchema>;
export type Splits = z.output<typeof SplitsSchema>;
