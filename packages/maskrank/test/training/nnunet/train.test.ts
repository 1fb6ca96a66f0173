// Training of a tiny nnU-Net on painted squares: it learns labels and regions, goes on after a stop to the same bytes, and leaks nothing.
// Its losses beyond the fixtures, and its postprocessing by hand.

import { join } from 'node:path';
import { fromTypedArray, Generator, memory, nn, randn, tensor, tidy } from '@maskrank/torch';
import { describe, expect, it } from 'vitest';
import { createNnunet, type NnunetConfig } from '../../../src/models/nnunet/index.ts';
import { defaultConfig } from '../../../src/run/config.ts';
import { MetricsLog } from '../../../src/run/metrics.ts';
import {
  DICE,
  deepSupervisionWeights,
  labelLoss,
  regionLoss,
  truthPyramid,
} from '../../../src/training/nnunet/loss.ts';
import {
  choosePostprocessing,
  largestComponent,
  noPostprocessing,
  postprocess,
} from '../../../src/training/nnunet/postprocess.ts';
import { predictScores } from '../../../src/training/nnunet/predict.ts';
import { prepareImage } from '../../../src/training/nnunet/prepare.ts';
import { makeSample } from '../../../src/training/nnunet/sample.ts';
import { makeBatch, type NnunetSettings, trainNnunet } from '../../../src/training/nnunet/train.ts';
import { Random } from '../../../src/util/random.ts';
import { type Ends, newFolders, toyLoop } from '../toy-loop.ts';

const fresh = newFolders('nnunet');

const SIDE = 20;
const PATCH = [16, 16];
/** Bright squares (class 1) and dark ones (class 2) on grey. */
function painted(index: number, regions: boolean) {
  const random = new Random(index);
  const values = new Uint8Array(SIDE * SIDE).map(() => 100 + random.int(0, 20));
  const labels = new Uint8Array((regions ? 2 : 1) * SIDE * SIDE);
  const kind = index % 2;
  const [y0, x0] = [random.int(1, 10), random.int(1, 10)];
  for (let y = y0; y < y0 + 8; y++)
    for (let x = x0; x < x0 + 8; x++) {
      values[y * SIDE + x] = kind === 0 ? 220 : 20;
      labels[(regions ? kind * SIDE * SIDE : 0) + y * SIDE + x] = regions ? 1 : kind + 1;
    }
  const shape = [SIDE, SIDE];
  const image = prepareImage(
    { shape, channels: 1, values },
    {
      spacing: [1, 1],
      targetSpacing: [1, 1],
      normalisation: [{ scheme: 'z-score', insideMask: false }],
      foreground: [],
    },
  );
  return makeSample(image, { shape, channels: regions ? 2 : 1, values: labels }, random);
}
const samplesOf = (regions: boolean) => Array.from({ length: 6 }, (_, i) => painted(i, regions));

const network: NnunetConfig = {
  dimension: 2,
  inChannels: 1,
  outChannels: 3,
  features: [4, 8, 8],
  kernelSizes: [
    [3, 3],
    [3, 3],
    [3, 3],
  ],
  strides: [
    [1, 1],
    [2, 2],
    [2, 2],
  ],
  blocksEncoder: [1, 1, 1],
  blocksDecoder: [1, 1],
  residual: false,
};

type RunOptions = Ends & {
  readonly folder?: string;
  readonly regions?: boolean;
  readonly change?: Partial<NnunetSettings>;
};

