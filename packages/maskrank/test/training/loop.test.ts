import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fromTypedArray, nn, optim, type Tensor, tidy } from '@maskrank/torch';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { MetricsLog } from '../../src/run/metrics.ts';
import { type LoopOptions, runLoop, type StepReport } from '../../src/training/loop.ts';
import type { LoopState } from '../../src/training/state.ts';

const dir = mkdtempSync(join(tmpdir(), 'maskrank-loop-'));
afterAll(() => rmSync(dir, { recursive: true }));
let files = 0;
const fresh = () => join(dir, `${files++}`);

const header = { schemaVersion: 1, configHash: 'c0', madeFrom: {} };

/** One parameter that counts: each step adds its number. */
function counter(): LoopState & { value: () => number; add: (x: number) => void } {
  const w = new nn.Parameter(fromTypedArray(Float32Array.of(0), [1]), false);
  const parameters = new Map<string, Tensor>([['w', w]]);
  return {
    parameters,
    optimizer: new optim.Adam([...parameters] as never),
    value: () => w.item(),
    add: (x) => tidy(() => void w.add_(x)),
  };
}

const report = (step: number, change: Partial<StepReport> = {}): StepReport => ({
  losses: { total: 10 * step },
  ms: { data: step },
  images: 2,
  learningRate: 0.1,
  epoch: step / 4,
  ...change,
});

type Options = Partial<LoopOptions> & { readonly body?: (step: number) => Partial<StepReport> };

async function run(path: string, { body = () => ({}), ...options }: Options = {}) {
  const state = counter();
  const steps: number[] = [];
  const progress: string[] = [];
  let failure: unknown;
  let done = -1;
  try {
    done = await runLoop(
      {
        stage: 'stage1',
        label: 'toy',
        totalSteps: 10,
        state,
        statePath: path,
        header,
        rerun: 'again',
        checkpointEverySteps: 100,
        logEverySteps: 100,
        metrics: null,
        signal: new AbortController().signal,
        onProgress: (at, total, note) => progress.push(`${at}/${total} ${note}`.trim()),
        ...options,
      },
      (step) => {
        steps.push(step);
        state.add(step + 1);
        return report(step, body(step));
      },
    );
  } catch (error) {
    failure = error;
  }
  return { state, steps, progress, failure, done, value: state.value() };
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

describe('runLoop', () => {
  it('takes every step once, and says how far it is', async () => {
    const { steps, done, progress, value } = await run(fresh());
    expect(steps).toEqual(range(0, 10));
    expect(done).toBe(10);
    expect(value).toBe(55);
    expect(progress[0]).toBe('0/10');
    expect(progress.at(-1)).toBe('10/10 loss 90.0000');
  });

  it('told to stop at any step, saves, throws the reason, and goes on where it was', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 9 }),
        fc.integer({ min: 1, max: 12 }),
        async (at, checkpointEverySteps) => {
          const path = fresh();
          const controller = new AbortController();
          if (at === 0) controller.abort(new Error('by request'));
          const first = await run(path, {
            checkpointEverySteps,
            signal: controller.signal,
            onProgress: (done) => {
              if (done === at) controller.abort(new Error('by request'));
            },
          });
          expect(String(first.failure)).toBe('Error: by request');
          expect(first.steps).toEqual(range(0, at));
          const second = await run(path, { checkpointEverySteps });
          expect(second.steps).toEqual(range(at, 10));
          expect(second.value).toBe(55);
          expect(second.progress[0]).toBe(at === 0 ? '0/10' : `${at}/10 resumed at step ${at}`);
        },
      ),
      { numRuns: 20 },
    );
  });

  it('killed, repeats the steps since the last saved state', async () => {
    const path = fresh();
    const kill = (step: number) => {
      if (step === 7) throw new Error('killed');
      return {};
    };
    await run(path, { checkpointEverySteps: 3, body: kill });
    const second = await run(path, { checkpointEverySteps: 3 });
    expect(second.steps).toEqual(range(6, 10));
    expect(second.value).toBe(55);
  });

  it('an early stop is remembered', async () => {
    const path = fresh();
    const first = await run(path, { body: (step) => ({ stop: step === 4 }) });
    expect(first.done).toBe(5);
    expect(first.value).toBe(15);
    const again = await run(path);
    expect(again.done).toBe(5);
    expect(again.steps).toEqual([]);
    expect(again.value).toBe(15);
  });

  it('finished, does nothing more', async () => {
    const path = fresh();
    await run(path);
    const again = await run(path);
    expect([again.done, again.steps, again.value]).toEqual([10, [], 55]);
  });

  it('gives the facts back before the first step', async () => {
    const path = fresh();
    const controller = new AbortController();
    let best = 0.1;
    await run(path, {
      signal: controller.signal,
      facts: () => ({ best }),
      body: (step) => {
        best = step;
        if (step === 3) controller.abort();
        return {};
      },
    });
    const restored: unknown[] = [];
    await run(path, { onRestore: (facts) => void restored.push(facts) });
    expect(restored).toEqual([{ step: 4, stopped: false, best: 3 }]);
    await run(fresh(), { onRestore: (facts) => void restored.push(facts) });
    expect(restored[1]).toEqual({ step: 0 });
  });
});

describe('its metrics', () => {
  const body = (step: number): Partial<StepReport> => ({
    ...(step === 1 ? { extra: { refreshed: true } } : {}),
    ...(step === 6 ? { extra: { validationDice: 0.7 } } : {}),
  });

  it('are means over the steps between two lines, with every field that one of them had', async () => {
    using metrics = MetricsLog.open(`${fresh()}.jsonl`);
    await run(fresh(), { metrics, logEverySteps: 4, body });
    expect(
      metrics.entries().map(({ step, epoch, losses, ms }) => [step, epoch, losses?.total, ms?.data]),
    ).toEqual([
      [4, 0.75, 15, 1.5],
      [8, 1.75, 55, 5.5],
      [10, 2.25, 85, 8.5],
    ]);
    expect(metrics.entries().map(({ refreshed, validationDice }) => [refreshed, validationDice])).toEqual([
      [true, undefined],
      [undefined, 0.7],
      [undefined, undefined],
    ]);
    for (const line of metrics.entries()) {
      expect(line).toMatchObject({ stage: 'stage1', learningRate: 0.1 });
      expect(line.imagesPerSecond).toBeGreaterThan(0);
      expect(line.peakMemoryBytes).toBeGreaterThan(1e6);
    }
  });

  it('on going on, lines of steps that were lost are dropped', async () => {
    const path = fresh();
    using metrics = MetricsLog.open(`${path}.jsonl`);
    const kill = (step: number) => {
      if (step === 5) throw new Error('killed');
      return {};
    };
    await run(path, { metrics, logEverySteps: 1, checkpointEverySteps: 3, body: kill });
    expect(metrics.entries().map((line) => line.step)).toEqual([1, 2, 3, 4, 5]);
    await run(path, { metrics, logEverySteps: 1, checkpointEverySteps: 3 });
    expect(metrics.entries().map((line) => line.step)).toEqual(range(1, 11));
  });
});
