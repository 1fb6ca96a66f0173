// Loads SAM-Med3D from files: sam_med3d.pth and sam_med3d_turbo.pth as released (weights in `model_state_dict`, beside an
// optimiser that is not read), bare state dicts, and this project's own, as .pth, .pt or .safetensors. The network is the one that
// the shapes describe; any difference is an error that lists all of them. Not here: the formats (@maskrank/torch/io).

import { nn } from '@maskrank/torch';
import type { TensorData } from '@maskrank/torch/io';
import { readWeightFile } from '../weight-file.ts';
import type { Sam3dConfig } from './config.ts';
import { describeSam3d, inferSam3dConfig } from './infer-config.ts';
import { Sam3d } from './sam3d.ts';

const ENDINGS = ['.pth', '.pt', '.safetensors'] as const;

/** SAM's code registers these as buffers that some exports write out; nothing uses them here. */
const CONSTANT_BUFFERS = /^pixel_(mean|std)$/;

export type LoadSam3dOptions = {
  /** The network that must be in the file. Default: the one that its shapes describe. */
  readonly config?: Sam3dConfig;
};

export type LoadedSam3d = {
  readonly sam: Sam3d;
  /** What else the file holds (an optimiser, an epoch), as `key: description`. */
  readonly ignored: readonly string[];
};

/** The network with the file's weights. Throws DataError with every difference at once; then nothing was loaded. */
export async function loadSam3d(path: string, options: LoadSam3dOptions = {}): Promise<LoadedSam3d> {
  const { tensors, ignored } = await readWeightFile(path, { who: 'loadSam3d', allowed: ENDINGS });
  return { sam: sam3dFromState(tensors, path, options), ignored };
}

/** The same from tensors in memory. `source` opens messages. */
export function sam3dFromState(
  tensors: ReadonlyMap<string, TensorData>,
  source: string,
  { config }: LoadSam3dOptions = {},
): Sam3d {
  const found = inferSam3dConfig(tensors, source);
  const sam = new Sam3d(config ?? found);
  try {
    nn.loadStateDict(sam, tensors, {
      source: `${source} (${describeSam3d(found)})`,
      allowUnexpected: [CONSTANT_BUFFERS],
    });
    return sam;
  } catch (error) {
    sam.dispose();
    throw error;
  }
}
