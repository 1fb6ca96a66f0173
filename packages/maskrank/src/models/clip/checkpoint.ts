// Loads BiomedCLIP and OpenAI's CLIP from files: open_clip's and OpenAI's state dicts, the transformers port of BiomedCLIP and
// this project's own, as .bin, .pth, .pt or .safetensors. Every difference in names or shapes is an error that lists all.
// Not here: names of other files (key-maps.ts), downloads (weights registry). OpenAI's own downloads are TorchScript archives,
// which are not read: save their state dict once with PyTorch, or take open_clip's files of the same weights.

import { nn } from '@maskrank/torch';
import type { TensorData } from '@maskrank/torch/io';
import { readWeightFile } from '../weight-file.ts';
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

const ENDINGS = ['.bin', '.pth', '.pt', '.safetensors'] as const;

/** The network with the file's weights, in evaluation mode. Throws DataError with every difference at once; then nothing was loaded. */
export async function loadClip(path: string, options: LoadClipOptions = {}): Promise<Clip> {
  const { tensors } = await readWeightFile(path, { who: 'loadClip', allowed: ENDINGS });
  return clipFromState(tensors, { ...options, source: path });
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
