// Fine-tuning of SAM-Med3D: what clicks and the loss are, and that a ball among noise is learnt, to the same weights after a stop.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromTypedArray, Generator, nn, randn, tidy } from '@maskrank/torch';
import { afterAll, describe, expect, it } from 'vitest';
import { createSam3d, SAM3D_CONFIGS, type Sam3dConfig } from '../../../src/models/sam3d/index.ts';
import { nextClick, normaliseCube } from '../../../src/models/sam3d/input.ts';
import { configSchema } from '../../../src/run/config.ts';
import { type CubeSample, diceCrossEntropy3d, trainSam3d } from '../../../src/training/sam3d/train.ts';
import { Random } from '../../../src/util/random.ts';

const dir = mkdtempSync(join(tmpdir(), 'sam3d-train-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const tiny = SAM3D_CONFIGS['sam-med3d-tiny'];
const SMALL: Sam3dConfig = {
  ...tiny,
  name: 'test',
  volumeSize: 16,
  patchSize: 4,
  embedDim: 24,
  maskInChannels: 4,
  encoder: { ...tiny.encoder, dim: 16, depth: 1, heads: 2, windowSize: 4, globalBlocks: [0] },
  decoder: { ...tiny.decoder, depth: 1, heads: 2, mlpDim: 16, iouHeadDim: 8 },
};
const SIDE = 16;

function ball(seed: number): CubeSample {
  const random = new Random(seed);
  const centre = [random.int(5, 11), random.int(5, 11), random.int(5, 11)];
  const mask = new Uint8Array(SIDE ** 3);
  const image = new Uint8Array(mask.length);
  for (let i = 0; i < mask.length; i++) {
    const place = [Math.floor(i / 256), Math.floor(i / 16) % 16, i % 16];
    mask[i] = Number(Math.hypot(...place.map((p, axis) => p - centre[axis]!)) < 4);
    image[i] = Math.max(0, Math.min(255, 80 + 100 * mask[i]! + 10 * random.normal()));
  }
  return { image, mask };
}

describe('what the network is given', () => {
  it('is normalised over voxels above 0', () => {
    const got = normaliseCube(Uint8Array.of(0, 1, 5, 0));
    expect([...got].map((v) => Math.round(1000 * v))).toEqual([-1061, -707, 707, -1061]);
    expect([...normaliseCube(new Uint8Array(2))]).toEqual([0, 0]);
    expect([...normaliseCube(Uint8Array.of(5, 5))]).toEqual([0, 0]);
  });

  it('is clicked where the mask is wrong', () => {
    const truth = Uint8Array.of(0, 1, 1, 0, 0, 0, 0, 0);
    const click = (predicted: number[]) => nextClick(truth, predicted, 2, new Random(1));
    expect(click([0, 1, 0, 0, 0, 0, 0, 0])).toEqual({ place: [0, 1, 0], label: 1 });
    expect(click([0, 1, 1, 0, 0, 0, 0, 1])).toEqual({ place: [1, 1, 1], label: 0 });
    expect(click([...truth])!.label).toBe(1);
    expect(nextClick(new Uint8Array(8), new Uint8Array(8), 2, new Random(1))).toBeUndefined();
  });
});

describe('diceCrossEntropy3d', () => {
  it('is near 0 for the right answer, and a Dice a cube', () =>
    tidy(() => {
      const masks = fromTypedArray(Float32Array.of(1, 0, 0, 0, 1, 1, 0, 0), [2, 1, 1, 2, 2]);
      expect(diceCrossEntropy3d(masks.mul(40).sub(20), masks).item()).toBeLessThan(1e-4);
      // Logits 0: cross-entropy ln 2; p = 1/2: Dice (2 * 0.5) / (4 / 4 + 1) = 1/2 and (2 * 1) / (1 + 2) = 2/3.
      const flat = diceCrossEntropy3d(masks.mul(0), masks).item();
      expect(flat).toBeCloseTo(Math.LN2 + 1 - (1 / 2 + 2 / 3) / 2, 4);
    }));

  it('has the gradient of finite differences', () =>
    tidy(() => {
      const generator = Generator.seeded(3);
      const logits = randn([2, 1, 2, 2, 2], { generator }).to('float64').detach();
      const masks = randn([2, 1, 2, 2, 2], { generator }).gt(0).to('float64');
      logits.requiresGrad = true;
      diceCrossEntropy3d(logits, masks).backward();
      const gradient = logits.grad!.toTypedArray() as Float64Array;
      const values = Float64Array.from(logits.detach().toTypedArray() as Float64Array);
      const at = (i: number, step: number) => {
        const moved = values.slice();
        moved[i]! += step;
        return diceCrossEntropy3d(fromTypedArray(moved, [2, 1, 2, 2, 2]), masks).item();
      };
      for (const i of [0, 5, 11]) expect(gradient[i]).toBeCloseTo((at(i, 1e-5) - at(i, -1e-5)) / 2e-5, 6);
    }));
});

describe('trainSam3d', () => {
  const base = configSchema.parse({
    baselines: {
      samMed3d: { clicks: 3, steps: 20, batchSize: 2, learningRate: 1e-2, checkpointEverySteps: 4 },
    },
  }).baselines.samMed3d;
  const samples = [1, 2, 3, 4].map(ball);
  const loop = (name: string, signal = new AbortController().signal) => ({
    stage: 'baseline sam-med3d' as const,
    label: 'SAM-Med3D',
    statePath: join(dir, `${name}.safetensors`),
    header: { schemaVersion: 1 as const, configHash: 'x', madeFrom: {} },
    rerun: '',
    metrics: null,
    signal,
    onProgress: () => {},
  });
  const train = async (name: string, options: { steps?: number; signal?: AbortSignal } = {}) => {
    const sam = createSam3d(SMALL, Generator.seeded(1));
    const config = { ...base, steps: options.steps ?? base.steps };
    const losses: number[] = [];
    const own = {
      ...loop(name, options.signal),
      onProgress: (_: number, __: number, note: string) => {
        const loss = /loss ([\d.]+)/.exec(note)?.[1];
        if (loss !== undefined) losses.push(Number(loss));
      },
    };
    const result = await trainSam3d({ sam, samples, config, seed: 5, device: 'cpu', loop: own });
    return { sam, losses, result };
  };

  it('learns, and ends at the same weights after a stop', async () => {
    const whole = await train('whole');
    expect(whole.result).toEqual({ steps: 20, bestValidation: null, bestStep: 20 });
    const mean = (list: readonly number[]) => list.reduce((sum, x) => sum + x, 0) / list.length;
    expect(mean(whole.losses.slice(-4))).toBeLessThan(0.5 * mean(whole.losses.slice(0, 2)));
    const stop = new AbortController();
    const stopped = createSam3d(SMALL, Generator.seeded(1));
    await expect(
      trainSam3d({
        sam: stopped,
        samples,
        config: base,
        seed: 5,
        device: 'cpu',
        loop: {
          ...loop('stopped', stop.signal),
          onProgress: (done) => {
            if (done === 6) stop.abort();
          },
        },
      }),
    ).rejects.toThrow();
    stopped.dispose();
    const resumed = await train('stopped');
    const states = [whole.sam, resumed.sam].map((sam) => nn.saveStateDict(sam));
    for (const [name, { data }] of states[0]!)
      expect([name, states[1]!.get(name)!.data]).toEqual([name, data]);
    whole.sam.dispose();
    resumed.sam.dispose();
  }, 120_000);
});
