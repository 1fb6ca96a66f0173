// A mask given back: what becomes the next prompt, by hand; and that rounds are what one would write out with `decode`.

import { fromTypedArray, Generator, memory, randn, type Tensor, tidy } from '@maskrank/torch';
import { afterAll, describe, expect, it } from 'vitest';
import { createSam, decodeGivenBack, maskPromptOf, pickBest } from '../../../src/models/sam/index.ts';
import { SMALL } from './small.ts';

const points = (clicks: readonly [number, number, number][][]) => ({
  coords: fromTypedArray(Float32Array.from(clicks.flat().flatMap((click) => click.slice(0, 2))), [
    clicks.length,
    clicks[0]!.length,
    2,
  ]),
  labels: fromTypedArray(BigInt64Array.from(clicks.flat().map(([, , label]) => BigInt(label))), [
    clicks.length,
    clicks[0]!.length,
  ]),
});

describe('maskPromptOf', () => {
  // Two parts of 2 x 2 places, left and right, on a canvas of 16 pixels: a place is 4 pixels.
  const row = [2, -1, -1, 3];
  const logits = () =>
    fromTypedArray(Float32Array.from([row, row, [-1, -1, -1, -1], row].flat()), [1, 1, 4, 4]);
  const asked = (
    clicks: [number, number, number][] | null,
    maskPrompt: 'logits' | 'probabilities' = 'logits',
  ) =>
    tidy(() => {
      const prompts = clicks === null ? {} : { points: points([clicks]) };
      return Array.from(maskPromptOf(logits(), prompts, { maskPrompt, imageSize: 16 }).toFloat32Array());
    });
  const [left, right] = [
    [2, -1, -1, -3],
    [-2, -1, -1, 3],
  ];
  const none = [-1, -1, -1, -1];

  it('keeps the part that a positive click is in', () => {
    expect(asked([[1, 2, 1]])).toEqual([left, left, none, [-2, -1, -1, -3]].flat());
    expect(asked([[15, 14, 1]])).toEqual([[-2, -1, -1, -3], [-2, -1, -1, -3], none, right].flat());
  });

  it('keeps every part where several are clicked, and all of it where no part is', () => {
    const whole = [row, row, none, row].flat();
    expect(
      asked([
        [1, 2, 1],
        [13, 5, 1],
        [1, 14, 1],
        [15, 15, 1],
      ]),
    ).toEqual(whole);
    expect(asked([[6, 2, 1]])).toEqual(whole); // on background
    expect(asked([[1, 2, 0]])).toEqual(whole); // a negative click
    expect(asked([[0, 0, -1]])).toEqual(whole); // padding
    expect(asked([[40, 2, 1]])).toEqual(whole); // outside of the canvas
    expect(asked(null)).toEqual(whole);
  });

  it('gives probabilities to a network that takes those', () => {
    const [first, , , last] = asked([[1, 2, 1]], 'probabilities');
    expect(first).toBeCloseTo(1 / (1 + Math.exp(-2)), 6);
    expect(last).toBeCloseTo(1 / (1 + Math.exp(3)), 6);
  });
});

describe('decodeGivenBack', () => {
  const sam = createSam({ ...SMALL, textDim: 0 }, Generator.seeded(3));
  afterAll(() => sam.dispose());
  const { imageSize } = sam.config;

  it('is decode without a round, and decode with its own mask with one', () => {
    const before = memory().tensors;
    tidy(() => {
      const image = sam.embed(randn([1, 3, imageSize, imageSize], { generator: Generator.seeded(4) }));
      const prompts = { points: points([[[20, 30, 1]], [[50, 9, 1]]]) };
      const values = (masks: Tensor): number[] => Array.from(masks.toFloat32Array());
      const plain = pickBest(sam.decode(image, prompts, { multimask: true }));
      expect(values(decodeGivenBack(sam, image, prompts, 0).masks)).toEqual(values(plain.masks));
      const masks = maskPromptOf(plain.masks, prompts, sam.config);
      const again = pickBest(sam.decode(image, { ...prompts, masks }, { multimask: true }));
      expect(values(again.masks)).not.toEqual(values(plain.masks));
      expect(values(decodeGivenBack(sam, image, prompts, 1).masks)).toEqual(values(again.masks));
    });
    expect(memory().tensors).toBe(before);
  });
});
