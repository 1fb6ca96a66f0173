import { memory } from '@maskrank/torch';
import { DataError, UsageError } from '@maskrank/torch/errors';
import { afterAll, describe, expect, it } from 'vitest';
import type { Image } from '../../../src/imaging/types.ts';
import { answer, imageTensor, questionPrompt } from '../../../src/models/medvint/index.ts';
import { Random } from '../../../src/util/random.ts';
import { TINY, tinyMedvint, tinyTokenizer } from './support.ts';

const network = tinyMedvint();
afterAll(() => network.dispose());
const model = { network, tokenizer: tinyTokenizer() };

function picture(seed: number, width = 50, height = 40, channels: 1 | 3 = 3): Image {
  const random = new Random(seed);
  const data = Uint8Array.from({ length: width * height * channels }, () => random.int(0, 256));
  return { width, height, channels, data };
}

describe('the words around a question', () => {
  it('are those of the training, without any separator', () => {
    expect(questionPrompt(' Where is the liver? ')).toBe('Question: Where is the liver?The Answer is:');
    expect(questionPrompt('Which?', ['left', ' right'])).toBe(
      'Question: Which?Choices: A:left B:rightThe Answer is:',
    );
  });

  it('need a question, and two choices or none', () => {
    expect(() => questionPrompt(' ')).toThrow(UsageError);
    expect(() => questionPrompt('x', ['a'])).toThrow('1 choices ("a"), allowed 2 to 26');
    expect(() => questionPrompt('x', ['a', ' '])).toThrow(UsageError);
  });
});

describe('the image', () => {
  it('is stretched to the square and normalised by ImageNet; grey fills three planes', () => {
    const side = TINY.vision.imageSize;
    const black = { width: 7, height: 3, channels: 1, data: new Uint8Array(21) } as const;
    const tensor = imageTensor(black, network);
    expect(tensor.shape).toEqual([1, 3, side, side]);
    const values = tensor.toFloat32Array();
    for (const [c, mean, sd] of [
      [0, 0.485, 0.229],
      [1, 0.456, 0.224],
      [2, 0.406, 0.225],
    ] as const)
      expect(values[c * side * side]).toBeCloseTo(-mean / sd, 5);
    tensor.dispose();
  });
});

describe('answers', () => {
  it('are the same each time, depend on the image and leave no tensors behind', async () => {
    const before = memory().tensors;
    const ask = (seed: number) => answer(model, picture(seed), 'What is the liver?', { maxNewTokens: 6 });
    const [a, b] = [await ask(1), await ask(1)];
    expect(a).toEqual(b);
    expect(a.ids.length).toBeLessThanOrEqual(6);
    expect(a.text).toBe(model.tokenizer.decode(a.ids).trim());
    expect(a.prompt).toBe('Question: What is the liver?The Answer is:');
    expect(memory().tensors).toBe(before);
    const drawn = (seed: number) =>
      answer(model, picture(1), 'What?', { maxNewTokens: 12, sampling: { random: new Random(seed) } });
    expect((await drawn(1)).ids).toEqual((await drawn(1)).ids);
    expect((await drawn(1)).ids).not.toEqual((await drawn(2)).ids);
  });

  it('stop at an id that ends them', async () => {
    const free = await answer(model, picture(1), 'What?', { maxNewTokens: 6 });
    const stopIds = [free.ids[2] as number];
    const stopping = { ...TINY, stopIds };
    const patched = Object.create(network, { config: { value: stopping } }) as typeof network;
    const short = await answer({ ...model, network: patched }, picture(1), 'What?', { maxNewTokens: 6 });
    expect(short.ended).toBe('stopped');
    expect(short.ids).toEqual(free.ids.slice(0, free.ids.indexOf(stopIds[0] as number)));
  });

  it('with choices are one of them, with probabilities', async () => {
    const choices = ['left lung', 'right lung', 'heart'];
    const { text, ended, choice, ids } = await answer(model, picture(1), 'What?', { choices });
    const { index, probabilities } = choice as NonNullable<typeof choice>;
    expect([ended, ids]).toEqual(['choice', []]);
    expect(text).toBe(choices[index]);
    expect(probabilities.length).toBe(3);
    expect(probabilities.reduce((sum, p) => sum + p, 0)).toBeCloseTo(1, 10);
    expect(probabilities[index]).toBe(Math.max(...probabilities));
    const many = { choices: ['a', 'b', 'c', 'd', 'e'] };
    await expect(answer(model, picture(1), 'What?', many)).rejects.toThrow(DataError);
    await expect(answer(model, picture(1), 'What?', many)).rejects.toThrow("no piece '▁E'");
  });

  it('can be called off', async () => {
    const signal = AbortSignal.abort();
    await expect(answer(model, picture(1), 'What?', { signal })).rejects.toThrow(/abort/i);
    const controller = new AbortController();
    const running = answer(model, picture(1), 'What?', { signal: controller.signal, maxNewTokens: 100 });
    controller.abort();
    await expect(running).rejects.toThrow(/abort/i);
  });
});
