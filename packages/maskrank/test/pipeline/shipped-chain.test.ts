// The whole chain on the networks that come with maskrank, prompts with nobody in the loop: chest phantoms that they never saw, at
// half the resolution, in seconds. What the networks are worth is measured elsewhere; here they must be far above chance.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { DEMO_CONFIG } from '../../src/cli/demo-chain.ts';
import { EvaluationSchema } from '../../src/evaluation/schema.ts';
import { runCli } from '../cli/harness.ts';

const dir = mkdtempSync(join(tmpdir(), 'maskrank-shipped-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const [data, run, config] = ['data', 'run', 'config.json'].map((name) => join(dir, name)) as [
  string,
  string,
  string,
];

const must = async (...argv: string[]) => {
  const result = await runCli([...argv, '--json']);
  expect(result.code, result.stderr).toBe(0);
  return JSON.parse(result.stdout);
};

const settings = {
  ...DEMO_CONFIG,
  threads: 1,
  data: { imageSize: 128 },
  training: { ...DEMO_CONFIG.training, steps: 8, batchSize: 4, warmUpSteps: 2, learningRate: 1e-4 },
  alignment: { ...DEMO_CONFIG.alignment, steps: 4, batchSize: 4, refresh: { everySteps: 4 } },
  evaluation: { bootstrapSamples: 100, permutations: 100 },
};

describe('the chain on shipped networks', () => {
  it('prompts, fine-tunes, aligns, measures and reports', async () => {
    writeFileSync(config, JSON.stringify(settings));
    const phantoms = ['--cases', '30', '--size', '160', '--classes', 'lung', '--seed', '5'];
    await must('dataset', 'phantom', 'chest', ...phantoms, '--out', data);
    await must('dataset', 'split', data, '--labelled', '0.2', '--test', '0.3', '--validation', '0.1');

    const prompted = await must('prompt', data, '--run', run, '--config', config, '--quality');
    expect(prompted.result.randomWeights).toBe(false);
    for (const { split, prompts } of prompted.result.quality.rows) {
      expect(prompts.saliency.boxIou, split).toBeGreaterThan(0.6);
      expect(prompts['centre box'].boxIou, split).toBeLessThan(0.3);
    }

    await must('finetune', '--run', run);
    await must('align', '--run', run);
    await must('evaluate', '--run', run);
    await must('report', '--run', run);
    const { cases } = EvaluationSchema.parse(JSON.parse(readFileSync(join(run, 'evaluation.json'), 'utf8')));
    for (const key of ['stage1', 'stage2']) {
      const own = cases.filter(({ stage }) => stage === key);
      expect(own.length).toBe(9);
      expect(own.every(({ prompt }) => prompt.source === 'saliency' && !prompt.oracle)).toBe(true);
      expect(
        own.reduce((sum, { dice }) => sum + (dice ?? 0) / own.length, 0),
        key,
      ).toBeGreaterThan(0.7);
    }
    expect(readFileSync(join(run, 'report.html'), 'utf8')).toContain('saliency');
  }, 300_000);
});
