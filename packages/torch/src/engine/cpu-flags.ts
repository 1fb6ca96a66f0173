// The instruction sets that the processor says it has, as Linux tells them. Not here: what is done with them
// (openblas-core.ts, onednn-isa.ts).

import { readFileSync } from 'node:fs';

/** Instruction sets of the first processor, from the text of /proc/cpuinfo. */
export function cpuFlags(cpuinfo: string): ReadonlySet<string> {
  const line = /^flags\s*:(.*)$/m.exec(cpuinfo)?.[1] ?? '';
  return new Set(line.trim().split(/\s+/));
}

/** Instruction sets of this machine; empty where /proc/cpuinfo does not tell. */
export function ownCpuFlags(): ReadonlySet<string> {
  try {
    return cpuFlags(readFileSync('/proc/cpuinfo', 'utf8'));
  } catch {
    return new Set();
  }
}
