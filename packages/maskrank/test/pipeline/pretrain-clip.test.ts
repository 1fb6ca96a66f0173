// `pretrain clip` on phantoms: a file with its network and vocabulary, the same bytes after a kill, and refusals.

import { createHash } from 'node:crypto';
import { EventEmitter } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { embedTexts, loadClip, loadClipTokenizer } from '../../src/models/clip/index.ts';
import { runCli } from '../cli/harness.ts';

const dir = mkdtempSync(join(tmpdir(), 'maskrank-clip-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const data = join(dir, 'data');
const config = join(dir, 'config.json');
const file = (name: string) => join(dir, `${name}.safetensors`);
const sha = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');

const train = (out: string, ...more: string[]) =>
  runCli(['pretrain', 'clip', data, '--out', out, '--config', config, '--threads', '1', ...more]);

beforeAll(async () => {
  const settings = { steps: 4, batchSize: 4, checkpointEverySteps: 1, logEverySteps: 1, warmUpSteps: 1 };
  writeFileSync(config, JSON.stringify({ clipPretraining: settings }));
  for (const argv of [
    ['dataset', 'phantom', 'breast', '--cases', '30', '--size', '64', '--seed', '3', '--out', data],
    ['dataset', 'split', data, '--seed', '1', '--empty-cases', 'keep', '--replace'],
  ])
    expect((await runCli(argv)).code).toBe(0);
});

describe('pretrain clip', () => {
  it('writes a network that loads with its vocabulary, and does nothing the second time', async () => {
    const { code, stdout, stderr } = await train(file('a'));
    expect(stderr).not.toMatch(/^error/m);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^4 steps on \d+ images, \d+ word pieces\nwrote .*a\.safetensors\n/);
    expect(stdout).toMatch(/next: maskrank prompt .* --clip\.weights .*a\.safetensors/);
    using model = await loadClip(file('a'));
    expect(model.config.name).toBe('biomedclip-nano');
    const tokenizer = await loadClipTokenizer(file('a'));
    expect(embedTexts(model, tokenizer, ['lesion'])[0]?.droppedPieces).toBe(0);
    expect(
      readFileSync(`${file('a')}.metrics.jsonl`, 'utf8')
        .trim()
        .split('\n'),
    ).toHaveLength(4);
    const before = sha(file('a'));
    expect((await train(file('a'))).stdout).toMatch(/was trained already/);
    expect(sha(file('a'))).toBe(before);
    const other = await train(file('a'), '--clip-pretraining.batch-size', '2');
    expect([other.code, other.stderr]).toEqual([3, expect.stringMatching(/--restart/)]);
  });

  it('stopped and gone on with, gives the same bytes', async () => {
    const signals = new EventEmitter();
    // Ctrl-C as soon as a state of the training stands.
    const watch = setInterval(() => {
      if (existsSync(`${file('b')}.state.safetensors`)) signals.emit('SIGINT');
    }, 1);
    const stopped = await runCli(
      ['pretrain', 'clip', data, '--out', file('b'), '--config', config, '--threads', '1'],
      { signals },
    ).finally(() => clearInterval(watch));
    expect(stopped.code).toBe(130);
    expect(existsSync(file('b'))).toBe(false);
    expect((await train(file('b'))).code).toBe(0);
    expect(sha(file('b'))).toBe(sha(file('a')));
  });

  it('wants a file it can write', async () => {
    const { code, stderr } = await train(join(dir, 'clip.pth'));
    expect([code, stderr]).toEqual([2, expect.stringMatching(/ends in \.safetensors/)]);
  });
});
