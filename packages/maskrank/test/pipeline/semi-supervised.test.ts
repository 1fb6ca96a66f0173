// The baselines that learn from unlabelled cases too, by their commands on small phantoms: trained, measured, begun anew, and
// refused where there is nothing to learn from.

import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setThreads } from '@maskrank/torch';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { paint } from '../../src/pipeline/baselines/method.ts';
import { must, resultOf, runCli } from '../cli/harness.ts';

const dir = mkdtempSync(join(tmpdir(), 'maskrank-semi-supervised-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const [data, config] = [join(dir, 'data'), join(dir, 'config.json')];
const settings = {
  threads: 1,
  data: { imageSize: 32 },
  baselines: {
    unet: { steps: 4, batchSize: 2, validateEverySteps: 2, logEverySteps: 1 },
    selfTraining: { minConfidence: 0.5 },
    fixmatch: { threshold: 0.5 },
  },
  evaluation: { bootstrapSamples: 100, permutations: 100, alsoPrompts: [] },
};

const sha = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');
const linesOf = (run: string) =>
  readFileSync(join(run, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

beforeAll(async () => {
  setThreads(1);
  writeFileSync(config, JSON.stringify(settings));
  await must('dataset', 'phantom', 'breast', '--cases', '20', '--size', '64', '--seed', '3', '--out', data);
  const shares = ['--labelled', '0.3', '--test', '0.2', '--validation', '0.2', '--seed', '3'];
  await must('dataset', 'split', data, ...shares);
  await must('dataset', 'split', data, ...shares, '--unlabelled', '0', '--file', 'labels-alone.json');
}, 240_000);

const METHODS = [
  ['self-training', 'Self-training', '--baselines.self-training.min-confidence'],
  ['mean-teacher', 'Mean teacher', '--baselines.mean-teacher.decay'],
  ['fixmatch', 'FixMatch', '--baselines.fixmatch.threshold'],
] as const;
const run = join(dir, 'run');
const shaOf = (name: string): string => sha(join(run, 'checkpoints', `baseline-${name}.safetensors`));

describe.each(METHODS)('%s', (name, title, flag) => {
  it('is trained on both kinds of cases, measured, and not trained twice', async () => {
    const result = await resultOf('baseline', name, data, '--run', run, '--config', config);
    expect(result).toMatchObject({ steps: 4, relation: 'overlapping', resumed: false });
    expect(result.evaluation.stages).toContainEqual({
      key: `baseline-${name}`,
      title,
      checkpoint: shaOf(name),
    });
    const own = linesOf(run).filter(({ stage }) => stage === `baseline ${name}`);
    expect(own.map(({ step }) => step)).toEqual([1, 2, 3, 4]);
    expect(own.every(({ losses }) => 'unlabelled' in losses)).toBe(name !== 'self-training');
    expect(own.every((line) => 'sureShare' in line)).toBe(name === 'fixmatch');
    expect(await resultOf('baseline', name, '--run', run)).toMatchObject({ steps: 0, resumed: true });
  }, 240_000);

  it('says what is missing where all cases are labelled', async () => {
    const argv = ['baseline', name, data, '--run', join(dir, `${name}-alone`), '--config', config];
    const { code, stderr } = await runCli([...argv, '--data.splits', 'labels-alone.json']);
    expect(code).toBe(3);
    expect(stderr).toContain(`baseline ${name} learns from unlabelled cases too`);
    expect(stderr).toContain('maskrank baseline unet');
  }, 240_000);

  it('refuses other values than it was begun with', async () => {
    const { code, stderr } = await runCli(['baseline', name, '--run', run, flag, '0.9']);
    expect(code).toBe(2);
    expect(stderr).toContain('now 0.9');
  }, 240_000);
});

describe('in one run', () => {
  it('each has weights of its own', () => {
    expect(new Set(METHODS.map(([name]) => shaOf(name))).size).toBe(METHODS.length);
  });

  it('both phases of self-training begin anew, to the same bytes', async () => {
    const before = shaOf('self-training');
    const again = await resultOf('baseline', 'self-training', '--run', run, '--restart');
    expect(again).toMatchObject({ steps: 4, resumed: false });
    expect(shaOf('self-training')).toBe(before);
    const teacher = linesOf(run).filter(({ stage }) => stage === 'baseline self-training teacher');
    expect(teacher.map(({ step }) => step)).toEqual([1, 2, 3, 4]);
  }, 240_000);
});

describe('what a network is sure of', () => {
  const side = 2;
  const logit = (p: number) => Math.log(p / (1 - p));
  const said = async (probabilities: number[]) => {
    const { tensor } = await import('@maskrank/torch');
    const setting = { classIds: [4, 7], workspace: { canvas: { normalisation: NONE }, device: 'cpu' } };
    const predict = () => tensor(probabilities.map(logit)).view([1, 2, side, side]);
    const pixels = { width: side, height: side, channels: 1 as const, data: new Uint8Array(4) };
    const sample = { pixels, area: null, masks: new Map() };
    return paint({ predict } as never, { eval: () => {} } as never, sample, setting as never);
  };
  const NONE = { mean: [0, 0, 0], std: [1, 1, 1], order: 'rgb' };

  it('is the mean probability of what it painted; nothing painted is 0', async () => {
    const { masks, confidence } = await said([0.9, 0.7, 0.2, 0.1, 0.3, 0.1, 0.1, 0.8]);
    expect([...masks].map(([id, { data: mask }]) => [id, [...mask]])).toEqual([
      [4, [1, 1, 0, 0]],
      [7, [0, 0, 0, 1]],
    ]);
    expect(confidence).toBeCloseTo(0.8, 5);
    expect(await said(new Array(8).fill(0.4))).toEqual({ masks: new Map(), confidence: 0 });
  });
});
