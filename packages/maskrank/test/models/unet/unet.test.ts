// The U-Net beyond its golden fixtures: names, sizes, the shortest way to a wrong shape, and what it may leave behind.

import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { Generator, memory, nn, noGrad, randn, tidy } from '@maskrank/torch';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkFixture } from '../../../src/golden/run.ts';
import { createUnet, UNET_WIDTHS } from '../../../src/models/unet/index.ts';

const golden = process.env.MASKRANK_GOLDEN ?? resolve(import.meta.dirname, '../../../../../../shared/golden');

const make = (options: { width?: number; bilinear?: boolean; classes?: number } = {}, seed = 1) =>
  createUnet(
    {
      inChannels: 3,
      outChannels: options.classes ?? 2,
      width: options.width ?? 4,
      bilinear: options.bilinear ?? false,
    },
    Generator.seeded(seed),
  );

describe.skipIf(!existsSync(golden))('golden (skipped where the fixtures are absent)', () => {
  it.each(['unet_milesial_bilinear', 'unet_milesial_transposed'])('%s', async (name) => {
    const report = await checkFixture(golden, name);
    if (report.status !== 'checked') throw new Error(report.status);
    expect(report.results.filter((result) => !result.ok)).toEqual([]);
    expect(report.results.filter(({ what }) => /^grad(sum)?\//.test(what)).length).toBeGreaterThan(50);
    expect(report.results.filter(({ what }) => what.startsWith('out/after_train/'))).toHaveLength(36);
  });
});

describe('the network', () => {
  it.each([
    ['unet', 31.04],
    ['unet-small', 1.94],
  ] as const)('%s has %d million weights', (name, millions) => {
    using network = make({ width: UNET_WIDTHS[name] });
    const weights = network.parameters().reduce((sum, { numel }) => sum + numel, 0);
    expect(weights / 1e6).toBeCloseTo(millions, 1);
  });

  it('keeps any size from 16 px on, in both forms', () => {
    const side = fc.integer({ min: 16, max: 75 });
    fc.assert(
      fc.property(side, side, fc.boolean(), (height, width, bilinear) => {
        using network = make({ width: 2, bilinear, classes: 3 });
        network.eval();
        const shape = tidy(() => noGrad(() => network.forward(randn([1, 3, height, width])).shape));
        expect(shape).toEqual([1, 3, height, width]);
      }),
      { numRuns: 12 },
    );
  });

  it('is the same for the same seed, another for another', () => {
    const weights = (seed: number) => {
      using network = make({}, seed);
      return network.outc.conv.weight.toFloat32Array();
    };
    expect(weights(1)).toEqual(weights(1));
    expect(weights(1)).not.toEqual(weights(2));
  });

  it('moves its statistics in training alone, and leaves no tensors behind', () => {
    using network = make();
    const mean = () => network.inc.stateDict().get('double_conv.1.running_mean')?.toFloat32Array();
    const images = randn([2, 3, 32, 32]);
    const untouched = mean();
    const before = memory().tensors;
    network.eval();
    tidy(() => noGrad(() => void network.forward(images)));
    expect(mean()).toEqual(untouched);
    network.train();
    tidy(() => network.forward(images).sum().backward());
    expect(mean()).not.toEqual(untouched);
    network.zeroGrad();
    expect(memory().tensors).toBe(before);
    images.dispose();
  });

  it('says what does not fit when a state of another size is loaded', () => {
    using small = make();
    using wide = make({ width: 8 });
    expect(() => nn.loadStateDict(wide, nn.saveStateDict(small))).toThrow(
      /wrong shape: inc\.double_conv\.0\.weight/,
    );
  });
});
