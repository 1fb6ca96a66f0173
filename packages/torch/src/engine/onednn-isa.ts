// oneDNN, which computes libtorch's bfloat16 products and convolutions on processors, uses Intel's AMX where the processor
// claims to have it. On virtual machines that pass the claim on without the permission, the process then ends in an illegal
// instruction: seen with libtorch 1.13 and 2.15. ONEDNN_MAX_CPU_ISA names the largest instruction set by hand; it is read at
// the first such operator. float32 gives the same bits with and without AMX. Not here: OpenBLAS (openblas-core.ts).

import type { Environment } from './locate.ts';

/** The largest set without AMX that every supported oneDNN knows. */
const WITHOUT_AMX = 'AVX512_CORE_BF16';

type OnednnEnvironment = {
  ONEDNN_MAX_CPU_ISA?: string | undefined;
  /** The older name, which oneDNN still reads. */
  DNNL_MAX_CPU_ISA?: string | undefined;
} & Environment;

/**
 * Leaves AMX out in `env` where the processor claims to have it, unless somebody has named a set already (an empty or
 * unknown name counts: it leaves the choice to oneDNN). In the main thread only: a worker's environment is a copy.
 */
export function leaveOutAmx(flags: ReadonlySet<string>, env: OnednnEnvironment = process.env): void {
  if (env.ONEDNN_MAX_CPU_ISA !== undefined || env.DNNL_MAX_CPU_ISA !== undefined) return;
  if (flags.has('amx_tile')) (env as Record<string, string | undefined>).ONEDNN_MAX_CPU_ISA = WITHOUT_AMX;
}
