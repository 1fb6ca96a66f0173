// What a masked pass costs, counted by hand: the bench's share of the rate of products rests on it.

import { describe, expect, it } from 'vitest';
import { passFlop } from '../../src/bench/gscorecam.ts';
import { CLIP_CONFIGS } from '../../src/models/clip/index.ts';

describe('a pass of ViT-B/16 at 224 px', () => {
  // 14 x 14 = 196 patches of 3 x 16 x 16 = 768 values, 197 tokens of 768 channels, 12 blocks, an MLP of 3072.
  const embedding = 196 * 768 * 768;
  const [queriesKeysValues, projection] = [197 * 768 * 2304, 197 * 768 * 768];
  const attention = 2 * 197 * 197 * 768; // queries by keys, and weights by values
  const mlp = 197 * (768 * 3072 + 3072 * 768);
  const block = queriesKeysValues + projection + attention + mlp;

  it('is 17.56 G multiplications and additions where all blocks are whole, as the literature has it', () => {
    expect((embedding + 12 * block) / 1e9).toBeCloseTo(17.56, 2);
  });

  it('is 32.70 GFLOP with a last block for the class token alone', () => {
    // Keys and values of all tokens; query, attention, projection and MLP of one.
    const keysValues = 197 * 768 * 1536;
    const one = 768 * 768 + 2 * 197 * 768 + 768 * 768 + 2 * 768 * 3072;
    const wanted = 2 * (embedding + 11 * block + keysValues + one);
    expect(wanted).toBe(32_695_394_304);
    expect(passFlop(CLIP_CONFIGS.biomedclip.vision)).toBe(wanted);
  });

  it('grows with the square of the tokens only in the attention', () => {
    const { vision } = CLIP_CONFIGS.biomedclip;
    const twice = passFlop({ ...vision, imageSize: 448 });
    // 785 tokens instead of 197: four times the rest, sixteen times the attention of eleven blocks.
    const [cells, tokens] = [784, 785];
    const whole = tokens * 12 * 768 * 768 + 2 * tokens * tokens * 768;
    const last = tokens * 2 * 768 * 768 + 10 * 768 * 768 + 2 * tokens * 768;
    expect(twice).toBe(2 * (cells * 768 * 768 + 11 * whole + last));
  });
});
