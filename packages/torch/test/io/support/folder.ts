// A temporary folder for a test file, removed after its tests, and where the optional fixtures lie.

import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll } from 'vitest';

export const FIXTURES = resolve(import.meta.dirname, '../fixtures');

/** Fixtures of the reference implementations beside the repository, if they are there. */
export const GOLDEN = resolve(import.meta.dirname, '../../../../../../shared/golden');
export const hasGolden = existsSync(GOLDEN);

/** Makes a folder before the tests; `path(name)` and `write(name, bytes)` work inside it. */
export function temporaryFolder() {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'torch-io-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));
  const path = (name: string): string => join(folder, name);
  const write = async (name: string, bytes: Uint8Array | string): Promise<string> => {
    await writeFile(path(name), bytes);
    return path(name);
  };
  return { path, write };
}
