// Which network a weight file holds, from its tensors' shapes. Needs no engine. A .pth is read whole, which checks every
// storage against its checksum; a .safetensors has no checksums, so its header and its size are what is checked.
// Not here: loading into a network (models/sam/checkpoint.ts), which compares every name and shape.

import { extname } from 'node:path';
import { DataError } from '@maskrank/torch/errors';
import { openSafetensors, readStateDict, type TensorData } from '@maskrank/torch/io';
import { SAM_CONFIGS, type SamConfig } from '../sam/config.ts';
import { describeSam, inferSamConfig } from '../sam/infer-config.ts';
import type { RegisteredWeights } from './registry.ts';

type Shapes = ReadonlyMap<string, Pick<TensorData, 'shape'>>;

async function safetensorsShapes(path: string): Promise<Shapes> {
  await using file = await openSafetensors(path);
  return new Map([...file.tensors].map(([name, { shape }]) => [name, { shape: [...shape] }]));
}

const torchShapes = async (path: string): Promise<Shapes> => (await readStateDict(path)).tensors;

const SHAPES: Readonly<Record<string, (path: string) => Promise<Shapes>>> = {
  '.pth': torchShapes,
  '.pt': torchShapes,
  '.safetensors': safetensorsShapes,
};

export const WEIGHT_EXTENSIONS: readonly string[] = Object.keys(SHAPES);

/** The extension of a weight file, in lower case. DataError for other files. */
export function weightExtension(path: string): string {
  const extension = extname(path).toLowerCase();
  if (WEIGHT_EXTENSIONS.includes(extension)) return extension;
  throw new DataError(`${path}: not a weight file by its name; allowed are ${WEIGHT_EXTENSIONS.join(', ')}.`);
}

/** The configuration of the network in a file. DataError when the file is damaged or holds something else. */
export async function inspectWeights(path: string, extension = weightExtension(path)): Promise<SamConfig> {
  const read = SHAPES[extension]!;
  return inferSamConfig(await read(path), path);
}

/** DataError when `found` is not the network that is registered under the name. */
export function checkArchitecture(
  found: SamConfig,
  { name, architecture }: RegisteredWeights,
  path: string,
): void {
  const needed = SAM_CONFIGS[architecture];
  if (found.name === architecture && found.imageSize === needed.imageSize) return;
  throw new DataError(
    `${path}: holds ${describeSam(found)}; ${name} has ${describeSam(needed)}. A file of your own goes under a name of its own: maskrank weights add OTHER-NAME ${path}`,
  );
}
