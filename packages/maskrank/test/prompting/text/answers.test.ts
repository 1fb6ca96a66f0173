import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { memory } from '@maskrank/torch';
import { DataError } from '@maskrank/torch/errors';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readImage, writeImagePng } from '../../../src/formats/raster.ts';
import { answer as askMedvint, saveMedvint } from '../../../src/models/medvint/index.ts';
import { ANSWER_INSTRUCTION, endpointAnswers } from '../../../src/prompting/text/answers/endpoint.ts';
import { imageUrl } from '../../../src/prompting/text/answers/image-url.ts';
import { medvintAnswers, openMedvintAnswers } from '../../../src/prompting/text/answers/medvint.ts';
import { recordedAnswers } from '../../../src/prompting/text/answers/recorded.ts';
import { recordAnswers } from '../../../src/prompting/text/answers/recording.ts';
import type { Answer, AnswerProvider, Question } from '../../../src/prompting/text/types.ts';
import { UnansweredError } from '../../../src/prompting/text/unanswered.ts';
import { Random } from '../../../src/util/random.ts';
import { MODEL_BYTES, TINY, tinyMedvint, tinyTokenizer } from '../../models/medvint/support.ts';
import { json, says, serve } from './server.ts';

const dir = mkdtempSync(join(tmpdir(), 'maskrank-answers-'));
const path = (name: string) => join(dir, name);
const never = new AbortController().signal;

beforeAll(async () => {
  for (const seed of [1, 2]) {
    const random = new Random(seed);
    const data = Uint8Array.from({ length: 60 * 40 }, () => random.int(0, 256));
    await writeImagePng(path(`${seed}.png`), { width: 60, height: 40, channels: 1, data });
  }
});
afterAll(() => rmSync(dir, { recursive: true }));

const question = (seed = 1, text = 'Where is it?'): Question => ({
  caseId: `case-${seed}`,
  classId: 1,
  className: 'liver',
  imagePath: path(`${seed}.png`),
  text,
});

/** A provider that counts and answers with the question's words. */
function parrot(identity = 'parrot-1', declines = ''): AnswerProvider & { asked: string[]; closed: boolean } {
  const asked: string[] = [];
  return {
    name: 'parrot',
    identity,
    asked,
    closed: false,
    answer: async ({ caseId, text }): Promise<Answer> => {
      asked.push(caseId);
      if (caseId === declines) throw new UnansweredError('no', 'refused: no');
      return { text: `${text} says ${caseId}`, source: { provider: 'parrot', n: asked.length } };
    },
    close() {
      this.closed = true;
    },
  };
}

describe('the image that is sent', () => {
  const pixels = async (url: string) =>
    sharp(Buffer.from(url.split(',')[1] as string, 'base64'))
      .raw()
      .toBuffer({ resolveWithObject: true });

  it('has the pixels of the file, or fewer, and nothing else of it', async () => {
    const tagged = path('tagged.png');
    await sharp(path('1.png'))
      .withExif({ IFD0: { ImageDescription: 'Jane Doe 1970' } })
      .png()
      .toFile(tagged);
    expect(readFileSync(tagged).includes('Jane Doe')).toBe(true);
    const { url, widthPx, heightPx } = await imageUrl(tagged);
    expect([widthPx, heightPx]).toEqual([60, 40]);
    expect(url).toMatch(/^data:image\/png;base64,/);
    expect(Buffer.from(url.split(',')[1] as string, 'base64').includes('Jane Doe')).toBe(false);
    expect((await pixels(url)).data.equals(Buffer.from((await readImage(tagged)).data))).toBe(true);
    const small = await imageUrl(tagged, { maxSidePx: 30, format: 'jpeg' });
    expect(small.url).toMatch(/^data:image\/jpeg;base64,/);
    expect((await pixels(small.url)).info).toMatchObject({ width: 30, height: 20 });
    await expect(imageUrl(tagged, { maxBytes: 10 })).rejects.toThrow(
      'allowed: 10. Send it smaller or as jpeg',
    );
    const thin = path('thin.png');
    await writeImagePng(thin, { width: 300, height: 1, channels: 1, data: new Uint8Array(300) });
    expect(await imageUrl(thin, { maxSidePx: 10 })).toMatchObject({ widthPx: 10, heightPx: 1 });
  });
});

