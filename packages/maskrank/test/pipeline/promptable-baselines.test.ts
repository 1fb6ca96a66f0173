// Baselines on a SAM by their commands, from the weights that come with maskrank, on small phantoms: what they learn, keep and are
// given, that a stop changes nothing, and the refusals a person meets.

import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readSafetensors } from '@maskrank/torch/io';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Evaluation, EvaluationSchema } from '../../src/evaluation/schema.ts';
import { baselineJob } from '../../src/pipeline/baselines/job.ts';
import type { AnyBaseline } from '../../src/pipeline/baselines/registry.ts';
import { sam, samMed2d } from '../../src/pipeline/baselines/sam.ts';
import { selfPrompt } from '../../src/pipeline/baselines/self-prompt.ts';
import { inRun } from '../../src/pipeline/in-run.ts';
import { must, resultOf, runCli } from '../cli/harness.ts';
import { makeData } from './prompt-fixture.ts';

const dir = mkdtempSync(join(tmpdir(), 'maskrank-promptable-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const config = join(dir, 'config.json');
const settings = {
  threads: 1,
  data: { imageSize: 64 },
  model: { weights: 'sam-med2d-tiny' },
  prompts: { unlabelled: 'oracle-box', test: 'oracle-box' },
  training: { steps: 4, batchSize: 2, logEverySteps: 2, checkpointEverySteps: 2 },
  evaluation: { bootstrapSamples: 100, permutations: 100, alsoPrompts: [] },
};

const evaluationOf = (run: string): Evaluation =>
  EvaluationSchema.parse(JSON.parse(readFileSync(join(run, 'evaluation.json'), 'utf8')));
const rowsOf = (run: string, key: string) => evaluationOf(run).cases.filter(({ stage }) => stage === key);
const sourcesOf = (run: string, key: string) => [
  ...new Set(rowsOf(run, key).map(({ prompt }) => prompt.source)),
];
const checkpointOf = (run: string, name: string) => join(run, 'checkpoints', `baseline-${name}.safetensors`);
const refused = async (argv: string[], words: RegExp, code = 2) => {
  const result = await runCli(argv);
  expect(result.stderr).toMatch(words);
  expect(result.code).toBe(code);
};

let data = '';
beforeAll(async () => {
  ({ data } = await makeData(dir, { cases: 16 }));
  writeFileSync(config, JSON.stringify(settings));
}, 120_000);

/** Trains in a run that is stopped after some steps, and again; and in one that is not. Both hold the same bytes. */
async function expectSameAfterStop(method: AnyBaseline, values: Record<string, string> = {}): Promise<void> {
  const train = async (
    name: string,
    signal?: AbortSignal,
    onProgress?: (label: string, done: number) => void,
  ) => {
    const run = join(dir, name);
    const flags = Object.fromEntries(
      Object.entries(settings).flatMap(([section, keys]) =>
        typeof keys === 'object'
          ? Object.entries(keys).map(([key, value]) => [`${section}.${key}`, String(value) || 'none'])
          : [[section, String(keys)]],
      ),
    );
    delete flags['evaluation.alsoPrompts'];
    await inRun(run, (job) => baselineJob(job, method, data), {
      values: { ...flags, ...values },
      warn: () => {},
      ...(signal && { signal }),
      ...(onProgress && { onProgress }),
    });
    return readFileSync(checkpointOf(run, method.name));
  };
  const whole = await train(`${method.name} whole`);
  const stop = new AbortController();
  const stopped = train(`${method.name} stopped`, stop.signal, (label, done) => {
    if (label.startsWith('train') && done === 3) stop.abort(new Error('stopped'));
  });
  await expect(stopped).rejects.toThrow('stopped');
  const resumed = await train(`${method.name} stopped`);
  expect(resumed.equals(whole)).toBe(true);
}

describe('SAM and SAM-Med2D', () => {
  const run = join(dir, 'run');
  beforeAll(async () => {
    await must('finetune', data, '--run', run, '--config', config);
    await must('evaluate', '--run', run);
  }, 120_000);

  it('stand beside stage 1 with the same prompts of the same cases', async () => {
    for (const name of ['sam', 'sam-med2d']) {
      const result = await resultOf('baseline', name, '--run', run);
      expect(result).toMatchObject({ steps: 4, relation: 'overlapping', resumed: false });
    }
    const { stages, cases } = evaluationOf(run);
    expect(stages.map(({ title }) => title)).toEqual(['stage 1', 'SAM with LoRA', 'SAM-Med2D with LoRA']);
    const of = (key: string) =>
      cases.filter(({ stage }) => stage === key).map(({ case: id, class: c, prompt }) => ({ id, c, prompt }));
    for (const key of ['baseline-sam', 'baseline-sam-med2d']) expect(of(key)).toEqual(of('stage1'));
    expect(sourcesOf(run, 'baseline-sam')).toEqual(['oracle-box']);
    const before = evaluationOf(run);
    await must('evaluate', '--run', run);
    expect(evaluationOf(run)).toEqual(before);
  }, 120_000);

  it('keep what was trained, and nothing else', async () => {
    const namesIn = async (name: string) => [
      ...(await readSafetensors(checkpointOf(run, name))).tensors.keys(),
    ];
    for (const name of ['sam', 'sam-med2d']) {
      const names = await namesIn(name);
      expect(
        names.every((key) => /^(prompt_encoder|mask_decoder)\.|\.attn\.lora\.[qv]\.[ab]$/.test(key)),
      ).toBe(true);
      expect(names.filter((key) => key.includes('.lora.'))).toHaveLength(8); // 2 blocks, q and v, A and B
      expect(statSync(checkpointOf(run, name)).size).toBeLessThan(
        statSync(join(run, 'checkpoints', 'stage1.safetensors')).size,
      );
    }
    const own = join(dir, 'adapters');
    await must(
      'baseline',
      'sam-med2d',
      data,
      '--run',
      own,
      '--config',
      config,
      '--baselines.sam-med2d.train-adapters',
      'true',
    );
    expect((await namesIn('sam-med2d')).some((key) => key.includes('.Adapter.'))).toBe(false);
    const { tensors } = await readSafetensors(checkpointOf(own, 'sam-med2d'));
    expect([...tensors.keys()].some((key) => key.includes('.Adapter.'))).toBe(true);
  }, 120_000);

  it('take prompts and steps of their own', async () => {
    const own = join(dir, 'own');
    const begin = ['baseline', 'sam-med2d', data, '--run', own, '--config', config, '--steps', '1'];
    const key = '--baselines.sam-med2d.prompts';
    expect(await resultOf(...begin, `${key}.test`, 'self', `${key}.use`, 'point')).toMatchObject({
      steps: 1,
    });
    expect(sourcesOf(own, 'baseline-sam-med2d')).toEqual(['self']);
    // Where prompts of measured cases come from is no matter of the weights.
    expect(await resultOf('baseline', 'sam-med2d', '--run', own, '--prompts.test', 'none')).toMatchObject({
      resumed: true,
    });
    await refused(
      ['baseline', 'sam-med2d', '--run', own, '--training.epochs', '3'],
      /training\.epochs was 15, now 3/,
    );
  }, 120_000);

  it('go on to the same weights after a stop', async () => {
    await expectSameAfterStop(sam);
    await expectSameAfterStop(samMed2d, { 'training.earlyStopping.patienceEpochs': '9' });
  }, 120_000);

  it('refuse what cannot be', async () => {
    const bare = join(dir, 'bare.json');
    writeFileSync(bare, JSON.stringify({ ...settings, model: {} }));
    const begin = ['baseline', 'sam', data, '--config', bare, '--run', join(dir, 'bare')];
    await refused(begin, /baselines\.sam starts from a trained SAM, but there are no weights/);
    await refused([...begin, '--weights', 'sam_vit_b'], /known but not on this machine/, 3);
    await refused([...begin, '--weights', 'sam_vit_x'], /no weights are named 'sam_vit_x'/);
    await refused([...begin, '--weights', 'biomedclip-tiny'], /which is no SAM or SAM-Med2D/);
    const stored = join(dir, 'stored');
    await refused(
      [
        'baseline',
        'sam',
        data,
        '--config',
        config,
        '--run',
        stored,
        '--baselines.sam.prompts.labelled',
        'saliency',
      ],
      /no prompt from saliency for case .* make them: maskrank prompt/,
      3,
    );
  }, 120_000);
});

describe('MedCLIP-SAM', () => {
  const run = join(dir, 'zero');
  const clip = ['--clip.weights', 'biomedclip-tiny', '--saliency.method', 'similarity'];

  it('trains nothing, reads no mask but to measure, and takes the boxes that maskrank prompt makes', async () => {
    const result = await resultOf('baseline', 'medclip-sam', data, '--run', run, '--config', config, ...clip);
    expect(result).toMatchObject({ steps: 0, cases: 0, resumed: false });
    expect((await readSafetensors(checkpointOf(run, 'medclip-sam'))).tensors.size).toBe(0);
    expect(sourcesOf(run, 'baseline-medclip-sam')).toEqual(['saliency']);
    expect(evaluationOf(run).prompts.oracle).toBe(false);
    const made = rowsOf(run, 'baseline-medclip-sam');
    await must('prompt', '--run', run);
    await must('evaluate', '--run', run);
    expect(rowsOf(run, 'baseline-medclip-sam')).toEqual(made);
  }, 120_000);

  it('refuses to guess', async () => {
    const own = ['--run', join(dir, 'no clip'), '--config', config];
    await refused(['baseline', 'medclip-sam', data, ...own], /clip\.weights is none/);
    await refused(
      ['baseline', 'medclip-sam', data, ...own, '--training.steps', '3'],
      /does not use training\.steps/,
    );
  }, 120_000);
});

describe('Self-prompt', () => {
  it('sees the image alone, and asks for every class, those that are not there among them', async () => {
    const chest = join(dir, 'chest');
    const kind = ['phantom', 'chest', '--cases', '12', '--size', '64', '--classes', 'lung,opacity'];
    await must('dataset', ...kind, '--seed', '3', '--out', chest);
    await must('dataset', 'split', chest, '--labelled', '0.4', '--test', '0.25', '--validation', '0.2');
    const run = join(dir, 'self');
    const begin = ['baseline', 'self-prompt', chest, '--run', run, '--config', config];
    const ways = [
      '--baselines.self-prompt.use',
      'box,point,mask',
      '--baselines.self-prompt.distillation',
      '1',
    ];
    const stopping = ['--training.early-stopping.patience-epochs', '5'];
    expect(await resultOf(...begin, ...ways, ...stopping)).toMatchObject({
      steps: 4,
      relation: 'overlapping',
      bestValidation: expect.any(Number),
    });
    const rows = rowsOf(run, 'baseline-self-prompt');
    const { test } = JSON.parse(readFileSync(join(chest, 'splits.json'), 'utf8')) as { test: string[] };
    expect(rows).toHaveLength(2 * test.length);
    expect(new Set(rows.map(({ prompt }) => prompt.source))).toEqual(new Set(['self']));
    expect(evaluationOf(run).prompts.oracle).toBe(false);
    const { tensors } = await readSafetensors(checkpointOf(run, 'self-prompt'));
    expect(tensors.get('prompt_encoder.text_proj.weight')!.shape).toEqual([128, 2]);
    expect([...tensors.keys()].every((key) => /^(prompt_encoder|mask_decoder)\.|\.lora\./.test(key))).toBe(
      true,
    );
    await must('evaluate', '--run', run);
    expect(rowsOf(run, 'baseline-self-prompt')).toEqual(rows);
    const lines = readFileSync(join(run, 'metrics.jsonl'), 'utf8').trim().split('\n');
    expect(JSON.parse(lines[0]!)).toMatchObject({
      stage: 'baseline self-prompt',
      losses: { first: expect.any(Number) },
    });
  }, 120_000);

  it('goes on to the same weights after a stop', async () => {
    await expectSameAfterStop(selfPrompt);
  }, 120_000);
});
