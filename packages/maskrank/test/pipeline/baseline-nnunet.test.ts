// `maskrank baseline nnunet` by its command on small phantoms: planned, trained, measured, resumed, anew; two classes; volumes.

import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EvaluationSchema } from '../../src/evaluation/schema.ts';
import { must, resultOf, runCli } from '../cli/harness.ts';
import { writeBalls } from './volume-fixture.ts';

const dir = mkdtempSync(join(tmpdir(), 'maskrank-baseline-nnunet-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const config = join(dir, 'config.json');
const nnunet = {
  width: 2,
  longestSide: 40,
  batchSize: 2,
  epochs: 2,
  iterationsPerEpoch: 2,
  mirroring: false,
  validateEveryEpochs: 1,
};
const settings = {
  threads: 1,
  data: { imageSize: 32 },
  baselines: { nnunet: { ...nnunet, logEverySteps: 1 } },
  evaluation: { bootstrapSamples: 100, permutations: 100, alsoPrompts: [] },
};

const sha = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');
const json = (path: string) => JSON.parse(readFileSync(path, 'utf8'));

async function phantoms(family: string, cases: number, ...flags: string[]): Promise<string> {
  const data = join(dir, family);
  const size = ['--cases', String(cases), '--size', '64', '--seed', '3', ...flags];
  await must('dataset', 'phantom', family, ...size, '--out', data);
  const shares = ['--labelled', '0.4', '--test', '0.2', '--validation', '0.2', '--seed', '3'];
  await must('dataset', 'split', data, ...shares);
  return data;
}

let data = '';
beforeAll(async () => {
  writeFileSync(config, JSON.stringify(settings));
  data = await phantoms('breast', 16);
}, 240_000);

describe('an nnU-Net', () => {
  const run = join(dir, 'run');
  const checkpoint = join(run, 'checkpoints', 'baseline-nnunet.safetensors');

  it('plans, is trained and measured at the size of the pictures', async () => {
    const result = await resultOf('baseline', 'nnunet', data, '--run', run, '--config', config);
    expect(result).toMatchObject({
      steps: 4,
      bestStep: 4,
      relation: 'overlapping',
      resumed: false,
      checkpoint,
    });
    const { plan, configuration, configHash, relation } = json(
      join(run, 'checkpoints', 'baseline-nnunet.plan.json'),
    );
    expect(configHash).toHaveLength(64);
    expect(relation).toBe('exclusive'); // one class and the background
    expect(configuration).toMatchObject({
      batchSize: 2,
      batchDice: true,
      network: { inChannels: 1, outChannels: 2 },
    });
    expect(Math.max(...plan['2d'].medianShape)).toBe(40);
    const { stages, cases, prompts } = EvaluationSchema.parse(json(join(run, 'evaluation.json')));
    expect(stages).toEqual([
      { key: 'baseline-nnunet', title: 'nnU-Net from scratch', checkpoint: sha(checkpoint) },
    ]);
    expect(prompts.sources).toEqual({ none: cases.length });
    const lines = readFileSync(join(run, 'metrics.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.map(({ step }) => step)).toEqual([1, 2, 3, 4]);
    expect(lines.filter(({ validationDice }) => validationDice !== undefined)).toHaveLength(2);
  }, 240_000);

  it('is not trained twice; anew it gives the same bytes, and `evaluate` the same numbers', async () => {
    const before = sha(checkpoint);
    const first = json(join(run, 'evaluation.json'));
    expect(await resultOf('baseline', 'nnunet', '--run', run)).toMatchObject({ steps: 0, resumed: true });
    expect(await resultOf('baseline', 'nnunet', '--run', run, '--restart')).toMatchObject({ steps: 4 });
    expect(sha(checkpoint)).toBe(before);
    await must('evaluate', '--run', run);
    expect(json(join(run, 'evaluation.json'))).toEqual(first);
  }, 240_000);

  it('refuses a checkpoint of another network', async () => {
    const { code, stderr } = await runCli([
      'baseline',
      'nnunet',
      '--run',
      run,
      '--baselines.nnunet.width',
      '4',
    ]);
    expect(code).toBe(2);
    expect(stderr).toContain('baselines.nnunet.width was 2, now 4');
  }, 240_000);
});

describe('several classes', () => {
  it.each([
    ['abdomen', 'liver,aorta', 3],
    ['chest', 'lung,opacity', 2], // opacities lie in lungs
  ])(
    '%s',
    async (family, classes, outputs) => {
      const folder = await phantoms(family, 10, '--classes', classes);
      const run = join(dir, `run-${family}`);
      await must('baseline', 'nnunet', folder, '--run', run, '--config', config, '--epochs', '1');
      const { configuration, plan, foreground } = json(join(run, 'checkpoints', 'baseline-nnunet.plan.json'));
      expect(configuration.network.outChannels).toBe(outputs);
      expect(plan.normalisation[0].scheme).toBe(family === 'abdomen' ? 'ct' : 'z-score');
      expect(foreground).toHaveLength(family === 'abdomen' ? 1 : 0);
      const { cases } = EvaluationSchema.parse(json(join(run, 'evaluation.json')));
      expect(new Set(cases.map((record) => record.class)).size).toBe(2);
    },
    240_000,
  );
});

describe('volumes', () => {
  it('as a whole', async () => {
    const [source, folder, run] = ['source', 'volumes', 'run-volumes'].map((name) => join(dir, name)) as [
      string,
      string,
      string,
    ];
    await writeBalls(source, 5);
    const kind = ['--classes', '1=ball', '--window', '-160,240'];
    await must('dataset', 'import', 'volumes', source, '--out', folder, ...kind);
    await must('dataset', 'split', folder, '--labelled', '0.5', '--test', '0.4', '--seed', '3');
    const begin = ['baseline', 'nnunet', folder, '--run', run, '--config', config, '--epochs', '1'];
    await must(...begin, '--baselines.nnunet.dimension', '3d');
    const { configuration, dimension, fingerprint } = json(
      join(run, 'checkpoints', 'baseline-nnunet.plan.json'),
    );
    expect(dimension).toBe(3);
    expect(fingerprint.spacings[0]).toEqual([4, 0.8, 0.8].map((mm) => expect.closeTo(mm, 5)));
    expect(configuration.network).toMatchObject({ dimension: 3, outChannels: 2 });
    expect(configuration.patch).toHaveLength(3);
    const { cases } = EvaluationSchema.parse(json(join(run, 'evaluation.json')));
    const { test } = json(join(folder, 'splits.json'));
    expect(cases.map((record) => record.case).sort()).toEqual([...test].sort());
  }, 240_000);

  it('are refused where there are none', async () => {
    const begin = ['baseline', 'nnunet', data, '--run', join(dir, 'run-none'), '--config', config];
    const { code, stderr } = await runCli([...begin, '--baselines.nnunet.dimension', '3d']);
    expect(code).toBe(3);
    expect(stderr).toContain('no slices of volumes');
  }, 240_000);
});