describe('answers from an endpoint', () => {
  it('are asked with question, image and instruction alone, and say where they come from', async () => {
    const server = await serve(says('Oval.'));
    const options = { baseUrl: server.baseUrl, model: 'm', environment: { MASKRANK_API_KEY: 'key-key-key' } };
    const provider = endpointAnswers(options);
    const found = await provider.answer(question(), never);
    expect(found.text).toBe('Oval.');
    expect(found.source).toMatchObject({
      provider: 'endpoint',
      endpoint: server.baseUrl,
      leavesMachine: false,
      model: 'm',
      servedModel: 'small-vision',
      prompt: ANSWER_INSTRUCTION,
      image: '60 x 40 px png',
    });
    expect(JSON.stringify([found, provider])).not.toContain('key-key-key');
    const sent = JSON.stringify(server.received[0]?.body);
    expect(sent).not.toContain('case-1');
    expect(sent).not.toContain('.png"');
    expect(server.received[0]?.body.messages).toEqual([
      { role: 'system', content: ANSWER_INSTRUCTION },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'Where is it?' },
          { type: 'image_url', image_url: { url: (await imageUrl(path('1.png'))).url } },
        ],
      },
    ]);
    await server.close();
  });

  it('have an identity that follows whatever changes them, and not the key', () => {
    const base = { baseUrl: 'http://localhost:1/v1', model: 'm', environment: {} };
    const identity = (more: object) => endpointAnswers({ ...base, ...more }).identity;
    const same = [
      {},
      { environment: { MASKRANK_API_KEY: 'key-key-key' } },
      { baseUrl: 'http://localhost:1/v1/' },
      { limits: { retries: 1 } },
    ];
    expect(new Set(same.map(identity)).size).toBe(1);
    const others = [
      {},
      { model: 'n' },
      { temperature: 1 },
      { maxTokens: 9 },
      { instruction: 'x' },
      { image: { maxSidePx: 9 } },
      { baseUrl: 'http://localhost:2/v1' },
    ];
    expect(new Set(others.map(identity)).size).toBe(others.length);
  });
});

