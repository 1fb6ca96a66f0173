// OpenBLAS picks its kernels by the processor's model, and a release that is older than the processor falls back to
// kernels of 2004: measured, a fifth of the speed. OPENBLAS_CORETYPE names kernels by hand; it is read when the library is
// loaded. Not here: which BLAS libtorch uses (blas.ts).

import type { Environment } from './locate.ts';

/** Kernels by the instructions they need, the best first. */
const KERNELS = [
  { name: 'SkylakeX', needs: ['avx512f', 'avx512dq', 'avx512bw', 'avx512vl', 'avx512cd'] },
  { name: 'Haswell', needs: ['avx2', 'fma'] },
] as const;

/** Name of the kernels that suit these instruction sets; undefined leaves the choice to OpenBLAS. */
export function coreTypeFor(flags: ReadonlySet<string>): string | undefined {
  return KERNELS.find(({ needs }) => needs.every((flag) => flags.has(flag)))?.name;
}

/**
 * Names the kernels in `env` before OpenBLAS is loaded, unless somebody has named them already (an empty name counts:
 * it leaves the choice to OpenBLAS).
 */
export function chooseOpenblasKernels(
  flags: ReadonlySet<string>,
  env: { OPENBLAS_CORETYPE?: string | undefined } & Environment = process.env,
): void {
  if (env.OPENBLAS_CORETYPE !== undefined) return;
  const name = coreTypeFor(flags);
  if (name !== undefined) (env as Record<string, string | undefined>).OPENBLAS_CORETYPE = name;
}