async function run({ folder = fresh(), regions = false, ...o }: RunOptions = {}) {
  const model = createNnunet({ ...network, outChannels: regions ? 2 : 3 }, Generator.seeded(1));
  const metrics = MetricsLog.open(join(folder, 'metrics.jsonl'));
  const samples = samplesOf(regions);
  let failure: unknown;
  let found: Float32Array | undefined;
  try {
    await trainNnunet({
      network: model,
      samples,
      patch: PATCH,
      batchSize: 3,
      batchDice: true,
      regions,
      settings: {
        ...defaultConfig().baselines.nnunet,
        epochs: 3,
        iterationsPerEpoch: 2,
        checkpointEverySteps: 4,
        logEverySteps: 1,
        validateEveryEpochs: 2,
        ...o.change,
      },
      seed: 1,
      device: 'cpu',
      validate: () => 0.5,
      loop: { stage: 'baseline toy', ...toyLoop(folder, metrics, o) },
    });
    const relation = regions ? 'overlapping' : 'exclusive';
    const options = {
      network: model,
      window: PATCH,
      relation,
      mirror: true,
      precision: 'float32',
      device: 'cpu',
    } as const;
    found = predictScores((samples[0] as (typeof samples)[number]).image, options);
  } catch (error) {
    failure = error;
  }
  const lines = metrics.entries();
  metrics.close();
  const weights = Object.fromEntries(
    [...nn.saveStateDict(model)].map(([name, { data }]) => [name, [...data].map(Number)]),
  );
  model.dispose();
  return { folder, failure, lines, weights, found };
}

describe('training', () => {
  it.each([false, true])(
    'learns (regions %s), at a rate that falls from epoch to epoch',
    async (regions) => {
      const done = await run({
        regions,
        change: { epochs: 6, iterationsPerEpoch: 6, momentum: 0.9, learningRate: 0.1 },
      });
      expect(done.failure).toBeUndefined();
      const total = (from: number, to: number) =>
        done.lines.slice(from, to).reduce((sum, { losses }) => sum + (losses?.total as number), 0) /
        (to - from);
      expect(total(30, 36)).toBeLessThan(total(0, 6) - 0.3);
      expect(Object.keys(done.lines[0]?.losses ?? {}).sort()).toEqual(['crossEntropy', 'dice', 'total']);
      const rates = done.lines.map(({ learningRate }) => learningRate);
      expect(rates.slice(5, 7)).toEqual([0.1, expect.closeTo(0.1 * (5 / 6) ** 0.9, 6)]);
      // Image 0 has a bright square of 8 x 8 of class 1: most of it is found.
      const truth = painted(0, false).truth.values;
      const overlap = [...truth].filter((label, i) => label === 1 && (done.found?.[i] as number) > 0).length;
      expect(overlap).toBeGreaterThan(40);
    },
    240_000,
  );

  it('tells how the validation images stand, when asked', async () => {
    const { lines } = await run();
    expect(lines.flatMap(({ step, validationDice }) => (validationDice === undefined ? [] : [step]))).toEqual(
      [4],
    );
  });

  it('stopped anywhere goes on to the same bytes', async () => {
    const whole = await run();
    for (const abortAt of [1, 5]) {
      const first = await run({ abortAt });
      expect(String(first.failure)).toContain('stopped');
      const second = await run({ folder: first.folder });
      expect(second.failure).toBeUndefined();
      expect(second.weights).toEqual(whole.weights);
      expect(second.lines.map(({ losses }) => losses)).toEqual(whole.lines.map(({ losses }) => losses));
    }
  }, 240_000);

  it('leaves no tensors behind', async () => {
    const before = memory().tensors;
    await run();
    expect(memory().tensors).toBe(before);
  });

  it('batches hold foreground in their last part', () => {
    const samples = samplesOf(false);
    tidy(() => {
      const options = {
        samples,
        patch: PATCH,
        batchSize: 4,
        device: 'cpu',
        settings: { foregroundShare: 0.5 },
      };
      const { images, truth } = makeBatch(options, new Random(3));
      expect(images.shape).toEqual([4, 1, 16, 16]);
      expect(truth.shape).toEqual([4, 1, 16, 16]);
      const most = truth.amax([1, 2, 3]).toFloat32Array();
      expect(Math.min(...most.slice(2))).toBeGreaterThan(0);
    });
  });
});

