// Stage 1 on a toy: a SAM of a few thousand weights, six cases in memory.
import { join } from 'node:path';
import { memory } from '@maskrank/torch';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { selectTrainable } from '../../src/models/lora.ts';
import { type Config, defaultConfig } from '../../src/run/config.ts';
import { MetricsLog } from '../../src/run/metrics.ts';
import type { BatchOptions } from '../../src/training/batch.ts';
import { finetune, stage1Schedule, stage1Steps } from '../../src/training/stage1.ts';
import { snapshot, toySam } from '../alignment/toy.ts';
import { toyBatchOptions, toyCases } from './toy.ts';
import { type Ends, newFolders, toyLoop } from './toy-loop.ts';

const fresh = newFolders('stage1');

type Training = Config['training'];
const trainingConfig = (change: Partial<Training> = {}): Training => ({
  ...defaultConfig().training,
  batchSize: 2,
  epochs: 2,
  learningRate: 1e-3,
  checkpointEverySteps: 1000,
  logEverySteps: 1,
  ...change,
});

const cases = toyCases(6); // three steps an epoch

type RunOptions = Ends & {
  readonly folder?: string;
  readonly change?: Partial<Training>;
  readonly batch?: Partial<BatchOptions>;
  readonly decoderDropout?: number;
  /** Length of text features; 0 builds no text branch. */
  readonly textDim?: number;
  /** Validation Dice by how often it has been asked, from 0. */
  readonly validate?: (call: number) => number;
};

async function run(o: RunOptions = {}) {
  const { folder = fresh(), decoderDropout = 0.2 } = o;
  const sam = toySam(3, { textDim: o.textDim ?? 0 });
  const config = trainingConfig(o.change);
  const metrics = MetricsLog.open(join(fresh(), 'metrics.jsonl'));
  let calls = 0;
  let failure: unknown;
  let result: Awaited<ReturnType<typeof finetune>> | undefined;
  const { validate } = o;
  try {
    result = await finetune({
      sam,
      trainable: selectTrainable(sam, config.trainable === 'decoder' ? 'prompts-and-decoder' : 'all'),
      cases,
      batch: await toyBatchOptions(cases, o.batch),
      config,
      decoderDropout,
      seed: 1,
      device: 'cpu',
      ...(validate === undefined ? {} : { validate: () => validate(calls++) }),
      loop: { ...toyLoop(folder, metrics, o), rerun: 'finetune --restart' },
    });
  } catch (error) {
    failure = error;
  }
  const lines = metrics.entries();
  metrics.close();
  const weights = snapshot(sam);
  const dropoutLeft = sam.mask_decoder.dropoutP;
  sam.dispose();
  return { folder, weights, lines, result, failure, calls, dropoutLeft };
}

const totals = ({ lines }: Awaited<ReturnType<typeof run>>) =>
  lines.map((line) => line.losses?.total as number);

async function expectExactResume(whole: Awaited<ReturnType<typeof run>>, o: RunOptions, abortAt: number) {
  expect(whole.failure).toBeUndefined();
  const first = await run({ ...o, abortAt });
  expect(String(first.failure)).toBe('Error: stopped by request');
  const second = await run({ ...o, folder: first.folder });
  expect(second.failure).toBeUndefined();
  expect(second.weights).toEqual(whole.weights);
  expect([...totals(first), ...totals(second)]).toEqual(totals(whole));
  expect(second.result).toEqual(whole.result);
}

