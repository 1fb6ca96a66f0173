// The example of a method of one's own: it trains in a run beside a baseline that is there, resumes, and is measured like it.

import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { memory, setThreads } from '@maskrank/torch';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addToRun, piModel } from '../../../../examples/custom-baseline.ts';
import { runCli } from '../cli/harness.ts';

describe('a baseline in one file', () => {
  const dir = mkdtempSync(join(tmpdir(), 'maskrank-own-baseline-'));
  const [data, run] = [join(dir, 'data'), join(dir, 'run')];
  afterAll(() => rmSync(dir, { recursive: true }));
  const cli = async (...argv: string[]) => {
    const { code, stderr } = await runCli([...argv, '--threads', '1']);
    expect(code, stderr).toBe(0);
  };
  beforeAll(async () => {
    setThreads(1);
    await cli('dataset', 'phantom', 'breast', '--cases', '20', '--size', '64', '--out', data);
    await cli('dataset', 'split', data, '--labelled', '0.3', '--test', '0.2', '--validation', '0.1');
    const small = ['--data.image-size', '32', '--steps', '2', '--batch-size', '2'];
    await cli('baseline', 'unet', data, '--run', run, ...small);
  }, 240_000);

  it('has at most 60 lines', () => {
    const path = resolve(import.meta.dirname, '../../../../examples/custom-baseline.ts');
    expect(readFileSync(path, 'utf8').trimEnd().split('\n').length).toBeLessThanOrEqual(60);
  });

  it('learns from the unlabelled cases and stands beside the U-Net; a second call finds it done', async () => {
    const before = memory().tensors;
    const first = await addToRun(run, piModel);
    expect(first).toMatchObject({ steps: 2, resumed: false });
    expect(first.evaluation.stages.map(({ title }) => title)).toEqual(['U-Net from scratch', 'Π-model']);
    const [unet, own] = first.evaluation.stages;
    expect(own?.checkpoint).not.toBe(unet?.checkpoint);
    expect(existsSync(join(run, 'checkpoints', 'baseline-pi-model.state.safetensors'))).toBe(true);
    const again = await addToRun(run, piModel);
    expect(again).toMatchObject({ steps: 0, resumed: true });
    expect(again.evaluation).toEqual(first.evaluation);
    expect(memory().tensors).toBe(before);
  }, 240_000);
});
