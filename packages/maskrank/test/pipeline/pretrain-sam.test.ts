// `pretrain sam` on small phantoms: a file that stage 1 starts from and prediction takes, the same bytes after a kill, refusals.

import { createHash } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../cli/harness.ts';

const dir = mkdtempSync(join(tmpdir(), 'maskrank-sam-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const data = join(dir, 'data');
const other = join(dir, 'other');
const config = join(dir, 'config.json');
const file = (name: string) => join(dir, `${name}.safetensors`);
const sha = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');

const train = (out: string, ...more: string[]) =>
  runCli(['pretrain', 'sam', data, other, '--out', out, '--config', config, '--threads', '1', ...more]);

beforeAll(async () => {
  const samPretraining = {
    steps: 3,
    batchSize: 2,
    masksPerImage: 2,
    clickShare: 0.5,
    warmUpSteps: 1,
    validationCases: 1,
    validateEverySteps: 2,
    checkpointEverySteps: 1,
    logEverySteps: 1,
  };
  writeFileSync(config, JSON.stringify({ samPretraining }));
  for (const [family, out] of [
    ['mixed', data],
    ['breast', other],
  ] as const)
    for (const argv of [
      ['dataset', 'phantom', family, '--cases', '12', '--size', '64', '--seed', '3', '--out', out],
      ['dataset', 'split', out, '--seed', '1', '--empty-cases', 'keep'],
    ])
      expect((await runCli(argv)).code).toBe(0);
});

describe('pretrain sam', () => {
  it('writes half-precision weights with validation, and does nothing the second time', async () => {
    const { code, stdout, stderr } = await train(file('a'));
    expect(stderr).not.toMatch(/^error/m);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^3 steps on \d+ images; 2\.5 M parameters\nwrote .*a\.safetensors\n/);
    expect(stdout).toMatch(/phantoms-mixed +\d+ +0\.\d{3}/);
    const lines = readFileSync(`${file('a')}.metrics.jsonl`, 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.map(({ step }) => step)).toEqual([1, 2, 3]);
    expect(lines.map(({ validationDice }) => typeof validationDice)).toEqual([
      'undefined',
      'number',
      'number',
    ]);
    expect(readFileSync(file('a')).length).toBeLessThan(6e6);
    const before = sha(file('a'));
    expect((await train(file('a'))).stdout).toMatch(/was trained already/);
    expect(sha(file('a'))).toBe(before);
    const otherwise = await train(file('a'), '--batch-size', '1');
    expect([otherwise.code, otherwise.stderr]).toEqual([3, expect.stringMatching(/--restart/)]);
  });

  it('gives weights that stage 1 starts from and prediction takes', async () => {
    const run = join(dir, 'run');
    const finetuned = await runCli([
      ...['finetune', data, '--run', run, '--weights', file('a'), '--threads', '1'],
      ...['--training.steps', '1', '--training.batch-size', '1'],
    ]);
    expect([finetuned.code, finetuned.stderr]).toEqual([0, expect.not.stringMatching(/drawn anew|not used/)]);
    const image = join(data, 'images', readdirSync(join(data, 'images'))[0] as string);
    const out = join(dir, 'masks');
    const argv = ['predict', image, '--checkpoint', file('a'), '--out', out, '--box', '8,8,40,40'];
    expect((await runCli(argv)).code).toBe(0);
    expect(readdirSync(out)).toHaveLength(1);
  });

  it('stopped and gone on with, gives the same bytes', async () => {
    const signals = new EventEmitter();
    // Ctrl-C as soon as a state of the training stands.
    const watch = setInterval(() => {
      if (existsSync(`${file('b')}.state.safetensors`)) signals.emit('SIGINT');
    }, 1);
    const argv = ['pretrain', 'sam', data, other, '--out', file('b'), '--config', config, '--threads', '1'];
    const stopped = await runCli(argv, { signals }).finally(() => clearInterval(watch));
    expect(stopped.code).toBe(130);
    expect(existsSync(file('b'))).toBe(false);
    expect((await train(file('b'))).code).toBe(0);
    expect(sha(file('b'))).toBe(sha(file('a')));
  });

  it('wants a file it can write', async () => {
    const { code, stderr } = await train(join(dir, 'sam.pth'));
    expect([code, stderr]).toEqual([2, expect.stringMatching(/ends in \.safetensors/)]);
  });

  it('takes names as prompts from a small CLIP, on top of weights without', async () => {
    const clip = file('clip');
    const tiny = ['--clip-pretraining.steps', '1', '--clip-pretraining.batch-size', '2'];
    expect(
      (await runCli(['pretrain', 'clip', data, '--out', clip, '--tags', 'modality', ...tiny])).code,
    ).toBe(0);
    const named = await train(file('named'), '--weights', file('a'), '--text-from', clip, '--steps', '1');
    expect([named.code, named.stderr]).toEqual([0, expect.not.stringMatching(/^error/m)]);
    expect(readFileSync(file('named')).includes('prompt_encoder.text_proj.weight')).toBe(true);
  });
});
