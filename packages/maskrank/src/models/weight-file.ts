// The tensors of a weight file, by its ending. Not here: the formats (@maskrank/torch/io), what a network needs of them.

import { extname } from 'node:path';
import { DataError } from '@maskrank/torch/errors';
import { readSafetensors, readStateDict, type TensorData } from '@maskrank/torch/io';

export type WeightFile = {
  readonly tensors: ReadonlyMap<string, TensorData>;
  /** What else the file holds (an optimiser, an epoch), as `key: description`. */
  readonly ignored: readonly string[];
};

const fromTorch = (path: string): Promise<WeightFile> => readStateDict(path);

const READERS = {
  '.bin': fromTorch,
  '.pth': fromTorch,
  '.pt': fromTorch,
  '.safetensors': async (path: string): Promise<WeightFile> => ({
    tensors: (await readSafetensors(path)).tensors,
    ignored: [],
  }),
} as const;

export type WeightFileEnding = keyof typeof READERS;

/** Reads the file. `who` opens messages; DataError for an ending that is not among `allowed`. */
export function readWeightFile(
  path: string,
  { who, allowed }: { readonly who: string; readonly allowed: readonly WeightFileEnding[] },
): Promise<WeightFile> {
  const ending = extname(path).toLowerCase();
  const found = allowed.find((one) => one === ending);
  if (found !== undefined) return READERS[found](path);
  throw new DataError(`${who}(${path}): unknown kind of file; allowed are ${allowed.join(', ')}.`);
}
