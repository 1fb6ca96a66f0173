// Similarity of places with a text: cosines of what is positive, and who may be asked for it.

import { UsageError } from '@maskrank/torch/errors';
import { describe, expect, it } from 'vitest';
import { placeSimilarity } from '../../../src/prompting/saliency/index.ts';

/** Channels of four places, [2, 2, 2]. */
const evidence = {
  channels: 2,
  width: 2,
  height: 2,
  activations: Float32Array.from([3, 0, 4, -1, 0, 5, 3, -2]),
};

describe('placeSimilarity', () => {
  it('is the cosine of what is positive, whatever the lengths; nothing where nothing is', () => {
    const { data, width, height } = placeSimilarity(evidence, Float32Array.from([2, -7]));
    expect([width, height]).toEqual([2, 2]);
    [1, 0, 0.8, 0].forEach((cosine, i) => {
      expect(data[i]).toBeCloseTo(cosine, 6);
    });
    const diagonal = placeSimilarity(evidence, Float32Array.from([1, 1])).data;
    expect(diagonal[2]).toBeCloseTo(7 / Math.sqrt(50), 6);
  });

  it('is refused where texts and places have other channels, with what to do', () => {
    expect(() => placeSimilarity(evidence, new Float32Array(3))).toThrow(UsageError);
    expect(() => placeSimilarity(evidence, new Float32Array(3))).toThrow(/2 channels.*gscorecam/);
  });
});
