// gScoreCAM with k = 300 on a full-size BiomedCLIP of random weights (ViT-B/16 at 224 px), float32: what its masked forward passes
// reach of the engine's own rate of products, measured in turn with them, and how much memory they need. On processors a map
// takes minutes: a few batches are measured and the map's time is told as their multiple; `--whole` measures all 300 passes.

import { readFileSync, writeFileSync } from 'node:fs';
import { Generator } from '@maskrank/torch';
import { CLIP_CONFIGS, createClip, type TimmVitConfig, visionGrid } from '../models/clip/index.ts';
import { CamImage } from '../prompting/saliency/cam-image.ts';
import { Random } from '../util/random.ts';
import { matmulRate, median } from './measure.ts';
import type { Bench, BenchResult } from './types.ts';

const K = 300;
const CONFIG = CLIP_CONFIGS.biomedclip;
/** Least share of the rate of products on processors; least maps a second on GPUs. */
const LEAST_SHARE = 0.8;
const LEAST_PER_SECOND = 30;
const MOST_BYTES = 2e9;

/** Multiplications and additions of one pass as it is done here: the last block computes the class token alone. */
export function passFlop({ dim, depth, mlpRatio, patchSize, ...vision }: TimmVitConfig): number {
  const cells = visionGrid({ dim, depth, mlpRatio, patchSize, ...vision }) ** 2;
  const tokens = 1 + cells;
  const inner = dim * dim * mlpRatio;
  const block = tokens * (4 * dim * dim + 2 * inner) + 2 * tokens * tokens * dim;
  const last = tokens * 2 * dim * dim + 2 * dim * dim + 2 * inner + 2 * tokens * dim;
  return 2 * (cells * 3 * patchSize ** 2 * dim + (depth - 1) * block + last);
}

/** Bytes of memory that the process has had at most since `reset`; null where the system does not tell. */
const peakMemory = {
  reset(): boolean {
    try {
      writeFileSync('/proc/self/clear_refs', '5');
      return true;
    } catch {
      return false;
    }
  },
  bytes(): number {
    return 1024 * Number(/^VmHWM:\s*(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]);
  },
};

export const gscorecam: Bench = {
  name: 'gscorecam',
  describe: `gScoreCAM, k = ${K}, BiomedCLIP's ViT-B/16 at 224 px`,
  run: async (options) => {
    const { device, rounds, whole } = options;
    using model = createClip(CONFIG, Generator.seeded(1)).eval();
    model.requiresGrad_(false);
    model.to(device);
    const random = new Random('gscorecam');
    const side = CONFIG.vision.imageSize;
    const planes = Float32Array.from({ length: 3 * side * side }, () => random.normal());
    const raw = Float32Array.from({ length: CONFIG.embedDim }, () => random.normal());
    const text = raw.map((x) => x / Math.hypot(...raw));
    const newImage = () => new CamImage(model, planes, device === 'cuda' ? { precision: 'float16' } : {});

    const residentBefore = process.memoryUsage().rss;
    const canPeak = device === 'cpu' && peakMemory.reset();
    const { batch } = newImage().options;
    const isWhole = whole || device === 'cuda';
    const gflop = passFlop(CONFIG.vision) / 1e9;
    const rates: number[] = [];
    const perPass: number[] = [];
    // By rounds: what else the machine does changes from one to the next by more than the share.
    const shares: number[] = [];
    for (let round = 0; round <= rounds; round++) {
      const before = matmulRate(options);
      const image = newImage();
      const evidence = image.evidence(text);
      const channels = Array.from({ length: isWhole ? K : batch }, (_, i) => i);
      const start = performance.now();
      await image.masked.scores(evidence, channels, text, { epsilon: 1e-6 });
      const ms = (performance.now() - start) / channels.length;
      const rate = (before + matmulRate(options)) / 2;
      rates.push(rate);
      perPass.push(ms);
      shares.push(((gflop / ms) * 1000) / rate);
    }
    const peak = canPeak ? peakMemory.bytes() - residentBefore : null;

    // The first round warms up.
    const msPass = median(perPass.slice(1));
    const rate = median(rates.slice(1));
    const results: BenchResult[] = [
      {
        what: isWhole ? 'maps a second' : `maps a second, from ${batch} of ${K} passes`,
        value: 1000 / (K * msPass),
        unit: 'images/s',
        limit: { what: `${(K * gflop).toFixed(0)} GFLOP at the rate of products`, value: rate / (K * gflop) },
        ...(device === 'cuda' && { aim: { comparison: 'at least', value: LEAST_PER_SECOND } as const }),
      },
      {
        what: 'masked passes, share of the rate of products',
        value: median(shares.slice(1)),
        unit: 'times',
        ...(device === 'cpu' && { aim: { comparison: 'at least', value: LEAST_SHARE } as const }),
      },
    ];
    if (peak === null) return results;
    return [
      ...results,
      {
        what: 'peak memory above the weights',
        value: peak / 1e6,
        unit: 'MB',
        aim: { comparison: 'at most', value: MOST_BYTES / 1e6 },
      },
    ];
  },
};
