// The engine as a whole: what it is, how many threads it uses, and its devices.

import { UsageError } from './errors.ts';
import { native } from './native.ts';

/** Version and devices of the libtorch that is loaded. `config` is libtorch's own build description. */
export function engineVersion(): { version: string; config: string; cuda: boolean; cudaDevices: number } {
  return native().version();
}

export function getThreads(): number {
  return native().getThreads();
}

/** Threads for work inside an operator. Results can differ in the last bits between thread counts. */
export function setThreads(count: number): void {
  if (!Number.isInteger(count) || count < 1)
    throw new UsageError(`setThreads: ${count} given, allowed: whole numbers from 1`);
  native().setThreads(count);
}

/** Asks for algorithms that give the same bits every time (a warning where CUDA has none). */
export function setDeterministic(enabled: boolean): void {
  native().deterministic(enabled);
}

/** `cuda` where a device is usable, else `cpu`. */
export function bestDevice(): 'cuda' | 'cpu' {
  return native().version().cudaDevices > 0 ? 'cuda' : 'cpu';
}

/** Waits until a CUDA device has finished what was asked of it. */
export function cudaSynchronize(index = 0): void {
  native().cudaSynchronize(index);
}

/** Bytes on a CUDA device; null where this engine cannot tell. */
export function cudaMemory(index = 0): { allocated: number; peakAllocated: number; reserved: number } | null {
  return native().cudaMemory(index);
}

/** Gives memory that no tensor uses back to a CUDA device, and starts a new peak measurement. Nothing without one. */
export function cudaReleaseCache(index = 0): void {
  native().cudaReleaseCache(index);
}
