// nnU-Net's networks beyond their fixtures: shapes in two and three dimensions, first weights, released keys; windows that put an image
// together; plans that fit.

import { Generator, memory, noGrad, randn, type Tensor, tidy, toTensorData } from '@maskrank/torch';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  createNnunet,
  featureMapSize,
  loadNnunetState,
  type NnunetConfig,
  PLANNERS,
  planExperiment,
  slidingWindow,
} from '../../../src/models/nnunet/index.ts';
import { roundHalfEven } from '../../../src/models/nnunet/planner/statistics.ts';
import { gaussianWeights, windowStarts } from '../../../src/models/nnunet/sliding-window.ts';

const config = (dimension: 2 | 3, residual = false): NnunetConfig => ({
  dimension,
  inChannels: 1,
  outChannels: 3,
  features: [4, 6, 8],
  kernelSizes: [new Array(dimension).fill(3), new Array(dimension).fill(3), new Array(dimension).fill(3)],
  strides: [
    new Array(dimension).fill(1),
    new Array(dimension).fill(2),
    [1, ...new Array(dimension - 1).fill(2)],
  ],
  blocksEncoder: [1, 2, 1],
  blocksDecoder: [1, 2],
  residual,
});

describe('the networks', () => {
  it.each([
    [2, false],
    [2, true],
    [3, false],
    [3, true],
  ] as const)(
    '%d dimensions, residual %s: logits of two resolutions, nothing left behind',
    (dimension, residual) => {
      using network = createNnunet(config(dimension, residual), Generator.seeded(1));
      const sides = dimension === 2 ? [8, 12] : [8, 8, 12];
      const images = randn([2, 1, ...sides], { generator: Generator.seeded(2) });
      const before = memory().tensors;
      tidy(() => {
        const all = network.forwardAll(images);
        expect(all.map(({ shape }) => shape)).toEqual([
          [2, 3, ...sides],
          [2, 3, ...sides.map((side) => side / 2)],
        ]);
        const single = network.forward(images).toFloat32Array();
        expect(single).toEqual((all[0] as Tensor).toFloat32Array());
        (all[0] as Tensor).sum().backward();
      });
      network.zeroGrad();
      expect(memory().tensors).toBe(before);
      images.dispose();
    },
  );

  it('begins without biases, residual blocks as the identity', () => {
    using network = createNnunet(config(2, true), Generator.seeded(1));
    const state = network.stateDict();
    const values = (name: string) => [...(state.get(name) as Tensor).toFloat32Array()];
    expect(values('encoder.stages.1.blocks.1.conv2.norm.weight')).toEqual(new Array(6).fill(0));
    expect(values('encoder.stages.1.blocks.1.conv1.norm.weight')).toEqual(new Array(6).fill(1));
    expect(values('decoder.seg_layers.1.bias')).toEqual([0, 0, 0]);
    const kernel = values('decoder.stages.1.convs.1.conv.weight'); // [4, 4, 3, 3]
    const sd = Math.sqrt(kernel.reduce((sum, w) => sum + w * w, 0) / kernel.length);
    expect(sd).toBeCloseTo(Math.sqrt(2 / 36), 1);
    using other = createNnunet(config(2, true), Generator.seeded(2));
    const [name] = [...state.keys()] as [string];
    expect([...(other.stateDict().get(name) as Tensor).toFloat32Array()]).not.toEqual(values(name));
  });

  it('loads the files of nnU-Net, which say the encoder twice, and no others', () => {
    using source = createNnunet(config(2), Generator.seeded(1));
    using target = createNnunet(config(2), Generator.seeded(2));
    const own = new Map([...source.stateDict()].map(([name, tensor]) => [name, toTensorData(tensor)]));
    const released = new Map(own);
    for (const [name, tensor] of own) {
      released.set(`decoder.encoder.${name}`, tensor);
      released.set(name.replace('.conv.', '.all_modules.0.'), tensor);
    }
    loadNnunetState(target, released);
    const [name, tensor] = [...source.stateDict()][0] as [string, Tensor];
    expect(target.stateDict().get(name)?.toFloat32Array()).toEqual(tensor.toFloat32Array());
    expect(() => loadNnunetState(target, new Map([...own].slice(1)), 'a file')).toThrow(/a file.*missing/s);
  });

  it('refuses lists that do not fit each other', () => {
    expect(() => createNnunet({ ...config(2), strides: [[1, 1]] }, Generator.seeded(1))).toThrow(
      /3 stages.*1 strides/,
    );
  });
});

