// What an importer is: it looks at a source folder and says which cases it holds. Reading pixels, checking them and
// writing the dataset is the same for all (run.ts). Not here: the importers themselves (one file each, index.ts).

import type { DatasetClass, SlicePlace } from '../schema.ts';
import type { SliceCut } from './volume-slices.ts';

/** A mask file of the source. */
export type PlannedMask =
  /** Everything that is not background belongs to one class. */
  | { readonly kind: 'binary'; readonly path: string; readonly classId: number }
  /** The pixel's value is the class id. */
  | { readonly kind: 'class-coded'; readonly path: string };

/** One image of the source with what belongs to it. Paths are absolute. */
export type PlannedCase = {
  /** Name in the source, unique; the identifier is made from it. */
  readonly name: string;
  readonly image: string;
  /** Files that are united class by class; `undefined` when the ground truth is unknown, `[]` when known to be empty. */
  readonly masks: readonly PlannedMask[] | undefined;
  /** Patient or volume; `undefined` when the source does not say. */
  readonly group?: string;
  readonly tags: Readonly<Record<string, string>>;
  /** The files are NIfTI volumes, and the case is a slice of them. */
  readonly cut?: SliceCut;
  /** Where the image lies in a volume, for cases that are slices. */
  readonly volume?: SlicePlace;
};

/** Something a person should know about the import that is no error. */
export type ImportNote = { readonly message: string; readonly files: readonly string[] };

/** The outcome of looking at a source. */
export type ImportPlan = {
  readonly name: string;
  readonly modality: string;
  readonly classes: readonly DatasetClass[];
  readonly cases: readonly PlannedCase[];
  readonly notes: readonly ImportNote[];
  /** What is wrong with single files, each a full sentence naming them. */
  readonly problems: readonly string[];
  /** Images of the source that look alike should share a group, because it does not know patients. */
  readonly groupNearDuplicates: boolean;
};

export type ImportOptions = {
  /** Name of the dataset. Default: the source folder's name. */
  readonly name?: string;
  /** What the images are, e.g. `ultrasound`. Default: what the importer knows. */
  readonly modality?: string;
  /** Classes as `1=spleen;2=right kidney`. Default: what the source says. */
  readonly classes?: string;
  /** For binary masks with values in between: above this value (0..254) is foreground. Default: in-between values are refused (127 for JPEG masks). */
  readonly maskThreshold?: number;
  /** Regular expression on the case's name; its first capture group is the patient. Default: what the source says. */
  readonly groupPattern?: string;
  /** Put images that look alike into one group. Default: what the importer thinks right. */
  readonly groupNearDuplicates?: boolean;
  /** `fail`: any problem stops the import, after all are listed. `skip`: cases with problems are left out and noted. Default `fail`. */
  readonly onProblem?: 'fail' | 'skip';
  /** folder: path of the table, absolute or relative to the source. Default `manifest.csv` when it is there. */
  readonly manifest?: string;
  /**
   * Regular expression on the case's name; its first capture group is the number of a slice, and the cases of a group are then
   * slices of one volume. Default: what the source says.
   */
  readonly slicePattern?: string;
  /** Volumes: grey values from black to white, `LOW,HIGH` or `percentile`. Default -160,240 (soft tissue, HU), MR of amos `percentile`. */
  readonly window?: string;
  /** Volumes: every slice, or those with any class in them. Default `all`. */
  readonly slices?: 'all' | 'labelled';
  /** Volumes: one slice of so many. Default 1. */
  readonly sliceStep?: number;
  /** amos: which scans. Default `ct`. */
  readonly scans?: 'ct' | 'mr' | 'both';
  /** covid-qu-ex: which masks become classes. Default `lung`. */
  readonly masks?: 'lung' | 'infection' | 'both';
};

export type Importer = {
  /** One line for help texts. */
  readonly summary: string;
  /** The folder layout it reads, for help texts and errors. */
  readonly layout: string;
  /** Options that mean something to this importer, beyond those that all share. */
  readonly accepts: readonly (keyof ImportOptions)[];
  /** Looks at the source without reading pixels. Throws DataError when the layout is not there at all. */
  readonly scan: (source: string, options: ImportOptions) => Promise<ImportPlan>;
};

/** Options that every importer takes. */
export const COMMON_OPTIONS = [
  'name',
  'modality',
  'maskThreshold',
  'groupPattern',
  'slicePattern',
  'groupNearDuplicates',
  'onProblem',
] as const satisfies readonly (keyof ImportOptions)[];
