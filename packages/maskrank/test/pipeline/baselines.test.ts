// `maskrank baseline unet` by its command on small phantoms: by itself, beside stage 1, twice, anew, and the refusals a person meets.

import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commonStages, stageAcrossRuns } from '../../src/evaluation/across-runs.ts';
import { EvaluationSchema } from '../../src/evaluation/schema.ts';
import { probeImage } from '../../src/formats/raster.ts';
import { must, resultOf, runCli } from '../cli/harness.ts';

const dir = mkdtempSync(join(tmpdir(), 'maskrank-baselines-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const config = join(dir, 'config.json');
const settings = {
  threads: 1,
  data: { imageSize: 32 },
  prompts: { unlabelled: 'oracle-box', test: 'oracle-box' },
  training: { steps: 2, batchSize: 2 },
  baselines: { unet: { steps: 4, batchSize: 2, validateEverySteps: 2, logEverySteps: 2 } },
  evaluation: { bootstrapSamples: 100, permutations: 100, alsoPrompts: [] },
};

const sha = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');
const evaluationOf = (run: string) =>
  EvaluationSchema.parse(JSON.parse(readFileSync(join(run, 'evaluation.json'), 'utf8')));
const keysOf = (run: string) => evaluationOf(run).stages.map(({ key }) => key);

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
  data = await phantoms('breast', 24);
}, 240_000);

describe('a U-Net by itself', () => {
  const run = join(dir, 'unet');
  const checkpoint = join(run, 'checkpoints', 'baseline-unet.safetensors');

  it('is trained, measured and reported', async () => {
    const result = await resultOf('baseline', 'unet', data, '--run', run, '--config', config);
    expect(result).toMatchObject({ steps: 4, relation: 'overlapping', resumed: false, checkpoint });
    expect([2, 4]).toContain(result.bestStep);
    const { stages, cases, prompts, madeFrom, threshold } = evaluationOf(run);
    expect(stages).toEqual([
      { key: 'baseline-unet', title: 'U-Net from scratch', checkpoint: sha(checkpoint) },
    ]);
    expect(madeFrom['checkpoint baseline-unet']).toBe(sha(checkpoint));
    expect(prompts).toEqual({ oracle: false, sources: { none: cases.length }, use: [] });
    expect(threshold).toBe(0.5);
    const splits = JSON.parse(readFileSync(join(data, 'splits.json'), 'utf8'));
    expect(cases.map((record) => record.case).sort()).toEqual([...splits.test].sort());
    expect(readdirSync(join(run, 'predictions', 'baseline-unet', '1'))).toHaveLength(cases.length);
    const lines = readFileSync(join(run, 'metrics.jsonl'), 'utf8').trim().split('\n');
    expect(lines.map((line) => JSON.parse(line).step)).toEqual([2, 4]);
    await must('report', '--run', run);
    const page = readFileSync(join(run, 'report.html'), 'utf8');
    expect(page).toContain('U-Net from scratch');
    expect(page).toContain('Baselines only');
    expect(page).not.toContain('alignment has not been evaluated');
  }, 240_000);

  it('is not trained twice; anew it gives the same bytes, and `evaluate` the same numbers', async () => {
    const before = sha(checkpoint);
    const first = evaluationOf(run);
    expect(await resultOf('baseline', 'unet', '--run', run)).toMatchObject({ steps: 0, resumed: true });
    expect(evaluationOf(run)).toEqual(first);
    expect(await resultOf('baseline', 'unet', '--run', run, '--restart')).toMatchObject({ steps: 4 });
    expect(sha(checkpoint)).toBe(before);
    await must('evaluate', '--run', run);
    expect(evaluationOf(run)).toEqual(first);
  }, 240_000);

  it('refuses other values than it was begun with, augmentation among them', async () => {
    for (const [flag, value, words] of [
      ['--steps', '5', 'baselines.unet.steps was 4, now 5'],
      ['--training.augmentation.noise', '0.5', 'training.augmentation.noise was 0.03, now 0.5'],
      ['--data.max-labelled', '2', 'data.maxLabelled was none, now 2'],
    ] as const) {
      const { code, stderr } = await runCli(['baseline', 'unet', '--run', run, flag, value]);
      expect(code).toBe(2);
      expect(stderr).toContain(words);
    }
  }, 240_000);

  it('may have a canvas of its own; masks have the size of the images all the same', async () => {
    const own = join(dir, 'own canvas');
    const begin = ['baseline', 'unet', data, '--run', own, '--config', config];
    await must(...begin, '--baselines.unet.image-size', '48');
    const { stages } = JSON.parse(readFileSync(join(own, 'run.json'), 'utf8'));
    expect(stages['baseline unet'].madeFrom.canvas).toMatch(/^48 px/);
    expect(stages['baseline unet'].values).toMatchObject({
      'data.imageSize': 32,
      'baselines.unet.imageSize': 48,
    });
    const sizes = async (folder: string) => {
      const masks = join(folder, 'predictions', 'baseline-unet', '1');
      return Promise.all(
        readdirSync(masks).map(async (file) => {
          const { width, height } = await probeImage(join(masks, file));
          return { file, width, height };
        }),
      );
    };
    expect(await sizes(own)).toEqual(await sizes(run));
    expect((await sizes(own)).every(({ width }) => width === 64)).toBe(true);
    expect(sha(join(own, 'checkpoints', 'baseline-unet.safetensors'))).not.toBe(sha(checkpoint));
    const { code, stderr } = await runCli([...begin, '--baselines.unet.image-size', 'none']);
    expect(code).toBe(2);
    expect(stderr).toContain('baselines.unet.imageSize was 48, now none');
  }, 240_000);

  it('has no flags of stage 1 but its augmentation', async () => {
    const { code, stderr } = await runCli(['baseline', 'unet', '--run', run, '--training.steps', '5']);
    expect(code).toBe(2);
    expect(stderr).toContain('this verb does not use training.steps');
  });
});

