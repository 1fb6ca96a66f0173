// How the tests of trainings start, stop and kill one: folders of their own, and a loop that ends after a step.

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import type { MetricsLog } from '../../src/run/metrics.ts';
import type { LoopOptions } from '../../src/training/loop.ts';

/** Makes a new folder at each call; all are removed after the file's tests. */
export function newFolders(name: string): () => string {
  const dir = mkdtempSync(join(tmpdir(), `maskrank-${name}-`));
  afterAll(() => rmSync(dir, { recursive: true }));
  let folders = 0;
  return () => {
    const folder = join(dir, `run${folders++}`);
    mkdirSync(folder);
    return folder;
  };
}

/** Steps after which a training is asked to stop, and after which it dies. */
export type Ends = { readonly abortAt?: number; readonly dieAt?: number };

/** The files and the end of a training; its state lies in `folder`. */
export function toyLoop(
  folder: string,
  metrics: MetricsLog,
  { abortAt, dieAt }: Ends,
): Pick<LoopOptions, 'label' | 'statePath' | 'header' | 'rerun' | 'metrics' | 'signal' | 'onProgress'> {
  const controller = new AbortController();
  return {
    label: 'toy',
    statePath: join(folder, 'state.safetensors'),
    header: { schemaVersion: 1, configHash: 'c0', madeFrom: {} },
    rerun: 'again',
    metrics,
    signal: controller.signal,
    onProgress: (done) => {
      if (done === abortAt) controller.abort(new Error('stopped by request'));
      if (done === dieAt) throw new Error('killed');
    },
  };
}
