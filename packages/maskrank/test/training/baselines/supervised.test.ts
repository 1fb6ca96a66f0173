// Training of a tiny U-Net on painted squares: it learns, keeps the best weights, stops early, resumes to the same bytes, and leaks
// nothing.

import { memory } from '@maskrank/torch';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { defaultConfig } from '../../../src/run/config.ts';
import type { DenseSample } from '../../../src/training/baselines/batch.ts';
import { loopOf, supervisedSteps } from '../../../src/training/baselines/supervised.ts';
import { samplesOf, train } from './toy-training.ts';

let validation: DenseSample[] = [];
beforeAll(async () => {
  validation = await samplesOf(['v', 'w']);
});

describe('training', () => {
  it.each(['exclusive', 'overlapping'] as const)('learns %s classes', async (relation) => {
    const done = await train({
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
    const done = await train({ change: { steps: 6, learningRate: 0.05 } });
    const measured = done.lines.flatMap(({ step, validationDice }) =>
      validationDice === undefined ? [] : [{ step, dice: validationDice }],
    );
    expect(measured.map(({ step }) => step)).toEqual([2, 4, 6]);
    const best = measured.reduce((a, b) => (b.dice > a.dice ? b : a));
    expect(done.result).toMatchObject({ steps: 6, bestStep: best.step });
    // With the schedule of the whole training, stopped there: the same weights.
    const until = await train({ change: { steps: 6, learningRate: 0.05 }, abortAt: best.step });
    if (best.step === 6) return;
    expect(String(until.failure)).toContain('stopped');
    expect(until.weights).toEqual(done.weights);
  });

  it('without validation keeps the last weights', async () => {
    const done = await train({ change: { validateEverySteps: 0 } });
    expect(done.result).toEqual({ steps: 8, bestValidation: null, bestStep: 8 });
    expect(done.lines.every(({ validationDice }) => validationDice === undefined)).toBe(true);
  });

  it('stops when nothing got better for a while, for good', async () => {
    // A rate that changes nothing: the first measurement stays the best.
    const change = { steps: 40, learningRate: 1e-12, weightDecay: 0, validateEverySteps: 1, patience: 3 };
    const nothing = [{ ...(validation[0] as DenseSample), masks: new Map() }];
    const done = await train({ change, validation: nothing });
    expect(done.result).toMatchObject({ steps: 4, bestStep: 1 });
    expect((await train({ change, validation: nothing, folder: done.folder })).result?.steps).toBe(4);
  });

  it('interrupted or killed anywhere goes on to the same bytes', async () => {
    const whole = await train();
    expect(whole.failure).toBeUndefined();
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 7 }), fc.boolean(), async (at, killed) => {
        const first = await train(killed ? { dieAt: at } : { abortAt: at });
        expect(first.failure).toBeDefined();
        const second = await train({ folder: first.folder });
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
    await train();
    await train({ abortAt: 3 });
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
