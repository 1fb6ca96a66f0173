// Builds the addon for one engine: every native/*.cc to an object cached by content, then one link into
// build/<engine key>/maskrank_torch.node, put in place by a rename so that running programs keep theirs.
// A build with nothing to do reads a few files and compiles nothing. Not here: finding the engine (locate.ts).

import { createHash, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { availableParallelism, freemem } from 'node:os';
import { join } from 'node:path';
import { EngineError } from '../errors.ts';
import { type Compiler, compile, type Flags, findCompiler, flagsFor, link } from './compiler.ts';
import type { Environment } from './locate.ts';
import { withLock } from './lock.ts';
import {
  BUILD_DIR,
  engineKey,
  identify,
  NATIVE_DIR,
  readAllRecords,
  readRecord,
  writeRecord,
} from './record.ts';
import type { Engine, EngineRecord } from './types.ts';

export type BuildOptions = {
  /** Folder of the C++ sources (*.cc) and their headers (*.h). Files ending in `.cuda.cc` need CUDA's headers. */
  readonly nativeDir?: string;
  /** Folder of all builds. */
  readonly buildDir?: string;
  /** Compilers at a time; by default the cores, as far as memory allows. */
  readonly jobs?: number;
  /** Whether programs use this build from now on (they read `engine.json` of the folder of all builds). */
  readonly makeCurrent?: boolean;
  /** Where CXX and MASKRANK_BUILD_JOBS are read from. */
  readonly env?: Environment;
  /** Told once before compiling, and when another process is building. */
  readonly onProgress?: (line: string) => void;
};

export type BuildResult = {
  readonly record: EngineRecord;
  /** The built file. */
  readonly addonFile: string;
  /** False when everything was up to date. */
  readonly rebuilt: boolean;
  /** How many sources went through the compiler. */
  readonly compiled: number;
};

/** One compiler of libtorch's headers takes up to this much memory, in bytes (0.5 GiB seen). */
const COMPILER_BYTES = 0.8 * 2 ** 30;
const ADDON = 'maskrank_torch.node';

/** One source with the hash of all that its object depends on. */
type Unit = { readonly source: string; readonly object: string };

/**
 * Makes the addon for `engine`, or finds that it is made.
 *
 * @throws EngineError when there is no compiler, it fails (with its first errors), or another build does not end.
 */
export async function buildAddon(engine: Engine, options: BuildOptions = {}): Promise<BuildResult> {
  const { nativeDir = NATIVE_DIR, buildDir = BUILD_DIR, makeCurrent = true, env = process.env } = options;
  const identity = identify(engine);
  if (!identity)
    throw new EngineError(`buildAddon: ${engine.libDir}/libtorch_cpu.so is gone; run \`npm run setup\`.`);
  const compiler = findCompiler(env);
  const flags = flagsFor(engine);
  const key = engineKey(engine, identity);
  const dir = join(buildDir, key);
  const units = listUnits(nativeDir, dir, engine, [compiler.description, identity, flags.compile]);
  const inputsHash = sha256(
    JSON.stringify([units.map((unit) => unit.object), flags.link, compiler.description]),
  );

  const addonFile = join(dir, ADDON);
  const ready = (): EngineRecord | null => {
    const record = readRecord(dir);
    return record?.inputsHash === inputsHash && existsSync(addonFile) ? record : null;
  };
  const finish = (record: EngineRecord, compiled: number, rebuilt: boolean): BuildResult => {
    const current = readRecord(buildDir);
    const differs =
      current?.key !== key || current.inputsHash !== inputsHash || !sameOrigin(current.engine, engine);
    if (makeCurrent && differs) writeRecord(buildDir, { ...record, engine });
    return { record: { ...record, engine }, addonFile, rebuilt, compiled };
  };

  const present = ready();
  if (present) return finish(present, 0, false);
  mkdirSync(join(dir, 'objects'), { recursive: true });
  const onWait = (holder: string): void => options.onProgress?.(`waiting for the build of ${holder}`);
  return await withLock(
    join(buildDir, '.lock'),
    async () => {
      const made = ready(); // by the process that was waited for
      if (made) return finish(made, 0, false);
      const missing = units.filter((unit) => !existsSync(unit.object));
      if (missing.length > 0) options.onProgress?.(`compiling ${missing.length} of ${units.length} sources`);
      await compileAll(compiler, flags, missing, options.jobs ?? defaultJobs(env));
      const temporary = join(dir, `${ADDON}.${randomUUID()}`);
      try {
        await link(
          compiler,
          flags,
          units.map((unit) => unit.object),
          temporary,
        );
        renameSync(temporary, addonFile);
      } finally {
        rmSync(temporary, { force: true });
      }
      const record: EngineRecord = {
        schemaVersion: 1,
        key,
        addon: ADDON,
        inputsHash,
        engine,
        identity,
        compiler: compiler.description,
        builtAt: new Date().toISOString(),
      };
      writeRecord(dir, record);
      tidyUp(buildDir, record, new Set(units.map((unit) => unit.object)));
      return finish(record, missing.length, true);
    },
    { onWait },
  );
}

/** The sources this engine can have, each with the path of its object, which spells the hash of its inputs. */
function listUnits(nativeDir: string, dir: string, engine: Engine, context: unknown): Unit[] {
  const names = existsSync(nativeDir) ? readdirSync(nativeDir).sort() : [];
  const withCudaHeaders = (engine.cuda?.includeDirs.length ?? 0) > 0;
  const sources = names.filter(
    (name) => name.endsWith('.cc') && (withCudaHeaders || !name.endsWith('.cuda.cc')),
  );
  if (sources.length === 0) {
    throw new EngineError(`buildAddon: no C++ sources (*.cc) in ${nativeDir}; is the checkout complete?`);
  }
  const headers = names.filter((name) => name.endsWith('.h'));
  const read = (name: string): string => sha256(readFileSync(join(nativeDir, name)));
  const shared = sha256(JSON.stringify([context, headers.map((name) => [name, read(name)])]));
  return sources.map((name) => ({
    source: join(nativeDir, name),
    object: join(dir, 'objects', `${name.slice(0, -3)}-${sha256(`${shared} ${read(name)}`).slice(0, 16)}.o`),
  }));
}

/** Compiles with `jobs` processes; the first failure stops the others. */
async function compileAll(
  compiler: Compiler,
  flags: Flags,
  units: readonly Unit[],
  jobs: number,
): Promise<void> {
  const stop = new AbortController();
  const waiting = [...units];
  const worker = async (): Promise<void> => {
    for (let unit = waiting.shift(); unit && !stop.signal.aborted; unit = waiting.shift()) {
      const temporary = `${unit.object}.${randomUUID()}`;
      try {
        await compile(compiler, flags, unit.source, temporary, stop.signal);
        renameSync(temporary, unit.object);
      } catch (error) {
        if (stop.signal.aborted) return;
        stop.abort();
        throw error;
      } finally {
        rmSync(temporary, { force: true });
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(jobs, units.length) }, worker));
}

function defaultJobs(env: Environment): number {
  const wanted = Number(env.MASKRANK_BUILD_JOBS);
  if (Number.isInteger(wanted) && wanted > 0) return wanted;
  return Math.max(1, Math.min(availableParallelism(), Math.floor(freemem() / COMPILER_BYTES)));
}

/** Removes objects that nothing links any more, and builds for an older form of the same engine. */
function tidyUp(buildDir: string, { key, engine }: EngineRecord, used: ReadonlySet<string>): void {
  const objects = join(buildDir, key, 'objects');
  for (const name of readdirSync(objects)) {
    if (!used.has(join(objects, name))) rmSync(join(objects, name), { force: true });
  }
  for (const other of readAllRecords(buildDir)) {
    const outdated = other.key !== key && other.engine.libDir === engine.libDir;
    if (outdated) rmSync(join(buildDir, other.key), { recursive: true, force: true });
  }
}

function sameOrigin(a: Engine, b: Engine): boolean {
  return a.origin === b.origin && a.root === b.root && a.python === b.python;
}

function sha256(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}
