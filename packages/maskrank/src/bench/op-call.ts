// Microseconds of one operator call: aten::add of two tensors of four numbers, whose arithmetic takes nothing.
// The fastest of many runs counts: what else the machine does can only add to it.

import { getThreads, type Tensor, tidy } from '@maskrank/torch';
import { alternate, normals, timed } from './measure.ts';
import { type PythonPeer, startPythonPeer } from './python-peer.ts';
import type { Bench, BenchResult } from './types.ts';

const CALLS = 2000;
const RUNS = 40;

const PYTHON = `
import torch

def prepare(device):
    a = torch.randn(2, 2, device=device)
    def run():
        for _ in range(${CALLS}):
            torch.add(a, a)
    return run
`;

const repeat = (body: () => void): void => {
  for (let i = 0; i < CALLS; i++) body();
};
const inScopes = (a: Tensor): void => {
  for (let i = 0; i < CALLS / 100; i++)
    tidy(() => {
      for (let j = 0; j < 100; j++) a.add(a);
    });
};

export const opCall: Bench = {
  name: 'op-call',
  describe: 'microseconds of one operator call',
  run: async (options) => {
    const { device, python } = options;
    using a = normals([2, 2], 'op-call', device);
    const peer: PythonPeer | null = python === null ? null : await startPythonPeer(python, PYTHON, options);
    try {
      const times = await alternate(
        {
          many: () => timed(() => inScopes(a), device),
          own: () =>
            timed(
              () =>
                repeat(() =>
                  tidy(() => {
                    a.add(a);
                  }),
                ),
              device,
            ),
          crossing: () => timed(() => repeat(getThreads)),
          python: () => peer?.run() ?? Number.NaN,
        },
        RUNS,
      );
      const us = (list: readonly number[]): number => (Math.min(...list) / CALLS) * 1000;
      const limit = { what: 'an empty call across Node-API', value: us(times.crossing) };
      const beside: Pick<BenchResult, 'limit' | 'peer'> = {
        limit,
        ...(peer === null
          ? {}
          : { peer: { what: `Python, PyTorch ${peer.version}`, value: us(times.python) } }),
      };
      return [
        { what: 'add, 100 calls a scope', value: us(times.many), unit: 'us', ...beside },
        { what: 'add, a scope a call', value: us(times.own), unit: 'us', ...beside },
      ];
    } finally {
      peer?.stop();
    }
  },
};