describe('recording', () => {
  it('asks nothing twice, within a run and after a stop', async () => {
    const file = path('kept.jsonl');
    const inner = parrot();
    const first = recordAnswers(inner, file);
    const [a, b] = [await first.answer(question(1), never), await first.answer(question(1), never)];
    expect(a).toEqual(b);
    first.close();
    expect(inner.closed).toBe(true);
    appendFileSync(file, '{"case":"case-2","class":1,"ans'); // killed while writing
    const again = parrot();
    const second = recordAnswers(again, file);
    expect(second.identity).toBe(again.identity);
    expect(await second.answer(question(1), never)).toEqual(a);
    expect((await second.answer(question(2), never)).text).toBe('Where is it? says case-2');
    expect(again.asked).toEqual(['case-2']);
    expect(second.counts).toEqual({ asked: 1, reused: 1 });
    second.close();
  });

  it('asks anew for another question, image, class or provider', async () => {
    const file = path('anew.jsonl');
    const inner = parrot();
    const first = recordAnswers(inner, file);
    await first.answer(question(1), never);
    await first.answer(question(1, 'What?'), never);
    await first.answer({ ...question(1), classId: 2 }, never);
    await first.answer({ ...question(1), imagePath: path('2.png') }, never);
    first.close();
    expect(inner.asked).toHaveLength(4);
    const other = parrot('parrot-2');
    const second = recordAnswers(other, file);
    await second.answer(question(1), never);
    expect(other.asked).toHaveLength(1);
    second.close();
  });

  it('keeps what was declined, and nothing of what failed', async () => {
    const file = path('declined.jsonl');
    const inner = parrot('p', 'case-1');
    const first = recordAnswers(inner, file);
    for (let i = 0; i < 2; i++)
      await expect(first.answer(question(1), never)).rejects.toThrow(UnansweredError);
    expect(inner.asked).toHaveLength(1);
    first.close();
    const broken: AnswerProvider = {
      ...inner,
      identity: 'q',
      answer: () => Promise.reject(new DataError('broken')),
    };
    const second = recordAnswers(broken, file);
    await expect(second.answer(question(2), never)).rejects.toThrow('broken');
    second.close();
    expect(readFileSync(file, 'utf8').trim().split('\n')).toHaveLength(1);
    await expect(recordedAnswers(file).answer(question(1), never)).rejects.toThrow('recorded as unanswered');
  });

  it('never writes the key that a server repeats', async () => {
    const key = 'sk-geheim-0123456789';
    const server = await serve(
      says(`Your key is ${key}`),
      says(null, {}, { refusal: `no, ${key}` }),
      json(key, 400),
    );
    const file = path('secret.jsonl');
    const options = { baseUrl: server.baseUrl, model: 'm', environment: { MASKRANK_API_KEY: key } };
    const provider = recordAnswers(endpointAnswers(options), file);
    expect((await provider.answer(question(1), never)).text).toBe('Your key is [key]');
    await expect(provider.answer(question(2), never)).rejects.not.toThrow('geheim');
    await expect(provider.answer(question(2, 'Else?'), never)).rejects.not.toThrow('geheim');
    provider.close();
    await server.close();
    const kept = readFileSync(file, 'utf8');
    expect(kept).toContain('[key]');
    expect(kept).not.toContain('geheim');
  });
});

describe('recorded answers', () => {
  it('give back a recording, with its sources, without the provider', async () => {
    const file = path('study.jsonl');
    const recording = recordAnswers(parrot(), file);
    const asked = [await recording.answer(question(1), never), await recording.answer(question(2), never)];
    recording.close();
    const provider = recordedAnswers(file);
    expect([await provider.answer(question(1), never), await provider.answer(question(2), never)]).toEqual(
      asked,
    );
    await expect(provider.answer(question(1, 'What?'), never)).rejects.toThrow(
      'no answer for case case-1, class 1 to "What?"',
    );
    await expect(provider.answer(question(1, 'What?'), never)).rejects.toThrow(UnansweredError);
    const swapped = { ...question(1), imagePath: path('2.png') };
    await expect(provider.answer(swapped, never)).rejects.toThrow('the answer is about another image');
  });

  it('may be written by hand', async () => {
    const file = path('hand.jsonl');
    writeFileSync(
      file,
      '{"case":"case-1","class":1,"answer":"Left."}\n{"case":"case-1","class":1,"question":"What?","answer":"A liver."}\n',
    );
    const provider = recordedAnswers(file);
    expect(await provider.answer(question(1), never)).toEqual({
      text: 'Left.',
      source: { provider: 'recorded' },
    });
    expect((await provider.answer(question(1, ' What? '), never)).text).toBe('A liver.');
    writeFileSync(file, '{"case":"case-1","class":1}\n');
    expect(() => recordedAnswers(file)).toThrow(
      'line 1 of the file of answers: needs either answer or unanswered',
    );
    expect(() => recordedAnswers(path('absent.jsonl'))).toThrow(DataError);
  });

  it('have an identity of their content, not of its order', () => {
    const [one, two] = ['{"case":"a","class":1,"answer":"x"}\n', '{"case":"b","class":1,"answer":"y"}\n'];
    const identities = [one + two, two + one, one].map((text, i) => {
      writeFileSync(path(`order-${i}.jsonl`), text);
      return recordedAnswers(path(`order-${i}.jsonl`)).identity;
    });
    expect(identities[0]).toBe(identities[1]);
    expect(identities[0]).not.toBe(identities[2]);
  });
});

