// The configuration of MedVInT files: the one that they name in their metadata (saveMedvint writes it), else the known one with as
// many pieces. Not here: whether names and shapes fit it (load-plan.ts).

import { DataError } from '@maskrank/torch/errors';
import { checkMedvintConfig, MEDVINT_CONFIGS, type MedvintConfig } from './config.ts';
import type { Sources } from './sources.ts';

/** Key of the metadata that holds the configuration as JSON. */
export const CONFIG_KEY = 'medvintConfig';

/** The released network's where nothing tells it. DataError for metadata that make no network. */
export function inferMedvintConfig({
  files,
  tensors,
  metadata,
}: Pick<Sources, 'files' | 'tensors' | 'metadata'>): MedvintConfig {
  const named = metadata[CONFIG_KEY];
  if (named !== undefined) return parsed(named, files.join(', '));
  const pieces = tensors.get('llamacasual.model.embed_tokens.weight')?.shape[0];
  const alike = Object.values<MedvintConfig>(MEDVINT_CONFIGS).find(
    ({ llama }) => llama.vocabularySize === pieces,
  );
  return alike ?? MEDVINT_CONFIGS['medvint-td'];
}

function parsed(json: string, source: string): MedvintConfig {
  try {
    const config = JSON.parse(json) as MedvintConfig;
    checkMedvintConfig(config);
    return config;
  } catch (cause) {
    throw new DataError(
      `${source}: the metadata ${CONFIG_KEY} make no network (${(cause as Error).message}): damaged, or of another version.`,
      { cause },
    );
  }
}
