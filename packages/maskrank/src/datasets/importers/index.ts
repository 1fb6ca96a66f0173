// The importers by name, and the one function that runs them.
// Not here: the layouts (one file each), how cases are written (run.ts).

import { UsageError } from '@maskrank/torch/errors';
import { didYouMean } from '../artefact.ts';
import { amos } from './amos.ts';
import { busi } from './busi.ts';
import { covidQuEx } from './covid-qu-ex.ts';
import { folder } from './folder.ts';
import type { ImportRequest, ImportResult } from './run.ts';
import { runImport } from './run.ts';
import { samMed2d } from './sam-med2d.ts';
import type { Importer } from './types.ts';
import { udiat } from './udiat.ts';
import { volumes } from './volumes.ts';

/** Every importer by the name used on the command line. */
export const IMPORTERS = {
  folder,
  busi,
  udiat,
  'covid-qu-ex': covidQuEx,
  'sam-med2d': samMed2d,
  amos,
  volumes,
} as const satisfies Record<string, Importer>;

export type ImporterName = keyof typeof IMPORTERS;

/** Imports `source` as a dataset in `out`; see `runImport`. Throws UsageError for an unknown importer. */
export async function importDataset(
  name: string,
  request: Omit<ImportRequest, 'name' | 'importer'>,
): Promise<ImportResult> {
  if (!Object.hasOwn(IMPORTERS, name)) {
    const names = Object.keys(IMPORTERS);
    throw new UsageError(
      `dataset import: no importer "${name}".${didYouMean(name, names)} Allowed: ${names.join(', ')}.`,
    );
  }
  return runImport({ ...request, name, importer: IMPORTERS[name as ImporterName] });
}
