// A name for a network's content: whatever gives the same features has the same name, wherever its file lies.

import { createHash } from 'node:crypto';
import { bytesOf } from '@maskrank/torch/io';
import type { Clip } from './clip.ts';

/** SHA-256 of the configuration (without its name) and of every weight, hexadecimal. Reads all weights: about a second for BiomedCLIP. */
export function clipFingerprint(model: Clip): string {
  const hash = createHash('sha256');
  hash.update(JSON.stringify({ ...model.config, name: '' }));
  for (const [name, tensor] of [...model.stateDict()].sort(([a], [b]) => (a < b ? -1 : 1))) {
    hash.update(`${name} ${tensor.dtype} ${tensor.shape}\n`);
    hash.update(bytesOf(tensor.toTypedArray()));
  }
  return hash.digest('hex');
}