describe('beside stage 1', () => {
  const run = join(dir, 'both');
  beforeAll(async () => {
    await must('finetune', data, '--run', run, '--config', config);
    await must('evaluate', '--run', run);
  }, 240_000);

  it('joins the rows that were measured, and is compared with them', async () => {
    const before = evaluationOf(run);
    expect(keysOf(run)).toEqual(['stage1']);
    const { stdout } = await must('baseline', 'unet', '--run', run);
    expect(stdout).toContain('stage 1');
    const after = evaluationOf(run);
    expect(keysOf(run)).toEqual(['stage1', 'baseline-unet']);
    expect(after.cases.filter(({ stage }) => stage === 'stage1')).toEqual(before.cases);
    expect(after.summary.stage1).toEqual(before.summary.stage1);
    expect(after.controls).toEqual([]);
    expect(after.prompts.oracle).toBe(true);
    const compared = after.comparisons.filter(({ metric, class: id }) => metric === 'dice' && id === 'all');
    expect(compared.map(({ baseline, stage }) => [baseline, stage])).toEqual([['stage1', 'baseline-unet']]);
    // The same network as in a run without stages: the same seed, labels and steps.
    const alone = evaluationOf(join(dir, 'unet'));
    expect(after.cases.filter(({ stage }) => stage === 'baseline-unet')).toEqual(alone.cases);
    expect(commonStages([alone, after]).map(({ key }) => key)).toEqual(['baseline-unet']);
    const { perRun } = stageAcrossRuns([alone, after], { key: 'baseline-unet', title: '' }, (r) => r.dice);
    expect(perRun[0]).toBe(perRun[1]);
    await must('evaluate', '--run', run);
    expect(evaluationOf(run)).toEqual(after);
    await must('report', '--run', run);
  }, 240_000);

  it('leaves out rows that were measured otherwise, and says so', async () => {
    const { stderr } = await must('baseline', 'unet', '--run', run, '--evaluation.threshold', '0.4');
    expect(stderr).toContain('its rows were measured with other settings');
    expect(keysOf(run)).toEqual(['baseline-unet']);
    await must('evaluate', '--run', run);
    expect(keysOf(run)).toEqual(['stage1', 'baseline-unet']);
    expect(evaluationOf(run).threshold).toBe(0.4);
  }, 240_000);
});

describe('several classes', () => {
  it.each([
    ['abdomen', 'exclusive', 'liver,aorta'],
    ['chest', 'overlapping', 'lung,opacity'], // opacities lie in lungs
  ])(
    '%s: %s',
    async (family, relation, classes) => {
      const folder = await phantoms(family, 12, '--classes', classes);
      const run = join(dir, `run-${family}`);
      const begin = ['baseline', 'unet', folder, '--config', config, '--steps', '2'];
      const result = await resultOf(...begin, '--run', run);
      expect(result.relation).toBe(relation);
      const { cases, dataset } = evaluationOf(run);
      const ids = dataset.classes.map(({ id }) => id);
      expect(ids).toHaveLength(2);
      expect(new Set(cases.map((record) => record.class))).toEqual(new Set(ids));
      for (const id of ids)
        expect(existsSync(join(run, 'predictions', 'baseline-unet', String(id)))).toBe(true);
      if (relation === 'overlapping') return;
      const set = await resultOf(...begin, '--run', `${run}-set`, '--baselines.classes', 'overlapping');
      expect(set.relation).toBe('overlapping');
    },
    240_000,
  );
});
