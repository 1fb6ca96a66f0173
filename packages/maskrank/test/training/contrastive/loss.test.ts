// Losses with several positives: equal to the published ones where every image has its own text, by hand elsewhere, and their
// slopes against differences.

import { fromTypedArray, nn, tidy } from '@maskrank/torch';
import { describe, expect, it } from 'vitest';
import { dhnNceLoss, infoNce, unitRows } from '../../../src/models/clip/index.ts';
import { pairLoss } from '../../../src/training/contrastive/loss.ts';
import { Random } from '../../../src/util/random.ts';

const [B, E] = [4, 5];
const normals = (seed: string, count = B * E) => {
  const random = new Random(seed);
  return Float32Array.from({ length: count }, () => random.normal());
};
const tensorOf = (data: Float32Array<ArrayBuffer>, rows: number) =>
  fromTypedArray(data, [rows, data.length / rows]);
const identity = Float32Array.from({ length: B * B }, (_, i) => (i % (B + 1) === 0 ? 1 : 0));

describe('pairLoss', () => {
  it('is InfoNCE and DHN-NCE where every image has one text of its own', () => {
    tidy(() => {
      const [images, texts] = [tensorOf(normals('images'), B), tensorOf(normals('texts'), B)];
      const logits = unitRows(images).matmul(unitRows(texts).t()).div(0.3);
      const ours = (kind: 'info-nce' | 'dhn-nce') =>
        pairLoss(images, texts, identity, { kind, temperature: 0.3, hardness: 0.15 }).item();
      expect(ours('info-nce')).toBeCloseTo(infoNce(logits).item(), 5);
      const dhn = dhnNceLoss(images, texts, { temperature: 0.3, beta1: 0.15, beta2: 0.15 }).item();
      expect(ours('dhn-nce')).toBeCloseTo(dhn / 2, 5);
    });
  });

  it('never takes a text that is also true for a negative', () => {
    tidy(() => {
      // Two images, two texts that are true of both, one that is true of the first alone.
      const images = tensorOf(Float32Array.of(1, 0, 0, 1), 2);
      const texts = tensorOf(Float32Array.of(1, 0, 1, 0, 0, 1), 3);
      const truth = Float32Array.of(1, 1, 1, 1, 1, 0);
      const value = pairLoss(images, texts, truth, { kind: 'info-nce', temperature: 1, hardness: 0 }).item();
      // Image 1 has no negative and does not count; image 2: cosines 0, 0 and a negative of 1. Of the texts only the third
      // has a negative: cosine 0 with image 1, 1 with image 2.
      const pair = Math.log(1 + Math.E);
      expect(value).toBeCloseTo((pair + pair) / 2, 5);
    });
  });

  it('is zero, with slopes of zero, where nothing is false', () => {
    const images = new nn.Parameter(tensorOf(normals('images'), B));
    const texts = tensorOf(normals('texts'), B);
    const truth = new Float32Array(B * B).fill(1);
    for (const kind of ['info-nce', 'dhn-nce'] as const) {
      const loss = pairLoss(images, texts, truth, { kind, temperature: 0.1, hardness: 0.15 });
      expect(loss.item()).toBe(0);
      loss.backward();
      expect([...(images.grad?.toFloat32Array() ?? [])].every((x) => x === 0)).toBe(true);
    }
  });

  it.each(['info-nce', 'dhn-nce'] as const)('has the slopes of differences: %s', (kind) => {
    const start = normals('images');
    const texts = tensorOf(normals('texts', 6 * E), 6);
    const random = new Random('truth');
    const truth = Float32Array.from({ length: B * 6 }, () => (random.chance(0.4) ? 1 : 0));
    const at = (data: Float32Array<ArrayBuffer>) =>
      tidy(() => pairLoss(tensorOf(data, B), texts, truth, { kind, temperature: 0.5, hardness: 0.3 }).item());
    const images = new nn.Parameter(tensorOf(start, B));
    pairLoss(images, texts, truth, { kind, temperature: 0.5, hardness: 0.3 }).backward();
    const slopes = (images.grad as NonNullable<typeof images.grad>).toFloat32Array();
    for (const i of [0, 7, 13]) {
      const h = 1e-2;
      const moved = (by: number) => at(start.map((x, j) => (j === i ? x + by : x)));
      expect(slopes[i]).toBeCloseTo((moved(h) - moved(-h)) / (2 * h), 2);
    }
  });
});
