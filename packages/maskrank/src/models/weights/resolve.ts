// What `model.weights` means: a name of the store or a file. Never downloads.

import { basename } from 'node:path';
import { DataError } from '@maskrank/torch/errors';
import { pretrainingOverlaps } from '../../datasets/overlap.ts';
import type { Dataset } from '../../datasets/schema.ts';
import { WEIGHT_EXTENSIONS } from './families.ts';
import { WeightStore } from './store.ts';

/** Whether the text is a path: it has a folder or the extension of a weight file. No name of the store has either. */
function isPath(nameOrPath: string): boolean {
  return /[/\\]/.test(nameOrPath) || WEIGHT_EXTENSIONS.some((end) => nameOrPath.toLowerCase().endsWith(end));
}

/** The file to load. UsageError for an unknown name; DataError, with the command that helps, for one whose file is not here or, of those that come with maskrank, not what it was. */
export async function resolveWeights(
  nameOrPath: string,
  store: WeightStore = new WeightStore(),
): Promise<string> {
  if (isPath(nameOrPath)) return nameOrPath;
  store.requireName(nameOrPath);
  if (store.isShipped(nameOrPath)) return await unchanged(store, nameOrPath);
  const stored = await store.find(nameOrPath);
  if (stored !== undefined) return stored.path;
  throw new DataError(
    `weights ${nameOrPath} are known but not on this machine (${store.folder(nameOrPath)}). ${store.remedy(nameOrPath)}`,
  );
}

/** Small files that everybody has: cheap to hash each time. */
async function unchanged(store: WeightStore, name: string): Promise<string> {
  const { path, problem } = await store.verify(name);
  if (problem !== null || path === null) throw new DataError(problem ?? `${name}: has no file.`);
  return path;
}

/**
 * Warnings where these weights may have learned from the dataset's cases; a file is known by its public name. Those that come with
 * maskrank saw phantoms alone.
 */
export function overlapWarnings(dataset: Dataset, nameOrPath: string): string[] {
  if (new WeightStore().isShipped(nameOrPath)) return [];
  return pretrainingOverlaps(dataset, basename(nameOrPath)).map(({ message }) => message);
}
