// Embeddings of a run's cases under a given encoder, from RUN/cache where they are there. Stages that share an encoder share
// the file; the cache can be deleted at any time.

import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { toTensorData } from '@maskrank/torch';
import { bytesOf } from '@maskrank/torch/io';
import { EmbeddingCache } from '../alignment/embeddings.ts';
import type { LabelledCase, UnlabelledCase } from '../datasets/cases.ts';
import type { Sam } from '../models/sam/index.ts';
import { canonicalJson } from '../run/resolve.ts';
import type { JobContext, Workspace } from './workspace.ts';

/** Images embedded between two looks at the clock and the signal. */
const BATCH = 8;

/** Hash of the encoder's weights: what an embedding depends on beside the image. */
export function encoderHash(sam: Sam): string {
  const hash = createHash('sha256');
  for (const [name, tensor] of sam.image_encoder.stateDict())
    hash.update(name).update(bytesOf(toTensorData(tensor).data));
  return hash.digest('hex');
}

/** Embeddings of the cases; `part` names the file (unlabelled, test, ...), null for images of no dataset, of which nothing is kept. */
export async function embedCases(
  cases: readonly (LabelledCase | UnlabelledCase)[],
  part: string | null,
  sam: Sam,
  workspace: Workspace,
  { run, signal, onProgress }: JobContext,
): Promise<EmbeddingCache> {
  const options = {
    sam,
    dataset: workspace.dataset,
    canvas: workspace.canvas,
    device: workspace.device,
    batchSize: BATCH,
    signal,
    onProgress: (done: number, total: number) => onProgress(`embed ${part ?? 'images'}`, done, total),
  };
  if (part === null) return EmbeddingCache.build(cases, options, null);
  const encoder = encoderHash(sam);
  const path = join(run.paths.cache, `embeddings-${part}-${encoder.slice(0, 12)}.safetensors`);
  const canvas = createHash('sha256').update(canonicalJson(workspace.canvas)).digest('hex');
  const header = {
    schemaVersion: 1,
    configHash: '',
    madeFrom: { encoder, dataset: workspace.dataset.hash, canvas },
  };
  return EmbeddingCache.build(cases, options, { path, header, rerun: `delete ${run.paths.cache}` });
}
