import { memory } from '@maskrank/torch';
import { UsageError } from '@maskrank/torch/errors';
import { afterAll, describe, expect, it } from 'vitest';
import type { Image } from '../../../src/imaging/types.ts';
import { SamPredictor } from '../../../src/models/sam/index.ts';
import { smallSam } from './small.ts';

const sam = smallSam();
afterAll(() => sam.dispose());

const image: Image = {
  width: 50,
  height: 40,
  channels: 1,
  data: Uint8Array.from({ length: 2000 }, (_, i) => (i * 7) % 251),
};
const box = { x0: 5, y0: 6, x1: 30, y1: 28 };
const points = [{ x: 10, y: 12, label: 1 as const }];

describe('SamPredictor', () => {
  it('needs an image first', () => {
    expect(() => new SamPredictor(sam).predict({})).toThrow(UsageError);
  });

  it('answers at the original size, three masks or one, and names the best', () => {
    const predictor = new SamPredictor(sam).setImage(image);
    const { masks, best } = predictor.predict({ boxes: [box] });
    expect(masks.map(({ logits }) => [logits.width, logits.height, logits.data.length])).toEqual(
      new Array(3).fill([50, 40, 2000]),
    );
    expect(masks[best]?.predictedIou).toBe(Math.max(...masks.map((m) => m.predictedIou)));
    expect(predictor.predict({ points }, { multimask: false }).masks.length).toBe(1);
    expect(predictor.predict({}).masks.length).toBe(3);
    predictor.dispose();
  });

  it('answers many prompts as it answers each alone, in their order', () => {
    const predictor = new SamPredictor(sam).setImage(image);
    const mask = predictor.predict({ points }).masks[0]?.lowRes as Float32Array<ArrayBuffer>;
    const prompts = [
      { boxes: [box] },
      { points },
      { boxes: [{ ...box, x1: 49 }] },
      { points, mask },
      { boxes: [box, box] },
    ];
    const together = predictor.predictAll(prompts);
    for (const [i, prompt] of prompts.entries()) {
      const alone = predictor.predict(prompt);
      for (const [head, { lowRes }] of alone.masks.entries()) {
        const other = together[i]?.masks[head]?.lowRes as Float32Array;
        expect(Math.max(...lowRes.map((z, k) => Math.abs(z - other[k]!)))).toBeLessThan(1e-4);
      }
    }
    predictor.dispose();
  });

  it('frees what it embedded', () => {
    const before = memory().tensors;
    const predictor = new SamPredictor(sam).setImage(image).setImage(image);
    predictor.predict({ boxes: [box] });
    expect(memory().tensors).toBe(before + 1);
    predictor.dispose();
    expect(memory().tensors).toBe(before);
  });
});