describe('windows', () => {
  it('cover every place, evenly, at most half a window apart', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 2, max: 96 }), (side, size) => {
        const starts = windowStarts(side, size, 0.5);
        expect(starts[0]).toBe(0);
        expect(starts.at(-1)).toBe(Math.max(0, side - size));
        for (const [i, start] of starts.slice(1).entries())
          expect(start - (starts[i] as number)).toBeLessThanOrEqual(Math.ceil(size / 2));
      }),
    );
  });

  it('weigh their middle most and nothing not at all', () => {
    const weights = gaussianWeights([8, 4]);
    expect(weights[4 * 4 + 2]).toBe(1);
    expect(Math.min(...weights)).toBeGreaterThan(0);
  });

  it('put an image of any size together, mirrored or not', () => {
    const sides = fc.array(fc.integer({ min: 3, max: 21 }), { minLength: 2, maxLength: 3 });
    fc.assert(
      fc.property(sides, fc.boolean(), (shape, mirror) => {
        tidy(() => {
          const image = randn([1, 1, ...shape], { generator: Generator.seeded(1) });
          const window = shape.map(() => 8);
          // A network that says what it sees.
          const seen = slidingWindow((x) => x.mul(2), image, { window, mirror });
          expect(seen.shape).toEqual(image.shape);
          expect(seen.sub(image.mul(2)).abs().amax().item()).toBeLessThan(1e-5);
        });
      }),
      { numRuns: 20 },
    );
  });

  it('take the mean of mirrored views', () => {
    tidy(() =>
      noGrad(() => {
        const image = randn([1, 1, 4, 6], { generator: Generator.seeded(1) });
        const first = (x: Tensor) => x.slice(3, 0, 1).expand(x.shape); // the left column everywhere
        const seen = slidingWindow(first, image, { window: [4, 6], mirror: true });
        const [left, right] = [image.slice(3, 0, 1), image.slice(3, 5, 6)];
        const expected = left.add(right).div(2).expand([1, 1, 4, 6]);
        expect(seen.sub(expected).abs().amax().item()).toBeLessThan(1e-6);
      }),
    );
  });
});

describe('plans', () => {
  const fingerprint = (shapes: number[][], spacing: number[]) => ({
    spacings: shapes.map(() => spacing),
    shapesAfterCrop: shapes,
    medianShareAfterCrop: 1,
  });
  const task = { channelNames: ['zscore'], labels: 2, trainingImages: 100 };

  it('fit the memory asked for, with patches that the network can halve', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 40, max: 900 }),
        fc.integer({ min: 40, max: 900 }),
        fc.constantFrom(1, 4, 8),
        fc.constantFrom(8, 32),
        (height, width, memoryGb, first) => {
          const plan = planExperiment(fingerprint([[1, height, width]], [999, 1, 1]), task, {
            ...PLANNERS.default,
            memoryGb,
            width: first,
          });
          expect(plan['3d']).toBeUndefined();
          const { patch, batchSize, network } = plan['2d'];
          expect((featureMapSize(network, patch) / 12) * batchSize).toBeLessThanOrEqual(
            1.25 * ((85e6 * memoryGb) / 8),
          );
          const divisor = network.strides.reduce((all, s) => all.map((n, a) => n * (s[a] as number)), [1, 1]);
          expect(patch.map((side, axis) => side % (divisor[axis] as number))).toEqual([0, 0]);
        },
      ),
      { numRuns: 30 },
    );
  });

  it('take a coarser spacing if told to', () => {
    const settings = { ...PLANNERS.default, targetSpacing: [999, 2, 2] };
    const { medianShape, '2d': planned } = planExperiment(
      fingerprint([[1, 200, 300]], [999, 1, 1]),
      task,
      settings,
    );
    expect(planned.medianShape).toEqual([100, 150]);
    expect(planned.spacing).toEqual([2, 2]);
    expect(medianShape).toEqual([1, 200, 300]);
  });

  it('round halves to even numbers, as the planner it follows', () => {
    expect([0.5, 1.5, 2.5, 2.4, -0.5].map(roundHalfEven)).toEqual([0, 2, 2, 2, 0]);
  });
});
