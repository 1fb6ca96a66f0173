// Loads BiomedCLIP and OpenAI's CLIP from files: open_clip's and OpenAI's state dicts, the transformers port of BiomedCLIP and
// this project's own, as .bin, .pth, .pt or .safetensors. Every difference in names or shapes is an error that lists all.
// Not here: names of other files (key-maps.ts), downloads (weights registry). OpenAI's own downloads are TorchScript archives,
// which are not read: save their state dict once with PyTorch, or take open_clip's files of the same weights.

import { extname } from 'node:path';
import { nn } from '@maskrank/torch';
import { DataError } from '@maskrank/torch/errors';
import { readSafetensors, readStateDict, type TensorData } from '@maskrank/torch/io';
import { buildClip, type Clip } from './clip.ts';
import type { ClipConfig } from './config.ts';
import { describeClip, inferClipConfig } from './infer-config.ts';
import { toOpenClipKeys } from './key-maps.ts';

export type LoadClipOptions = {
  /** The network to build. Default: the one that the file's shapes describe. */
  readonly config?: ClipConfig;
};

/** Constants that some versions of the libraries write out: positions 0, 1, 2, ... and sizes. */
const CONSTANTS = [/(^|\.)position_ids$/, /^(input_resolution|context_length|vocab_size)$/];

const fromTorch = async (path: string) => (await readStateDict(path)).tensors;

const READERS: Readonly<Record<string, (path: string) => Promise<ReadonlyMap<string, TensorData>>>> = {
  '.bin': fromTorch,
  '.pth': fromTorch,
  '.pt': fromTorch,
  '.safetensors': async (path) => (await readSafetensors(path)).tensors,
};

/** The network with the file's weights, in evaluation mode. Throws DataError with every difference at once; then nothing was loaded. */
export async function loadClip(path: string, options: LoadClipOptions = {}): Promise<Clip> {
  const read = READERS[extname(path).toLowerCase()];
  if (read === undefined) {
    throw new DataError(
      `loadClip(${path}): unknown kind of file; allowed are ${Object.keys(READERS).join(', ')}.`,
    );
  }
  return clipFromState(await read(path), { ...options, source: path });
}

/** As `loadClip`, from tensors in memory. `source` opens messages. */
export function clipFromState(
  tensors: ReadonlyMap<string, TensorData>,
  { config, source }: LoadClipOptions & { readonly source: string },
): Clip {
  const state = toOpenClipKeys(tensors);
  const found = inferClipConfig(state, source);
  const model = buildClip(config ?? found);
  try {
    nn.loadStateDict(model, state, {
      source: `${source} (${describeClip(found)})`,
      allowUnexpected: CONSTANTS,
    });
    return model.eval();
  } catch (error) {
    model.dispose();
    throw error;
  }
}