describe('answers from MedVInT', () => {
  const network = tinyMedvint();
  const model = { network, tokenizer: tinyTokenizer() };
  afterAll(() => network.dispose());

  it('are the network’s own, the same each time', async () => {
    const provider = medvintAnswers(model, { maxNewTokens: 6 });
    const before = memory().tensors;
    const found = await provider.answer(question(1), never);
    const direct = await askMedvint(model, await readImage(path('1.png')), 'Where is it?', {
      maxNewTokens: 6,
    });
    expect(found.text).toBe(
      direct.text
        .replace(/\p{Cc}/gu, ' ')
        .trim()
        .replace(/\s+/gu, ' '),
    );
    expect(found.source).toMatchObject({
      provider: 'medvint',
      model: 'medvint-nano',
      prompt: direct.prompt,
      sampling: 'greedy',
    });
    expect(await provider.answer(question(1), never)).toEqual(found);
    expect(memory().tensors).toBe(before);
    provider.close?.();
    expect(memory().tensors).toBe(before);
  });

  it('drawn by a seed do not depend on the order of the questions', async () => {
    const sampling = { seed: 5, temperature: 2 };
    const texts = async (order: number[]) => {
      const provider = medvintAnswers(model, { maxNewTokens: 8, sampling });
      const all = await Promise.all(
        order.map(async (seed) => [seed, (await provider.answer(question(seed), never)).text]),
      );
      return Object.fromEntries(all);
    };
    const found = await texts([1, 2]);
    expect(await texts([2, 1])).toEqual(found);
    expect(found[1]).not.toBe(found[2]);
  });

  it('have an identity of the weights and of how words are chosen', () => {
    const other = tinyMedvint('float32', 4);
    const identities = [
      medvintAnswers(model),
      medvintAnswers(model, { maxNewTokens: 9 }),
      medvintAnswers(model, { sampling: { seed: 1 } }),
      medvintAnswers({ ...model, network: other }),
    ].map(({ identity }) => identity);
    other.dispose();
    expect(new Set(identities).size).toBe(4);
    expect(medvintAnswers(model).identity).toBe(identities[0]);
  });

  it('come from files that are hashed at once and loaded at the first question', async () => {
    const [weights, tokenizer] = [path('tiny.safetensors'), path('tokenizer.model')];
    await saveMedvint(network, weights);
    writeFileSync(tokenizer, MODEL_BYTES);
    const before = memory().tensors;
    const hashed: string[] = [];
    const options = {
      weights,
      tokenizer,
      config: TINY,
      storage: 'float32',
      maxNewTokens: 6,
      hashing: (file: string) => hashed.push(file),
    } as const;
    const provider = await openMedvintAnswers(options);
    expect(hashed).toEqual([weights, tokenizer]);
    expect(memory().tensors).toBe(before);
    const stopped = AbortSignal.abort(new Error('stopped'));
    await expect(provider.answer(question(1), stopped)).rejects.toThrow('stopped');
    expect(memory().tensors).toBe(before);
    const direct = await medvintAnswers(model, { maxNewTokens: 6 }).answer(question(1), never);
    expect((await provider.answer(question(1), never)).text).toBe(direct.text);
    expect(memory().tensors).toBeGreaterThan(before);
    provider.close?.();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(memory().tensors).toBe(before);
    expect((await openMedvintAnswers(options)).identity).toBe(provider.identity);
    expect((await openMedvintAnswers({ ...options, storage: 'float16' })).identity).not.toBe(
      provider.identity,
    );
    await expect(openMedvintAnswers({ ...options, weights: path('absent.bin') })).rejects.toThrow(DataError);
  });
});
