// The facts behind `maskrank doctor`: which engine runs here, from where, with which BLAS, how fast, on which devices,
// and what to do about anything that is wrong. Data only; printing it is the command line's part, and measuring
// needs tensors, which this folder does not know: the caller passes measurements in.

import { availableParallelism, cpus, freemem, totalmem } from 'node:os';
import { EngineError } from '../errors.ts';
import { BLAS_NAMES, type Blas, blasAdvice, loadedBlas, ownMaps } from './blas.ts';
import { type LoadOptions, loadEngine } from './load.ts';
import { INSTALL_ADVICE } from './locate.ts';
import type { EngineRecord } from './types.ts';

/** Measurements by code that has tensors. Each runs only when the engine has loaded; what it throws becomes a problem. */
export type EngineProbes = {
  /** Speed of a [1024, 1024] x [1024, 1024] float32 product on the CPU, in GFLOP/s (2 x 1024^3 operations each). */
  readonly measureGflops?: () => number | Promise<number>;
  /** Threads libtorch uses for one operation. */
  readonly threads?: () => number;
  /** One line for each CUDA device, such as `NVIDIA H100 80GB (78 GiB)`. */
  readonly cudaDevices?: () => readonly string[];
  /** libtorch's text about its own build; tells the BLAS that is built in. */
  readonly buildConfiguration?: () => string;
};

export type Problem = { readonly what: string; readonly fix: string };

export type DoctorReport = {
  readonly node: string;
  readonly platform: string;
  readonly cpu: { readonly model: string; readonly cores: number };
  readonly memory: { readonly totalBytes: number; readonly freeBytes: number };
  /** Null when no engine loads; `problems` says why. */
  readonly engine: {
    readonly version: string;
    readonly origin: EngineRecord['engine']['origin'];
    readonly libDir: string;
    readonly addonFile: string;
    readonly compiler: string;
    readonly builtAt: string;
    /** CUDA as libtorch was built; null for a CPU build. */
    readonly cuda: string | null;
  } | null;
  readonly blas: (Blas & { readonly name: string }) | null;
  readonly gflops: number | null;
  readonly threads: number | null;
  /** Empty without a device; null when the engine did not load or was not asked. */
  readonly cudaDevices: readonly string[] | null;
  readonly problems: readonly Problem[];
};

/** Below this the machine cannot be using a tuned BLAS, whatever its name; a slow core makes 15 or more. */
const SLOW_GFLOPS_PER_THREAD = 6;

/** Collects everything; never throws for a missing or broken engine. */
export async function doctorReport(
  probes: EngineProbes = {},
  options: LoadOptions = {},
): Promise<DoctorReport> {
  const problems: Problem[] = [];
  const probe = async <T>(name: string, ask: (() => T | Promise<T>) | undefined): Promise<T | null> => {
    if (!ask || !loaded) return null;
    try {
      return await ask();
    } catch (error) {
      problems.push({ what: `${name}: ${(error as Error).message}`, fix: 'npm run setup' });
      return null;
    }
  };
  const loaded = tryLoad(problems, options);
  const configuration = await probe('build configuration', probes.buildConfiguration);
  const gflops = await probe('speed of a matrix product', probes.measureGflops);
  const threads = await probe('threads', probes.threads);
  const cudaDevices = await probe('CUDA devices', probes.cudaDevices);

  const blas = loaded ? loadedBlas(ownMaps(), configuration ?? '') : null;
  const advice = blas && blasAdvice(blas);
  if (advice) problems.push(advice);
  const expected = SLOW_GFLOPS_PER_THREAD * (threads ?? availableParallelism());
  if (blas && !advice && gflops !== null && gflops < expected) {
    problems.push({
      what: `A 1024^3 float32 product ran at ${gflops.toFixed(1)} GFLOP/s with ${BLAS_NAMES[blas.kind]}; at least ${expected} is usual here.`,
      fix: 'Look for other work on these cores, a CPU limit of the container, or OMP_NUM_THREADS.',
    });
  }
  if (loaded?.record.engine.cuda && cudaDevices?.length === 0) {
    problems.push({
      what: 'libtorch is a CUDA build, but it sees no device; the CPU will be used.',
      fix: 'Check that nvidia-smi lists a device and that the driver fits this CUDA version.',
    });
  }
  return {
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    cpu: { model: cpus()[0]?.model.trim() ?? 'unknown', cores: availableParallelism() },
    memory: { totalBytes: totalmem(), freeBytes: freemem() },
    engine: loaded && describeEngine(loaded.record, loaded.file),
    blas: blas && { ...blas, name: BLAS_NAMES[blas.kind] },
    gflops,
    threads,
    cudaDevices,
    problems,
  };
}

function tryLoad(problems: Problem[], options: LoadOptions): { record: EngineRecord; file: string } | null {
  try {
    return loadEngine(options);
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    problems.push({ what: error.message, fix: INSTALL_ADVICE });
    return null;
  }
}

function describeEngine(
  { engine, compiler, builtAt }: EngineRecord,
  addonFile: string,
): NonNullable<DoctorReport['engine']> {
  const { version, origin, libDir, cuda } = engine;
  return { version, origin, libDir, addonFile, compiler, builtAt, cuda: cuda && (cuda.version ?? 'yes') };
}
