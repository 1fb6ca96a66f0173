// Which library multiplies matrices for libtorch on the CPU. The system's package takes whatever `libblas.so.3` the
// alternatives point at; with the reference library a product runs 50 times slower. pip's build brings its own.

import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import type { Engine } from './types.ts';

export type BlasKind = 'openblas' | 'mkl' | 'blis' | 'atlas' | 'reference' | 'built-in' | 'unknown';

export type Blas = {
  readonly kind: BlasKind;
  /** Real path of the library; null when it is part of libtorch or not known. */
  readonly path: string | null;
};

/** In order: OpenBLAS, BLIS and ATLAS also come under the name libblas.so.3, in folders of their own. */
const KINDS: readonly (readonly [RegExp, BlasKind])[] = [
  [/openblas/i, 'openblas'],
  [/mkl/i, 'mkl'],
  [/blis/i, 'blis'],
  [/atlas/i, 'atlas'],
  [/libblas\.so/i, 'reference'],
];

/** Names as people know them. */
export const BLAS_NAMES: Readonly<Record<BlasKind, string>> = {
  openblas: 'OpenBLAS',
  mkl: 'Intel MKL',
  blis: 'BLIS',
  atlas: 'ATLAS',
  reference: 'reference BLAS (slow)',
  'built-in': 'built into libtorch',
  unknown: 'unknown BLAS',
};

/** What to do about a slow library; null when there is nothing to do. */
export function blasAdvice({ kind, path }: Blas): { what: string; fix: string } | null {
  if (kind !== 'reference') return null;
  return {
    what: `libtorch uses the reference BLAS (${path}), about 50 times slower than OpenBLAS.`,
    fix: 'apt-get install libopenblas0-pthread',
  };
}

export function blasFromPath(path: string): Blas {
  const kind = KINDS.find(([pattern]) => pattern.test(path))?.[1] ?? 'unknown';
  return { kind, path };
}

/**
 * The library that a process has mapped.
 *
 * @param maps text of `/proc/<pid>/maps` of a process that has loaded libtorch
 * @param buildConfiguration libtorch's own description of its build, where known
 */
export function loadedBlas(maps: string, buildConfiguration = ''): Blas {
  const paths = [...new Set(maps.match(/\/\S*\/lib[^/\s]*(?:blas|mkl|blis|atlas)[^/\s]*\.so[^/\s]*/g) ?? [])];
  const found = paths.filter((path) => !/cublas|hipblas|rocblas|lapack/i.test(path)).map(blasFromPath);
  const best = KINDS.map(([, kind]) => found.find((blas) => blas.kind === kind)).find(
    (blas) => blas !== undefined,
  );
  if (best) return best;
  const built = /BLAS_INFO=(\w+)/.exec(buildConfiguration)?.[1];
  return { kind: built && /mkl/i.test(built) ? 'mkl' : 'built-in', path: null };
}

/** The library the engine would load, before anything is built: only the system's package has a choice. */
export function expectedBlas(engine: Engine): Blas {
  if (engine.origin !== 'system') return { kind: 'built-in', path: null };
  const link = join(engine.libDir, 'libblas.so.3');
  return existsSync(link) ? blasFromPath(realpathSync(link)) : { kind: 'unknown', path: null };
}

/** Maps of this process; empty where the system does not tell (not Linux). */
export function ownMaps(): string {
  return existsSync('/proc/self/maps') ? readFileSync('/proc/self/maps', 'utf8') : '';
}
