// GFLOP/s of a float32 product of 1024 x 1024 matrices: the yardstick of everything that is bound by products.

import { readFileSync } from 'node:fs';
import { matmulRate } from './measure.ts';
import { startPythonPeer } from './python-peer.ts';
import type { Bench, BenchOptions, BenchResult } from './types.ts';

const SIZE = 1024;

const PYTHON = `
import torch

def prepare(device):
    a, b = torch.randn(${SIZE}, ${SIZE}, device=device), torch.randn(${SIZE}, ${SIZE}, device=device)
    return lambda: a @ b
`;

/** Multiply-adds a cycle and core of float32, by the widest instructions; two units are assumed. */
const FLOP_PER_CYCLE: readonly (readonly [flag: string, flop: number])[] = [
  ['avx512f', 64],
  ['avx2', 32],
  ['sse2', 8],
];

/** Clock times width times cores, in GFLOP/s; null where /proc/cpuinfo does not tell. */
export function processorLimit(cpuinfo: string, threads: number): number | null {
  const mhz = Number(/^cpu MHz\s*:\s*([\d.]+)/m.exec(cpuinfo)?.[1]);
  const flags = new Set(/^flags\s*:(.*)$/m.exec(cpuinfo)?.[1]?.trim().split(/\s+/));
  const flop = FLOP_PER_CYCLE.find(([flag]) => flags.has(flag))?.[1];
  return flop === undefined || !Number.isFinite(mhz) ? null : (flop * mhz * threads) / 1000;
}

function limitOf({ device, threads }: BenchOptions): BenchResult['limit'] {
  if (device === 'cuda') return undefined;
  try {
    const value = processorLimit(readFileSync('/proc/cpuinfo', 'utf8'), threads);
    return value === null ? undefined : { what: `${threads} cores at the clock of now`, value };
  } catch {
    return undefined;
  }
}

export const matmul: Bench = {
  name: 'matmul',
  describe: 'float32 product of two 1024 x 1024 matrices',
  run: async (options) => {
    const limit = limitOf(options);
    const result: BenchResult = {
      what: `product of ${SIZE} x ${SIZE}`,
      value: matmulRate(options, SIZE, 4 * options.rounds),
      unit: 'GFLOP/s',
      ...(limit === undefined ? {} : { limit }),
    };
    if (options.python === null) return [result];
    const peer = await startPythonPeer(options.python, PYTHON, options);
    try {
      const times: number[] = [];
      for (let i = 0; i <= 4 * options.rounds; i++) times.push(await peer.run());
      const value = (2 * SIZE ** 3) / Math.min(...times) / 1e6;
      return [{ ...result, peer: { what: `Python, PyTorch ${peer.version}`, value } }];
    } finally {
      peer.stop();
    }
  },
};
