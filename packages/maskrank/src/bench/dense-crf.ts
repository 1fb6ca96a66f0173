// Dense CRF with five mean-field steps on a 256 x 256 colour image and two labels, kernels made anew, one thread; beside it
// pydensecrf (C++), where the interpreter has it.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { drawPhantom } from '../datasets/phantoms/dataset.ts';
import { mixed } from '../datasets/phantoms/mixed/family.ts';
import { toRgb } from '../imaging/overlay.ts';
import { CRF_PRESETS, denseCrf, unaryFromSaliency } from '../prompting/crf/index.ts';
import { alternate, matmulRate, median, timed } from './measure.ts';
import { type PythonPeer, startPythonPeer } from './python-peer.ts';
import type { Bench, BenchOptions, BenchResult } from './types.ts';

const SIDE = 256;
const OPTIONS = CRF_PRESETS.pydensecrf;
/** Every kernel filters ones for its normalisation, and once a step. */
const PASSES = OPTIONS.iterations + 1;
/** Corners of the simplices of both kernels. */
const CORNERS = 3 + 6;

const SCRIPT = (dir: string) => `
import numpy as np
import pydensecrf.densecrf as dcrf

def prepare(device):
    image = np.fromfile(${JSON.stringify(join(dir, 'image'))}, np.uint8).reshape(${SIDE}, ${SIDE}, 3).copy()
    unary = np.fromfile(${JSON.stringify(join(dir, 'unary'))}, np.float32).reshape(2, -1).copy()
    def run():
        crf = dcrf.DenseCRF2D(${SIDE}, ${SIDE}, 2)
        crf.setUnaryEnergy(unary)
        crf.addPairwiseGaussian(sxy=3, compat=3)
        crf.addPairwiseBilateral(sxy=80, srgb=13, rgbim=image, compat=10)
        np.array(crf.inference(${OPTIONS.iterations}))
    return run
`;

/** Reads as many numbers in order as the filters read weights. */
function readWeights(weights: Float32Array): number {
  let sum = 0;
  for (let pass = 0; pass < 2 * PASSES; pass++) {
    for (let i = 0; i < weights.length; i++) sum += weights[i] as number;
  }
  return sum;
}

async function startPeer(dir: string, options: BenchOptions): Promise<PythonPeer | null> {
  const { python } = options;
  if (python === null) return null;
  if (spawnSync(python, ['-c', 'import pydensecrf.densecrf']).status !== 0) return null;
  return await startPythonPeer(python, SCRIPT(dir), options);
}

export const denseCrfBench: Bench = {
  name: 'dense-crf',
  describe: `dense CRF of two labels on ${SIDE} x ${SIDE} colours, ${OPTIONS.iterations} steps`,
  run: async (options) => {
    const { image, masks } = drawPhantom(mixed, 'dense-crf', 0, SIDE);
    const mask = [...masks.values()][0]!;
    const rgb = toRgb(image);
    const saliency = Float32Array.from(mask.data, (inside) => 0.3 + 0.4 * inside);
    const unary = unaryFromSaliency({ ...mask, data: saliency }, { form: 'log' });
    const weights = new Float32Array(CORNERS * SIDE * SIDE).fill(1);
    const dir = mkdtempSync(join(tmpdir(), 'maskrank-bench-crf-'));
    writeFileSync(join(dir, 'image'), rgb.data);
    writeFileSync(join(dir, 'unary'), unary.energies);
    const peer = await startPeer(dir, options);
    try {
      const bodies: Record<string, () => number | Promise<number>> = {
        colour: () => timed(() => void denseCrf(rgb, unary, OPTIONS)),
        grey: () => timed(() => void denseCrf(image, unary, OPTIONS)),
        limit: () => timed(() => void readWeights(weights)),
        ...(peer === null ? {} : { peer: peer.run }),
      };
      // A run is short, and the first ones are compiled: rounds are many.
      const times: Readonly<Record<string, number[]>> = await alternate(bodies, 4 * options.rounds);
      const middle = (name: string): number => median(times[name] ?? []);
      const results: BenchResult[] = [
        {
          what: 'colour image',
          value: middle('colour'),
          unit: 'ms',
          limit: { what: "reading the corners' weights in order", value: middle('limit') },
          ...(peer === null ? {} : { peer: { what: 'pydensecrf', value: middle('peer') } }),
        },
        { what: 'grey image', value: middle('grey'), unit: 'ms' },
        { what: 'products of matrices on this machine now', value: matmulRate(options), unit: 'GFLOP/s' },
      ];
      if (peer !== null) {
        results.push({
          what: "time over pydensecrf's",
          value: middle('colour') / middle('peer'),
          unit: 'times',
          aim: { comparison: 'at most', value: 1 },
        });
      }
      return results;
    } finally {
      peer?.stop();
      rmSync(dir, { recursive: true, force: true });
    }
  },
};
