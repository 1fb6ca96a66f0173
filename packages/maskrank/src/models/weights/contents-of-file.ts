// What a weight file holds: names, types and shapes of its tensors. Needs no engine. A .pth is read whole, which checks every
// storage against its checksum; of a .safetensors, which has none, the header and the size are checked.
// Not here: what they should be (families.ts).

import { openSafetensors, readStateDict, type TensorData } from '@maskrank/torch/io';

export type FileTensors = ReadonlyMap<string, Pick<TensorData, 'dtype' | 'shape'>>;

async function safetensors(path: string): Promise<FileTensors> {
  await using file = await openSafetensors(path);
  return new Map([...file.tensors].map(([name, { dtype, shape }]) => [name, { dtype, shape: [...shape] }]));
}

const torch = async (path: string): Promise<FileTensors> => (await readStateDict(path)).tensors;

const READERS: Readonly<Record<string, (path: string) => Promise<FileTensors>>> = {
  '.bin': torch,
  '.pth': torch,
  '.pt': torch,
  '.safetensors': safetensors,
};

export const TENSOR_EXTENSIONS: readonly string[] = Object.keys(READERS);

/** @param extension one of `TENSOR_EXTENSIONS` */
export function readFileTensors(path: string, extension: string): Promise<FileTensors> {
  return (READERS[extension] as (path: string) => Promise<FileTensors>)(path);
}
