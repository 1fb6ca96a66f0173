// Training of a tiny U-Net on painted squares: it learns, keeps the best weights, stops early, resumes to the same bytes, and leaks
// nothing.

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Generator, memory, nn } from '@maskrank/torch';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { augment, DEFAULT_AUGMENTATION } from '../../../src/imaging/augment.ts';
import { NORMALISATIONS } from '../../../src/imaging/normalise.ts';
import { createUnet, type Unet } from '../../../src/models/unet/index.ts';
import { defaultConfig } from '../../../src/run/config.ts';
import { MetricsLog } from '../../../src/run/metrics.ts';
import { type DenseSample, denseSamples } from '../../../src/training/baselines/batch.ts';
import { type ClassRelation, outputsOf } from '../../../src/training/baselines/loss.ts';
import {
  loopOf,
  type SupervisedConfig,
  supervisedSteps,
  type TrainingResult,
  trainSupervised,
} from '../../../src/training/baselines/supervised.ts';
import { CanvasCache } from '../../../src/training/canvas.ts';
import { toyDataset } from '../toy.ts';

const dir = mkdtempSync(join(tmpdir(), 'maskrank-supervised-'));
afterAll(() => rmSync(dir, { recursive: true }));
let folders = 0;
const fresh = (): string => {
  const folder = join(dir, `run${folders++}`);
  mkdirSync(folder);
  return folder;
};

const SIDE = 32;
const samplesOf = async (ids: readonly string[]): Promise<DenseSample[]> => {
  const dataset = toyDataset(SIDE);
  const canvas = { imageSize: SIDE, rule: 'stretch', normalisation: NORMALISATIONS.sam } as const;
  const cache = new CanvasCache(dataset, canvas);
  for (const item of dataset.labelled(ids)) for (const id of [1, 2]) await cache.loadMask(item, id);
  return denseSamples(cache, ids, [1, 2]);
};
let samples: DenseSample[] = [];
let validation: DenseSample[] = [];
beforeAll(async () => {
  samples = await samplesOf(['a', 'b', 'c', 'd', 'e']);
  validation = await samplesOf(['v', 'w']);
});

type RunOptions = {
  readonly folder?: string;
  readonly change?: Partial<SupervisedConfig>;
  readonly relation?: ClassRelation;
  readonly width?: number;
  readonly validation?: readonly DenseSample[];
  readonly abortAt?: number;
  readonly dieAt?: number;
};

async function run({ folder = fresh(), relation = 'exclusive', ...o }: RunOptions = {}) {
  const shape = { inChannels: 3, outChannels: outputsOf(relation, 2), width: o.width ?? 2, bilinear: false };
  const network: Unet = createUnet(shape, Generator.seeded(1));
  const controller = new AbortController();
  const metrics = MetricsLog.open(join(folder, 'metrics.jsonl'));
  let result: TrainingResult | undefined;
  let failure: unknown;
  try {
    result = await trainSupervised({
      network,
      samples,
      validation: o.validation ?? validation,
      relation,
      empties: 'exclude',
      batch: {
        classIds: [1, 2],
        normalisation: NORMALISATIONS.sam,
        augment: (image, masks, random) =>
          augment({ image, masks: [...masks] }, random, DEFAULT_AUGMENTATION),
      },
      config: {
        ...defaultConfig().baselines.unet,
        steps: 8,
        batchSize: 2,
        checkpointEverySteps: 3,
        logEverySteps: 1,
        validateEverySteps: 2,
        ...o.change,
      },
      seed: 1,
      device: 'cpu',
      loop: {
        stage: 'baseline toy',
        label: 'toy',
        statePath: join(folder, 'state.safetensors'),
        header: { schemaVersion: 1, configHash: 'c0', madeFrom: {} },
        rerun: 'again',
        metrics,
        signal: controller.signal,
        onProgress: (done) => {
          if (done === o.abortAt) controller.abort(new Error('stopped by request'));
          if (done === o.dieAt) throw new Error('killed');
        },
      },
    });
  } catch (error) {
    failure = error;
  }
  const lines = metrics.entries();
  metrics.close();
  const weights = Object.fromEntries(
    [...nn.saveStateDict(network)].map(([name, { data }]) => [name, [...data].map(Number)]),
  );
  network.dispose();
  return { folder, result, failure, lines, weights };
}

