// Training with images that have no masks: both views show the same place, a term of weight 0 changes nothing, one above 0 does, the
// teacher is the average that it says, and a stopped training goes on to the same bytes.

import { memory, noGrad, type Tensor } from '@maskrank/torch';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { augment, DEFAULT_AUGMENTATION } from '../../../src/imaging/augment.ts';
import { NORMALISATIONS } from '../../../src/imaging/normalise.ts';
import type { DenseSample } from '../../../src/training/baselines/batch.ts';
import {
  probabilityDistance,
  pseudoLabelLoss,
  pseudoLabels,
} from '../../../src/training/baselines/consistency.ts';
import type { ClassRelation } from '../../../src/training/baselines/loss.ts';
import { follow, type UnlabelledTerm, viewsAt } from '../../../src/training/baselines/unlabelled.ts';
import type { Augmentation } from '../../../src/training/batch.ts';
import { augmented, samplesOf, toyUnet, train, weightsIn } from './toy-training.ts';

const still: Augmentation = (image, masks) => ({ image, masks, motion: null });
const noisy: Augmentation = (image, masks, random) =>
  augment({ image, masks: [...masks] }, random, {
    ...DEFAULT_AUGMENTATION,
    flipHorizontal: 0,
    rotation: { probability: 0, maxDegrees: 0 },
    scale: { probability: 0, range: [1, 1] },
    translation: { probability: 0, maxFraction: 0 },
    noise: { probability: 1, range: [5, 12] },
  });

let pool: DenseSample[] = [];
beforeAll(async () => {
  pool = (await samplesOf(['p', 'q', 'r', 's', 't', 'u'])).map((sample) => ({ ...sample, masks: new Map() }));
});

const meanTeacher =
  (weight: number, decay = 0.9) =>
  (relation: ClassRelation): UnlabelledTerm => ({
    samples: pool,
    batchSize: 3,
    views: { move: augmented, seen: noisy, target: noisy },
    weightAt: () => weight,
    loss: (logits, targets) => ({ total: probabilityDistance(logits, targets, relation) }),
    teacher: { network: toyUnet(relation), decay },
  });

const fixmatch =
  (weight: number, threshold: number) =>
  (relation: ClassRelation): UnlabelledTerm => ({
    samples: pool,
    batchSize: 2,
    views: { move: augmented, seen: noisy, target: still },
    weightAt: () => weight,
    loss: (logits, targets) => {
      const labels = pseudoLabels(targets, relation, threshold);
      return {
        total: pseudoLabelLoss(logits, labels, { relation, crossEntropyWeight: 1, diceWeight: 1 }),
        sureShare: labels.sure.mean(),
      };
    },
  });

describe('views', () => {
  const at = (step: number, views: Partial<UnlabelledTerm['views']> = {}) => {
    const term = fixmatch(1, 0.5)('exclusive');
    const where = { seed: 1, stage: 'toy', step };
    return viewsAt({ ...term, views: { ...term.views, ...views } }, NORMALISATIONS.sam, where);
  };

  it('are moved alike and differ in grey values alone, the same each time, others at other steps', () => {
    const { seen, target, shape } = at(0, { seen: still });
    expect(shape).toEqual([2, 3, 32, 32]);
    expect(seen).toEqual(target);
    const changed = at(0);
    expect(changed.target).toEqual(target);
    expect(changed.seen).not.toEqual(target);
    expect(at(0)).toEqual(changed);
    expect(at(1).target).not.toEqual(target);
    const twice = at(0, { target: noisy });
    expect(twice.seen).toEqual(changed.seen);
    expect(twice.target).not.toEqual(twice.seen);
  });
});

describe('a teacher', () => {
  it('is the average of the first steps, then of a decay; counters of batches are copied', () => {
    const [network, teacher] = [toyUnet(), toyUnet()];
    const name = 'outc.conv.bias';
    const counter = 'inc.double_conv.1.num_batches_tracked';
    const set = (value: number): void =>
      noGrad(() => {
        for (const key of [name, counter]) (network.stateDict().get(key) as Tensor).fill_(value);
      });
    const averages = [3, 5, 10, 10].map((value, step) => {
      set(value);
      follow({ network: teacher, decay: 0.6 }, network, step);
      const weights = weightsIn(teacher);
      expect(weights[counter]).toEqual([value]);
      return weights[name]?.[0] as number;
    });
    // 3; their mean 4; 0.6 4 + 0.4 10; and so on.
    for (const [i, expected] of [3, 4, 6.4, 7.84].entries()) expect(averages[i]).toBeCloseTo(expected, 5);
    network.dispose();
    teacher.dispose();
  });

  it('that does not look back is the network itself', async () => {
    const change = { validateEverySteps: 0, steps: 3 };
    const alone = await train({ change });
    const taught = await train({ change, unlabelled: meanTeacher(0, 0) });
    expect(taught.failure).toBeUndefined();
    expect(taught.weights).toEqual(alone.weights);
    // One that looks back is not, and it is the one that is kept.
    const slow = await train({ change, unlabelled: meanTeacher(0, 0.9) });
    expect(slow.weights).not.toEqual(alone.weights);
  });
});

describe.each(['exclusive', 'overlapping'] as const)('%s classes', (relation) => {
  it('a term of weight 0 changes nothing, one above 0 does', async () => {
    const alone = await train({ relation });
    const off = await train({ relation, unlabelled: fixmatch(0, 0.1) });
    expect(off.failure).toBeUndefined();
    expect(off.weights).toEqual(alone.weights);
    expect(off.lines.every(({ losses }) => losses?.unlabelled === undefined)).toBe(true);
    const on = await train({ relation, unlabelled: fixmatch(1, 0.1) });
    expect(on.failure).toBeUndefined();
    expect(on.weights).not.toEqual(alone.weights);
    for (const { losses, sureShare } of on.lines) {
      expect(losses?.unlabelled).toBeGreaterThan(0);
      expect(sureShare).toBe(1);
    }
    // Twice the weight is another training.
    expect((await train({ relation, unlabelled: fixmatch(2, 0.1) })).weights).not.toEqual(on.weights);
  });

  it('brings what is said of two views together', async () => {
    const change = { steps: 16, learningRate: 1e-2, validateEverySteps: 0 };
    const distances = async (weight: number): Promise<number> => {
      const { lines } = await train({ relation, change, unlabelled: meanTeacher(weight) });
      return lines.slice(8).reduce((sum, { losses }) => sum + (losses?.unlabelled as number), 0);
    };
    expect(await distances(500)).toBeLessThan(0.8 * (await distances(1e-9)));
  });
});

it.each([
  ['mean teacher', meanTeacher(5)],
  ['pseudo-labels', fixmatch(1, 0.6)],
] as const)('%s: interrupted or killed anywhere goes on to the same bytes', async (_name, unlabelled) => {
  const before = memory().tensors;
  const whole = await train({ unlabelled });
  expect(whole.failure).toBeUndefined();
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 7 }), fc.boolean(), async (at, killed) => {
      const first = await train({ unlabelled, ...(killed ? { dieAt: at } : { abortAt: at }) });
      expect(first.failure).toBeDefined();
      const second = await train({ unlabelled, folder: first.folder });
      expect(second.failure).toBeUndefined();
      expect(second.weights).toEqual(whole.weights);
      expect(second.result).toEqual(whole.result);
      expect(second.lines.map(({ losses }) => losses)).toEqual(whole.lines.map(({ losses }) => losses));
    }),
    { numRuns: 4 },
  );
  expect(memory().tensors).toBe(before);
});
