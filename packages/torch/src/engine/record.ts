// The record of a built addon, `engine.json`, so that running needs neither Python nor a compiler. Each build's
// folder holds its own; the folder of all builds holds a copy of the current one.

import { createHash, randomUUID } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Engine, EngineIdentity, EngineRecord } from './types.ts';

/** packages/torch, from src/engine as from dist/engine. */
export const PACKAGE_DIR = fileURLToPath(new URL('../../', import.meta.url));
export const BUILD_DIR = join(PACKAGE_DIR, 'build');
export const NATIVE_DIR = join(PACKAGE_DIR, 'native');

const FILE = 'engine.json';

/** The record in `dir`; null when there is none, or when it was written by another version of this project. */
export function readRecord(dir: string): EngineRecord | null {
  const file = join(dir, FILE);
  if (!existsSync(file)) return null;
  try {
    const record = JSON.parse(readFileSync(file, 'utf8')) as EngineRecord;
    return record.schemaVersion === 1 ? record : null;
  } catch {
    return null; // a half-written or foreign file: build again
  }
}

/** All records below the folder of builds. */
export function readAllRecords(buildDir: string): EngineRecord[] {
  if (!existsSync(buildDir)) return [];
  return readdirSync(buildDir).flatMap((name) => readRecord(join(buildDir, name)) ?? []);
}

export function writeRecord(dir: string, record: EngineRecord): void {
  const temporary = join(dir, `${FILE}.${randomUUID()}`);
  writeFileSync(temporary, `${JSON.stringify(record, null, 2)}\n`);
  renameSync(temporary, join(dir, FILE));
}

/** Null when the library is gone. */
export function identify(engine: Engine): EngineIdentity | null {
  const stat = statSync(join(engine.libDir, 'libtorch_cpu.so'), { throwIfNoEntry: false });
  return stat ? { sizeBytes: stat.size, mtimeMs: Math.trunc(stat.mtimeMs) } : null;
}

/** Whether the library is still the one that the addon was built against. */
export function stillStands({ engine, identity }: EngineRecord): boolean {
  const now = identify(engine);
  return now?.sizeBytes === identity.sizeBytes && now.mtimeMs === identity.mtimeMs;
}

/** Names the build's folder: one for each engine at its place in its present form. */
export function engineKey(engine: Engine, identity: EngineIdentity): string {
  const { version, libDir, includeDirs, libraries, cxx11Abi, cuda } = engine;
  const content = JSON.stringify([libDir, includeDirs, libraries, cxx11Abi, cuda, identity, process.arch]);
  return `${version.replaceAll(/[^\w.]+/g, '-')}-${createHash('sha256').update(content).digest('hex').slice(0, 10)}`;
}