describe('losses', () => {
  it('of images of which nothing is known are finite and without gradient', () => {
    tidy(() => {
      const logits = randn([1, 3, 4, 4], { generator: Generator.seeded(1) }).requiresGrad_();
      const ignored = tensor(new Array(16).fill(9)).reshape([1, 1, 4, 4]).to('int64');
      const loss = labelLoss(logits, ignored, { dice: { ...DICE, background: false }, ignore: 9 }).total;
      expect(Number.isFinite(loss.item())).toBe(true);
      loss.backward();
      expect(logits.grad?.abs().amax().item()).toBe(0);
    });
  });

  it('of perfect logits are -1', () => {
    tidy(() => {
      const labels = tensor([0, 1, 2, 1]).reshape([1, 1, 2, 2]).to('int64');
      const sure = tensor([
        [9, 0, 0, 0],
        [0, 9, 0, 9],
        [0, 0, 9, 0],
      ]).mul(10);
      const loss = labelLoss(sure.reshape([1, 3, 2, 2]), labels, { dice: { ...DICE, background: false } });
      expect(loss.total.item()).toBeCloseTo(-1, 4);
      const regions = tensor([[1, 0, 1, 1]]).reshape([1, 1, 2, 2]);
      expect(regionLoss(regions.mul(2).sub(1).mul(90), regions, { dice: DICE }).total.item()).toBeCloseTo(
        -1,
        4,
      );
    });
  });

  it('count one resolution alone in full', () => {
    expect(deepSupervisionWeights(1)).toEqual([1]);
  });

  it('see the truth of lower resolutions at the nearest place', () => {
    tidy(() => {
      const truth = fromTypedArray(
        Float32Array.from({ length: 16 }, (_, i) => i),
        [1, 1, 4, 4],
      );
      const [full, half] = truthPyramid(truth, [
        [1, 1],
        [2, 1],
      ]);
      expect(full?.toFloat32Array()).toHaveLength(16);
      expect([...(half?.toFloat32Array() ?? [])]).toEqual([4, 5, 6, 7, 12, 13, 14, 15]);
    });
  });
});

describe('postprocessing', () => {
  const masksOf = (...planes: string[]) => {
    const rows = planes.map((plane) => plane.split(' '));
    const [first = []] = rows;
    const shape = [first.length, first.join('').length / first.length];
    return { shape, classes: planes.length, data: Uint8Array.from(rows.flat().join(''), Number) };
  };
  const text = ({ data }: { data: Uint8Array }) => [...data].join('');

  it('finds the largest component in two and three dimensions, of equal ones the first', () => {
    const kept = (shape: number[], ...rows: string[]) =>
      [...largestComponent(Uint8Array.from(rows.join(''), Number), shape)].join('');
    expect(kept([2, 4], '1001', '0101')).toBe('10000100');
    expect(kept([1, 5], '01101')).toBe('01100');
    expect(kept([2, 2, 3], '100', '001', '001', '001')).toBe('000001001001');
    expect(kept([2, 2, 2], '10', '00', '00', '01')).toBe('10000001');
    expect(kept([1, 3], '000')).toBe('000');
  });

  it('keeps the largest component of a class, or of all together', () => {
    const masks = masksOf('110001 000000', '001000 000001');
    expect(text(postprocess(masks, noPostprocessing(2)))).toBe(text(masks));
    expect(text(postprocess(masks, { foreground: false, classes: [true, false] }))).toBe(
      '110000000000001000000001',
    );
    expect(text(postprocess(masks, { foreground: true, classes: [false, false] }))).toBe(
      '110000000000001000000000',
    );
  });

  it('is done where it raises the Dice of other images, and only there', () => {
    const truth = masksOf('1100 0000', '0000 0011');
    const spotted = masksOf('1101 0000', '0000 1011');
    const first = choosePostprocessing([{ truth, predicted: spotted }], 'exclude');
    expect(first.processing.classes).toEqual([true, true]);
    expect(first.after).toBe(1);
    const two = masksOf('1101 0001', '0000 0011');
    const second = choosePostprocessing([{ truth: two, predicted: two }], 'exclude');
    expect(second.processing).toEqual(noPostprocessing(2));
    expect(second).toMatchObject({ before: 1, after: 1 });
  });
});