describe('training', () => {
  it.each(['exclusive', 'overlapping'] as const)('learns %s classes', async (relation) => {
    const done = await run({
      relation,
      width: 4,
      change: { steps: 40, batchSize: 4, learningRate: 1e-2, validateEverySteps: 20 },
    });
    expect(done.failure).toBeUndefined();
    const total = (from: number, to: number) =>
      done.lines.slice(from, to).reduce((sum, { losses }) => sum + (losses?.total as number), 0) /
      (to - from);
    expect(total(30, 40)).toBeLessThan(0.85 * total(0, 10));
    expect(done.result?.bestValidation).toBeGreaterThan(0.3);
    expect(Object.keys(done.lines[0]?.losses ?? {}).sort()).toEqual(['crossEntropy', 'dice', 'total']);
    expect(Object.keys(done.lines[0]?.ms ?? {}).sort()).toEqual(['backward', 'data', 'forward', 'optimiser']);
  });

  it('keeps the best of the measured weights, statistics of batches among them', async () => {
    const done = await run({ change: { steps: 6, learningRate: 0.05 } });
    const measured = done.lines.flatMap(({ step, validationDice }) =>
      validationDice === undefined ? [] : [{ step, dice: validationDice }],
    );
    expect(measured.map(({ step }) => step)).toEqual([2, 4, 6]);
    const best = measured.reduce((a, b) => (b.dice > a.dice ? b : a));
    expect(done.result).toMatchObject({ steps: 6, bestStep: best.step });
    // With the schedule of the whole training, stopped there: the same weights.
    const until = await run({ change: { steps: 6, learningRate: 0.05 }, abortAt: best.step });
    if (best.step === 6) return;
    expect(String(until.failure)).toContain('stopped');
    expect(until.weights).toEqual(done.weights);
  });

  it('without validation keeps the last weights', async () => {
    const done = await run({ change: { validateEverySteps: 0 } });
    expect(done.result).toEqual({ steps: 8, bestValidation: null, bestStep: 8 });
    expect(done.lines.every(({ validationDice }) => validationDice === undefined)).toBe(true);
  });

  it('stops when nothing got better for a while, for good', async () => {
    // A rate that changes nothing: the first measurement stays the best.
    const change = { steps: 40, learningRate: 1e-12, weightDecay: 0, validateEverySteps: 1, patience: 3 };
    const nothing = [{ ...(validation[0] as DenseSample), masks: new Map() }];
    const done = await run({ change, validation: nothing });
    expect(done.result).toMatchObject({ steps: 4, bestStep: 1 });
    expect((await run({ change, validation: nothing, folder: done.folder })).result?.steps).toBe(4);
  });

  it('interrupted or killed anywhere goes on to the same bytes', async () => {
    const whole = await run();
    expect(whole.failure).toBeUndefined();
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 7 }), fc.boolean(), async (at, killed) => {
        const first = await run(killed ? { dieAt: at } : { abortAt: at });
        expect(first.failure).toBeDefined();
        const second = await run({ folder: first.folder });
        expect(second.failure).toBeUndefined();
        expect(second.weights).toEqual(whole.weights);
        expect(second.result).toEqual(whole.result);
        expect(second.lines.map(({ step }) => step)).toEqual(whole.lines.map(({ step }) => step));
        expect(second.lines.map(({ losses }) => losses)).toEqual(whole.lines.map(({ losses }) => losses));
      }),
      { numRuns: 5 },
    );
  });

  it('leaves no tensors behind', async () => {
    const before = memory().tensors;
    await run();
    await run({ abortAt: 3 });
    expect(memory().tensors).toBe(before);
  });
});

describe('around it', () => {
  it('steps are those asked for, or passes over the images', () => {
    const config = { ...defaultConfig().baselines.unet, epochs: 10, batchSize: 4 };
    expect(supervisedSteps(config, 9)).toBe(30);
    expect(supervisedSteps({ ...config, steps: 7 }, 9)).toBe(7);
  });

  it('a further training of a method has a state and a stream of its own', () => {
    const loop = {
      stage: 'baseline own',
      label: 'Own',
      statePath: 'x/baseline-own.state.safetensors',
    } as const;
    expect(loopOf(loop as never, 'teacher')).toEqual({
      stage: 'baseline own teacher',
      label: 'Own, teacher',
      statePath: 'x/baseline-own-teacher.state.safetensors',
    });
  });
});