describe('finetune', () => {
  it('learns: the loss falls, encoder and decoder move, dropout is off again', async () => {
    const before = snapshot(toySam());
    const done = await run({
      change: { steps: 30, learningRate: 1e-2, schedule: 'constant' },
      batch: { augment: (image, masks) => ({ image, masks, motion: null }) },
      decoderDropout: 0.05,
    });
    expect(done.failure).toBeUndefined();
    expect(done.result).toEqual({ steps: 30, bestValidation: null, bestStep: 30 });
    const mean = (values: number[]) => values.reduce((a, b) => a + b, 0) / values.length;
    expect(mean(totals(done).slice(-5))).toBeLessThan(0.8 * mean(totals(done).slice(0, 5)));
    expect(done.dropoutLeft).toBe(0);
    for (const part of ['image_encoder', 'prompt_encoder', 'mask_decoder']) {
      const moved = Object.keys(before).filter(
        (name) =>
          name.startsWith(part) && JSON.stringify(before[name]) !== JSON.stringify(done.weights[name]),
      );
      expect(moved.length, part).toBeGreaterThan(0);
    }
  });

  it('trains what it is told to and nothing else', async () => {
    const before = snapshot(toySam());
    const { weights } = await run({ change: { trainable: 'decoder', steps: 2 } });
    expect(weights).not.toEqual(before);
    for (const [name, values] of Object.entries(weights))
      if (name.startsWith('image_encoder.')) expect(values, name).toEqual(before[name]);
  });

  it('the total is the weighted sum of its parts', async () => {
    const { lines } = await run({ change: { steps: 2 } });
    for (const { losses } of lines) {
      const { total, focal, dice, iou } = losses as Record<string, number> as { [k: string]: number };
      expect(total).toBeCloseTo(20 * (focal as number) + (dice as number) + (iou as number), 4);
    }
  });

  const settings: readonly (readonly [string, RunOptions])[] = [
    ['with averaged weights', { change: { ema: 0.9 } }],
    [
      'with corrective clicks and several masks an image',
      { change: { iterativeClicks: 3, epochs: 1 }, batch: { masksPerImage: 2 } },
    ],
    [
      'with prompts that move with their images, and text',
      {
        batch: {
          given: (caseId, classId) => ({
            boxes: [{ x0: 4 + classId, y0: 8, x1: 30, y1: 40 }],
            points: [{ x: 9, y: 20 + Number(caseId.slice(4)), label: 1 }],
          }),
          text: (_caseId, classId) => [Float32Array.of(classId, 1, 0, -1), null],
          textProbability: 0.5,
          layout: { points: 1, boxes: 1, text: { tokens: 2, dim: 4 } },
        },
        textDim: 4,
      },
    ],
    [
      'with early stopping',
      { change: { earlyStopping: { patienceEpochs: 9, everyEpochs: 1 } }, validate: () => 0.5 },
    ],
  ];
  const whole = run();
  it.each([0, 1, 2, 3, 4, 5])(
    'stopped after %d steps, it goes on to exactly the same weights',
    async (abortAt) => {
      await expectExactResume(await whole, {}, abortAt);
    },
  );
  it.each(settings)('so it does %s', async (_name, o) => {
    await expectExactResume(await run(o), o, 2);
  });

  it('killed, it repeats the steps since the last saved state', async () => {
    const change = { checkpointEverySteps: 2 };
    const killed = await run({ change, dieAt: 3 });
    const second = await run({ change, folder: killed.folder });
    expect(second.lines[0]?.step).toBe(3);
    expect(second.weights).toEqual((await whole).weights);
  });

  it('averaged weights are not the last ones, and finished twice they are the same', async () => {
    const averaged = await run({ change: { ema: 0.9 } });
    expect(averaged.weights).not.toEqual((await whole).weights);
    const again = await run({ change: { ema: 0.9 }, folder: averaged.folder });
    expect(again.lines).toEqual([]);
    expect(again.weights).toEqual(averaged.weights);
  });

  it('holds as many tensors after a run as before, finished or stopped', async () => {
    const o: RunOptions = {
      change: {
        ema: 0.9,
        iterativeClicks: 1,
        epochs: 1,
        earlyStopping: { patienceEpochs: 1, everyEpochs: 1 },
      },
      validate: () => 0.5,
    };
    await run(o);
    const before = memory().tensors;
    expect((await run(o)).result?.steps).toBe(3);
    expect(memory().tensors).toBe(before);
    await run({ ...o, abortAt: 2 });
    expect(memory().tensors).toBe(before);
    await run({ ...o, dieAt: 2 });
    expect(memory().tensors).toBe(before);
  });
});

describe('early stopping', () => {
  const dices = [0.3, 0.6, 0.5, 0.4, 0.9];
  const o: RunOptions = {
    change: { epochs: 8, earlyStopping: { patienceEpochs: 2, everyEpochs: 1 } },
    validate: (call) => dices[call] as number,
  };

  it('ends after so many epochs without a better one, with the best weights', async () => {
    const stopped = await run(o);
    expect(stopped.result).toEqual({ steps: 12, bestValidation: 0.6, bestStep: 6 }); // best after epoch 2, two more
    expect(stopped.calls).toBe(4);
    const dicesLogged = stopped.lines.flatMap((line) => line.validationDice ?? []);
    expect(dicesLogged).toEqual([0.3, 0.6, 0.5, 0.4]);
    // the weights after epoch 2 are those of a run of two epochs under the same schedule
    const two = await run({ change: { epochs: 8, steps: 6 } });
    expect(stopped.weights).toEqual(two.weights);
  });

  it('is remembered: given again it trains no more and gives the same weights', async () => {
    const stopped = await run(o);
    const again = await run({ ...o, folder: stopped.folder });
    expect(again.calls).toBe(0);
    expect(again.lines).toEqual([]);
    expect(again.result).toEqual(stopped.result);
    expect(again.weights).toEqual(stopped.weights);
  });

  it('the best so far survives a stop', async () => {
    const whole = await run(o);
    const first = await run({ ...o, abortAt: 7 }); // validated twice
    const second = await run({ ...o, folder: first.folder, validate: (call) => dices[2 + call] as number });
    expect(second.result).toEqual(whole.result);
    expect(second.weights).toEqual(whole.weights);
  });
});

describe('steps and rate', () => {
  it('epochs times full batches, or what is asked for', () => {
    expect(stage1Steps(trainingConfig({ epochs: 15, batchSize: 8, steps: null }), 20)).toBe(45);
    expect(stage1Steps(trainingConfig({ epochs: 15, batchSize: 8, steps: null }), 1)).toBe(15);
    expect(stage1Steps(trainingConfig({ steps: 7 }), 20)).toBe(7);
  });

  it('halving: after every so many epochs', () => {
    const rate = stage1Schedule(
      trainingConfig({ schedule: 'halving', halveEveryEpochs: 10, batchSize: 2 }),
      6,
    );
    expect([0, 29, 30, 59, 60].map(rate)).toEqual([1, 1, 0.5, 0.5, 0.25]);
    expect(stage1Schedule(trainingConfig({ halveEveryEpochs: 0 }), 6)(1000)).toBe(1);
  });

  it('cosine and constant, with a warm-up before them', () => {
    const cosine = stage1Schedule(trainingConfig({ schedule: 'cosine', steps: 100 }), 6);
    expect(cosine(0)).toBe(1);
    expect(cosine(50)).toBeCloseTo(0.5, 10);
    expect(cosine(99)).toBeLessThan(0.001);
    const warm = stage1Schedule(trainingConfig({ schedule: 'constant', warmUpSteps: 4 }), 6);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 20 }), (step) => {
        expect(warm(step + 1)).toBeGreaterThanOrEqual(warm(step));
        expect(warm(step)).toBeGreaterThan(0); // the first step moves something
        if (step >= 4) expect(warm(step)).toBe(1);
      }),
    );
  });
});
