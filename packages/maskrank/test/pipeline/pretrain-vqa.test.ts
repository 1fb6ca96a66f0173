// `pretrain vqa` on phantoms: a file with its network and tokeniser, the same bytes after a kill, answers, and refusals.

import { createHash } from 'node:crypto';
import { EventEmitter } from 'node:events';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readSafetensors } from '@maskrank/torch/io';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openMedvintAnswers } from '../../src/prompting/text/answers/medvint.ts';
import { runCli } from '../cli/harness.ts';

const dir = mkdtempSync(join(tmpdir(), 'maskrank-vqa-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const data = join(dir, 'data');
const config = join(dir, 'config.json');
const file = (name: string) => join(dir, `${name}.safetensors`);
const sha = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');

const train = (out: string, ...more: string[]) =>
  runCli(['pretrain', 'vqa', data, '--out', out, '--config', config, '--threads', '1', ...more]);

beforeAll(async () => {
  const settings = {
    model: 'medvint-nano',
    masks: true,
    steps: 4,
    batchSize: 4,
    validateEverySteps: 4,
    checkpointEverySteps: 1,
    logEverySteps: 1,
    warmUpSteps: 1,
  };
  writeFileSync(config, JSON.stringify({ vqaPretraining: settings }));
  for (const argv of [
    ['dataset', 'phantom', 'breast', '--cases', '24', '--size', '64', '--seed', '3', '--out', data],
    ['dataset', 'split', data, '--seed', '1', '--empty-cases', 'keep'],
  ])
    expect((await runCli(argv)).code).toBe(0);
});

describe('pretrain vqa', () => {
  it('writes a network that answers with its own tokeniser, and does nothing the second time', async () => {
    const { code, stdout, stderr } = await train(file('a'));
    expect(stderr).not.toMatch(/^error/m);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^4 steps on \d+ images with \d+ questions\nwrote .*a\.safetensors\n/);
    expect(stdout).toMatch(/phantoms-breast +all +\d+ +\d+\.\d %/);
    expect(stdout).toMatch(/next: maskrank prompt .* --text\.medvint\.weights .*a\.safetensors/);
    const lines = readFileSync(`${file('a')}.metrics.jsonl`, 'utf8')
      .trim()
      .split('\n');
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      ...[1, 2, 3].map((step) => ({ step })),
      { step: 4, exactAnswers: { all: expect.any(Number) } },
    ]);
    const provider = await openMedvintAnswers({ weights: file('a'), maxNewTokens: 3 });
    const image = join(data, 'images', readdirSync(join(data, 'images'))[0] as string);
    const asked = { caseId: 'a', classId: 1, imagePath: image, text: 'Where is the lesion?' };
    const { source } = await provider.answer(asked, new AbortController().signal);
    expect(source).toMatchObject({ model: 'medvint-nano' });
    provider.close?.();
    const before = sha(file('a'));
    expect((await train(file('a'))).stdout).toMatch(/was trained already/);
    expect(sha(file('a'))).toBe(before);
    const other = await train(file('a'), '--vqa-pretraining.batch-size', '2');
    expect([other.code, other.stderr]).toEqual([3, expect.stringMatching(/--restart/)]);
  });

  it('stopped and gone on with, gives the same bytes', async () => {
    const signals = new EventEmitter();
    // Ctrl-C as soon as a state of the training stands.
    const watch = setInterval(() => {
      if (existsSync(`${file('b')}.state.safetensors`)) signals.emit('SIGINT');
    }, 1);
    const stopped = await runCli(
      ['pretrain', 'vqa', data, '--out', file('b'), '--config', config, '--threads', '1'],
      { signals },
    ).finally(() => clearInterval(watch));
    expect(stopped.code).toBe(130);
    expect(existsSync(file('b'))).toBe(false);
    expect((await train(file('b'))).code).toBe(0);
    expect(sha(file('b'))).toBe(sha(file('a')));
  });

  it('goes on from weights with their vocabulary, and from no other network', async () => {
    const still = ['--steps', '1', '--vqa-pretraining.learning-rate', '1e-12', '--seed', '7'];
    const further = await train(file('further'), '--weights', file('a'), ...still);
    expect(further.stderr).not.toMatch(/^error/m);
    const [start, end] = await Promise.all(['a', 'further'].map((name) => readSafetensors(file(name))));
    expect(end?.metadata.tokenizer).toBe(start?.metadata.tokenizer);
    const name = 'llamacasual.model.embed_tokens.weight';
    expect([...end!.tensors.keys()]).toContain(name);
    expect(end?.tensors.get(name)).toEqual(start?.tensors.get(name));
    const other = ['--weights', file('a'), '--vqa-pretraining.model', 'medvint-tiny'];
    const { code, stderr } = await train(file('d'), ...other);
    expect([code, stderr]).toEqual([2, expect.stringMatching(/is no medvint-tiny/)]);
  });

  it('wants questions', async () => {
    const language = join(data, 'language.jsonl');
    renameSync(language, `${language}.away`);
    const { code, stderr } = await train(file('c'));
    renameSync(`${language}.away`, language);
    expect([code, stderr]).toEqual([
      3,
      expect.stringMatching(/language\.jsonl is not there.*dataset phantom/s),
    ]);
  });

  it('wants a file it can write', async () => {
    const { code, stderr } = await train(join(dir, 'vqa.pth'));
    expect([code, stderr]).toEqual([2, expect.stringMatching(/ends in \.safetensors/)]);
  });
});
