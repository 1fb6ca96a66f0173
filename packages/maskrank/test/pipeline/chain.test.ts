// The whole chain by its commands on phantoms at 64 px: every artefact, resumption, and the refusals a person meets.
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readRound, roundPath } from '../../src/alignment/proposals/round.ts';
import { openRatings } from '../../src/alignment/ratings.ts';
import { EvaluationSchema } from '../../src/evaluation/schema.ts';
import { readMetrics } from '../../src/run/metrics.ts';
import { runCli } from '../cli/harness.ts';

const dir = mkdtempSync(join(tmpdir(), 'maskrank-chain-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const data = join(dir, 'data');
const config = join(dir, 'config.json');

const settings = {
  threads: 1,
  data: { imageSize: 64 },
  prompts: { unlabelled: 'oracle-box', test: 'oracle-box', points: 1 },
  training: { steps: 6, batchSize: 2, checkpointEverySteps: 2, logEverySteps: 2, iterativeClicks: 1 },
  alignment: {
    steps: 6,
    batchSize: 4,
    refresh: { everySteps: 3 },
    checkpointEverySteps: 2,
    logEverySteps: 2,
    skip: { minRegionPx: 1, maxRegionFraction: 1 },
    alarms: { action: 'warn' },
  },
  evaluation: { bootstrapSamples: 100, permutations: 100, alsoPrompts: ['self'] },
};

const sha = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex');
const cli = async (...argv: string[]) => {
  const result = await runCli(argv);
  return result;
};
const must = async (...argv: string[]) => {
  const result = await cli(...argv);
  expect(result.code, result.stderr).toBe(0);
  return result;
};

beforeAll(async () => {
  writeFileSync(config, JSON.stringify(settings));
  await must('dataset', 'phantom', 'breast', '--cases', '40', '--size', '64', '--seed', '3', '--out', data);
  await must(
    'dataset',
    'split',
    data,
    '--labelled',
    '0.2',
    '--test',
    '0.2',
    '--validation',
    '0.1',
    '--seed',
    '3',
  );
}, 120_000);

describe('the chain by its commands', () => {
  const run = join(dir, 'run');

  it('fine-tunes, aligns with its controls, evaluates, reports', async () => {
    await must('finetune', data, '--run', run, '--config', config);
    await must('align', '--run', run);
    const evaluated = await must('evaluate', '--run', run, '--json');
    await must('report', '--run', run);
    expect(JSON.parse(evaluated.stdout)).toBeTypeOf('object');

    const evaluation = EvaluationSchema.parse(JSON.parse(readFileSync(join(run, 'evaluation.json'), 'utf8')));
    expect(evaluation.stages.map((s) => s.key)).toEqual([
      'stage1',
      'stage2',
      'continued',
      'best-only',
      'threshold',
      'ceiling',
      'stage1-self',
      'stage2-self',
    ]);
    expect(evaluation.prompts.oracle).toBe(true);
    expect(evaluation.controls.map((c) => c.kind)).toEqual(['rival', 'rival', 'rival', 'ceiling']);
    const metrics = readMetrics(join(run, 'metrics.jsonl'));
    expect(metrics.filter((m) => m.stage === 'stage1').map((m) => m.step)).toEqual([2, 4, 6]);
    expect(metrics.filter((m) => m.stage === 'stage2').map((m) => m.step)).toEqual([2, 4, 6]);
    const rounds = readdirSync(join(run, 'proposals')).filter((name) => name.startsWith('round'));
    expect(rounds).toEqual(['round-000.safetensors', 'round-001.safetensors']);
    const html = readFileSync(join(run, 'report.html'), 'utf8');
    expect(html).toContain('oracle');
    expect(html).toContain('Best of four'); // what the candidates of each round offered
    expect(html.match(/data:image\/png/g)?.length).toBeGreaterThan(20);
  }, 240_000);

  it('does nothing twice', async () => {
    const before = sha(join(run, 'checkpoints', 'stage2.safetensors'));
    const again = await must('align', '--run', run);
    expect(again.stdout).toContain('stage2.safetensors');
    expect(sha(join(run, 'checkpoints', 'stage2.safetensors'))).toBe(before);
  }, 60_000);

  it('refuses other values for a stage that was begun', async () => {
    const result = await cli('finetune', '--run', run, '--training.batch-size', '3');
    expect(result.code).toBe(2);
    expect(result.stderr).toContain('training.batchSize was 2, now 3');
  });

  it('predicts new images, with and without a box', async () => {
    const image = join(data, 'images', readdirSync(join(data, 'images'))[0] as string);
    const out = join(dir, 'masks');
    const own = await must('predict', '--run', run, image, '--out', out, '--overlay', '--json');
    const { predictions } = JSON.parse(own.stdout).result;
    expect(predictions).toHaveLength(1);
    expect(existsSync(predictions[0].mask)).toBe(true);
    expect(readdirSync(out).some((name) => name.endsWith('.overlay.png'))).toBe(true);
    const boxed = await must(
      'predict',
      '--run',
      run,
      image,
      '--out',
      join(dir, 'boxed'),
      '--box',
      '10,10,50,50',
      '--json',
    );
    expect(JSON.parse(boxed.stdout).result.predictions[0].prompt).toBe('file');
    expect((await cli('predict', '--run', run, image, '--out', out, '--box', '5,5,1,1')).code).toBe(2);
    expect((await cli('predict', '--run', run, join(dir, 'nothing.png'), '--out', out)).code).toBe(3);
  }, 60_000);
});

describe('with a person who ranks', () => {
  it('stops for answers, takes them, goes on to the next round', async () => {
    const run = join(dir, 'person');
    await must('finetune', data, '--run', run, '--config', config);
    await must('propose', '--run', run);
    const waiting = await cli('align', '--run', run, '--annotator', 'recorded');
    expect(waiting.code).toBe(3);
    expect(waiting.stderr).toContain('are not judged yet');
    for (const round of [0, 1]) {
      const proposals = (await readRound(roundPath(join(run, 'proposals'), round), null))?.proposals ?? [];
      expect(proposals.length).toBeGreaterThan(0);
      const store = openRatings(join(run, 'ratings.jsonl'));
      for (const { caseId, classId, hash } of proposals) {
        store.append({
          case: caseId,
          class: classId,
          round,
          proposals: hash,
          order: [0, 1, 2, 3],
          annotator: 'a person',
          elapsedMs: 900,
          at: new Date().toISOString(),
        });
      }
      store.close();
      const next = await cli('align', '--run', run, '--annotator', 'recorded');
      expect(next.code, next.stderr).toBe(round === 0 ? 3 : 0);
    }
    expect(existsSync(join(run, 'checkpoints', 'stage2.safetensors'))).toBe(true);
    // Of the controls, the one that reads no hidden mask.
    expect(
      readdirSync(join(run, 'checkpoints')).filter((name) => /^control-[a-z-]+\.safetensors$/.test(name)),
    ).toEqual(['control-continued.safetensors']);
  }, 240_000);
});

describe('bad input', () => {
  it.each([
    [['finetune', join(dir, 'no-such-folder'), '--run', join(dir, 'x1')], 3, 'no-such-folder'],
    [['finetune', '--run', join(dir, 'x2')], 3, 'no dataset is recorded'],
    [['align', '--run', join(dir, 'x3')], 3, 'is not a run'],
    [['finetune', data, '--run', join(dir, 'x4'), '--model', 'sam-med3d'], 2, 'sam-med2d-tiny'],
    [['finetune', data, '--run', join(dir, 'x5'), '--weights', join(dir, 'config.json')], 3, 'config.json'],
    [['finetune', data, '--run', join(dir, 'x6'), '--training.batchsize', '3'], 2, 'batch-size'],
  ])('%j', async (argv, code, words) => {
    const result = await cli(...argv);
    expect(result.code, result.stderr).toBe(code);
    expect(result.stderr).toContain(words);
  });
});

describe('with the best candidate alone', () => {
  it('writes down nothing but the best, and learns it as a mask', async () => {
    const best = join(dir, 'best');
    const ranked = join(dir, 'ranked');
    await must('finetune', data, '--run', best, '--config', config);
    cpSync(best, ranked, { recursive: true });
    await must('align', '--run', best, '--scoring', 'best', '--no-controls');
    await must('align', '--run', ranked, '--no-controls');
    const answers = openRatings(join(best, 'ratings.jsonl')).entries();
    expect(answers.length).toBeGreaterThan(0);
    for (const { best: winner, order, grades } of answers) {
      expect(winner).toBeTypeOf('number');
      expect([order, grades]).toEqual([undefined, undefined]);
    }
    const losses = (run: string) =>
      readMetrics(join(run, 'metrics.jsonl'))
        .filter(({ stage }) => stage === 'stage2')
        .map((line) => Object.keys(line.losses ?? {}));
    for (const names of losses(best)) expect(names).toEqual(expect.arrayContaining(['focal', 'dice']));
    for (const names of losses(best)) expect(names).not.toContain('preference');
    for (const names of losses(ranked)) expect(names).toContain('preference');
    const weights = (run: string) => sha(join(run, 'checkpoints', 'stage2.safetensors'));
    expect(weights(best)).not.toBe(weights(ranked));
  }, 120_000);
});
