// Loads the built addon of the chosen engine into this process. Reads `engine.json`; starts no Python and no compiler.
// MASKRANK_ENGINE_DIR names another build's folder (to try a second engine); LIBTORCH, when set, must have been built.
// Not here: what the addon exports (native.ts).

import { existsSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { EngineError } from '../errors.ts';
import { ownCpuFlags } from './cpu-flags.ts';
import type { Environment } from './locate.ts';
import { leaveOutAmx } from './onednn-isa.ts';
import { chooseOpenblasKernels } from './openblas-core.ts';
import { BUILD_DIR, readAllRecords, readRecord, stillStands } from './record.ts';
import type { EngineRecord } from './types.ts';

export type LoadOptions = {
  /** Where MASKRANK_ENGINE_DIR and LIBTORCH are read from. */
  readonly env?: Environment;
  /** Folder of all builds. */
  readonly buildDir?: string;
};

export type LoadedAddon = {
  /** What the addon exports; `native.ts` knows its types. */
  readonly exports: unknown;
  readonly record: EngineRecord;
  readonly file: string;
};

const SETUP = 'Run `npm run setup`.';

/** What the addon of the chosen engine exports; see `loadEngine`. */
export function loadAddon(options: LoadOptions = {}): unknown {
  return loadEngine(options).exports;
}

/**
 * Loads the addon and says which it is. Loading the same file again returns the same exports.
 *
 * @throws EngineError when nothing is built, the engine has changed or gone since, or a library is missing; each
 * message says what to run.
 */
export function loadEngine(options: LoadOptions = {}): LoadedAddon {
  const { record, dir } = chooseBuild(options);
  const { engine } = record;
  const file = join(dir, record.addon);
  if (!existsSync(file)) throw new EngineError(`loadAddon: ${file} is missing. ${SETUP}`);
  if (!stillStands(record)) {
    throw new EngineError(
      `loadAddon: libtorch in ${engine.libDir} has changed or gone since the addon was built (then ${engine.version}). ${SETUP}`,
    );
  }
  const flags = ownCpuFlags();
  chooseOpenblasKernels(flags);
  leaveOutAmx(flags);
  try {
    return { exports: createRequire(import.meta.url)(file), record, file };
  } catch (error) {
    throw new EngineError(`loadAddon: ${file} (libtorch ${engine.version}): ${explain(error as Error)}`, {
      cause: error,
    });
  }
}

/** The build that a program started now would load. */
export function chooseBuild({ env = process.env, buildDir = BUILD_DIR }: LoadOptions = {}): {
  readonly record: EngineRecord;
  readonly dir: string;
} {
  if (env.MASKRANK_ENGINE_DIR) {
    const dir = resolve(env.MASKRANK_ENGINE_DIR);
    const record = readRecord(dir);
    if (record && existsSync(join(dir, record.addon))) return { record, dir };
    throw new EngineError(
      `loadAddon: MASKRANK_ENGINE_DIR=${dir} is not the folder of a built engine (no engine.json with its addon). ` +
        `Allowed: a folder below ${buildDir}. Correct or unset it.`,
    );
  }
  const current = readRecord(buildDir);
  if (!current) {
    throw new EngineError(
      `loadAddon: the addon is not built yet (no ${join(buildDir, 'engine.json')}). ${SETUP}`,
    );
  }
  const wanted = env.LIBTORCH ? realPath(env.LIBTORCH) : null;
  const fits = ({ engine }: EngineRecord): boolean => wanted === null || realPath(engine.root) === wanted;
  const record = [current, ...readAllRecords(buildDir)].find(fits);
  if (record) return { record, dir: join(buildDir, record.key) };
  throw new EngineError(
    `loadAddon: LIBTORCH=${env.LIBTORCH}, but the addon was built for ${current.engine.root}. ` +
      `${SETUP} It builds for LIBTORCH too and keeps both; or unset LIBTORCH.`,
  );
}

function realPath(path: string): string {
  return existsSync(path) ? realpathSync(path) : resolve(path);
}

function explain({ message }: Error): string {
  const missing = /(\S+): cannot open shared object file/.exec(message)?.[1];
  if (missing) return `the library ${missing} is missing; is the engine's installation complete? ${SETUP}`;
  if (/undefined symbol|version `/.test(message)) {
    return `it does not fit the libraries found now (${message}). ${SETUP}`;
  }
  return `${message}. ${SETUP}`;
}
