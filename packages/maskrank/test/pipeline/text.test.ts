// Boxes, points and texts of a prompts.jsonl through the whole chain by its commands, with features written by hand: stage 1 with
// moving prompts, stage 2, evaluation, prediction; and the refusals when something of it is missing.

import { EventEmitter } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, extname, join } from 'node:path';
import { bytesOf, readSafetensors, type TensorArray } from '@maskrank/torch/io';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EvaluationSchema } from '../../src/evaluation/schema.ts';
import {
  openPromptStore,
  type PromptLine,
  promptKey,
  readPrompts,
} from '../../src/prompting/prompt-store.ts';
import { writeTextFeatures } from '../../src/prompting/text/features.ts';
import { allTexts, wholeText } from '../../src/prompting/text/parts.ts';
import { readMetrics } from '../../src/run/metrics.ts';
import { must, runCli } from '../cli/harness.ts';
import { unitVector } from './text-fixture.ts';

const dir = mkdtempSync(join(tmpdir(), 'maskrank-text-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const data = join(dir, 'data');
const config = join(dir, 'config.json');
const made = join(dir, 'prompts.jsonl');
const features = join(dir, 'text-features.safetensors');
const DIM = 128; // as sam-med2d-tiny takes

const settings = {
  threads: 1,
  data: { imageSize: 64 },
  prompts: { labelled: 'saliency', unlabelled: 'saliency', test: 'saliency', points: 2 },
  training: { steps: 2, batchSize: 2, learningRate: 1e-3 },
  alignment: {
    steps: 2,
    batchSize: 4,
    anchor: { labels: 0.1 },
    proposals: { generator: 'thresholds', thresholds: [0.3, 0.45, 0.55, 0.7] },
    skip: { minRegionPx: 1, maxRegionFraction: 1 },
    alarms: { action: 'warn' },
  },
  evaluation: { bootstrapSamples: 100, permutations: 100 },
};
const ALL = 'box,point,vqa,knowledge';

const refused = async (...argv: string[]) => {
  const result = await runCli(argv);
  expect(result.code, result.stdout).toBeGreaterThan(1);
  return result.stderr;
};

const caseIds: string[] = [];
const lineOf = (id: string, i: number): PromptLine => ({
  case: id,
  class: 1,
  boxes: [{ x0: 12 + (i % 5), y0: 14, x1: 44, y1: 46 - (i % 3) }],
  points: [
    { x: 25, y: 28 + (i % 4), label: 1 },
    { x: 30, y: 31, label: 1 },
  ],
  text: { answer: `A mass of form ${i % 4}.`, knowledge: 'Masses of the breast are darker than fat.' },
  provenance: { source: 'saliency', identity: 'i0' },
});
const encode = (path: string, lines: readonly PromptLine[], model = 'network a', dim = DIM) =>
  writeTextFeatures(
    path,
    { model, encoding: 'e0' },
    lines
      .flatMap(({ text }) => allTexts(text ?? {}).map(wholeText))
      .map((text) => [text, unitVector(text, dim)]),
  );
/** A run that `maskrank prompt` was in: the files it leaves. */
async function prompted(name: string, change: (line: PromptLine) => PromptLine = (line) => line) {
  const run = join(dir, name);
  const lines = caseIds.map(lineOf).map(change);
  writeFileSync(made, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  // The run's folder comes from a command; without features yet, so that the command does no training.
  const missing = await refused('finetune', data, '--run', run, '--config', config, '--prompts', ALL);
  expect(missing).toMatch(/prompts.jsonl: is not there.*maskrank prompt/);
  writeFileSync(join(run, 'prompts.jsonl'), readFileSync(made));
  await encode(join(run, 'cache', 'text-features.safetensors'), lines);
  return {
    run,
    finetune: (...more: string[]) => ['finetune', data, '--run', run, '--config', config, ...more],
  };
}
const weightsOf = async (run: string, stage: string) =>
  (await readSafetensors(join(run, 'checkpoints', `${stage}.safetensors`))).tensors;
/** Bit for bit; toEqual takes half a minute for the weights of a network. */
const isSame = (a: TensorArray, b: TensorArray | undefined): boolean =>
  b !== undefined && Buffer.compare(bytesOf(a), bytesOf(b)) === 0;
const valuesOf = async (run: string, stage: string, name: string): Promise<number[]> =>
  Array.from((await weightsOf(run, stage)).get(name)?.data as Float32Array);

beforeAll(async () => {
  writeFileSync(config, JSON.stringify(settings));
  const sample = [
    'dataset',
    'phantom',
    'breast',
    '--cases',
    '24',
    '--size',
    '64',
    '--seed',
    '3',
    '--out',
    data,
  ];
  await must(...sample);
  const shares = ['--labelled', '0.2', '--test', '0.2', '--validation', '0.1', '--seed', '3'];
  await must('dataset', 'split', data, ...shares);
  const { cases } = JSON.parse(readFileSync(join(data, 'dataset.json'), 'utf8'));
  caseIds.push(...cases.map(({ id }: { id: string }) => id));
  await encode(features, caseIds.map(lineOf));
}, 120_000);

describe('prompts of maskrank prompt with texts', () => {
  const run = join(dir, 'whole');
  const images = (): string[] =>
    readdirSync(join(data, 'images'))
      .slice(0, 3)
      .map((n) => join(data, 'images', n));

  it('fine-tunes the branch for text, aligns the decoder alone, evaluates', async () => {
    const at = await prompted('whole');
    await must(...at.finetune('--prompts', ALL));
    const projection = await valuesOf(run, 'stage1', 'prompt_encoder.text_proj.weight');
    expect(projection.some((v) => v !== 0)).toBe(true); // zero at first
    await must(...['align', '--run', run, '--controls', 'continued', '--generator', 'diverse']);
    const [before, after] = [await weightsOf(run, 'stage1'), await weightsOf(run, 'stage2')];
    const moved = [...before].filter(([name, { data: values }]) => !isSame(values, after.get(name)?.data));
    expect(moved.length).toBeGreaterThan(0);
    for (const [name] of moved) expect(name).toMatch(/^mask_decoder\./);
    const evaluated = await must('evaluate', '--run', run);
    expect(evaluated.stderr).not.toContain('is now given');
    const evaluation = EvaluationSchema.parse(JSON.parse(readFileSync(join(run, 'evaluation.json'), 'utf8')));
    expect(evaluation.stages.map((s) => s.key)).toEqual([
      ...['stage1', 'stage2', 'continued', 'stage1-self', 'stage2-self'],
      ...['stage1-no-prompt', 'stage2-no-prompt'],
    ]);
    expect(evaluation.prompts.oracle).toBe(false);
    expect(evaluation.prompts.use).toEqual(ALL.split(','));
    expect(Object.keys(evaluation.prompts.sources).sort()).toEqual(['none', 'saliency', 'self']);
    // Measuring the model by itself has not cost the prompts that were made for it.
    expect(readFileSync(join(run, 'prompts.jsonl'))).toEqual(readFileSync(made));
  }, 240_000);

  it('predicts with texts from a file; a line without one is counted', async () => {
    const files = images();
    const names = files.map((file) => basename(file, extname(file)));
    const [first, second] = names;
    const lines = names.map((id, i) => ({ ...lineOf(id, i), provenance: { source: 'file' } as const }));
    const { text: _, ...bare } = lines[2]!;
    const file = join(dir, 'mine.jsonl');
    writeFileSync(file, [lines[0], lines[1], bare].map((line) => `${JSON.stringify(line)}\n`).join(''));
    const out = (name: string) => ['--out', join(dir, name), '--prompts-file', file];
    const given = ['predict', '--run', run, ...files];
    const told = await must(...given, ...out('told'), '--text-features', features, '--json');
    expect(told.stderr).toMatch(/1 of 3 masks were made without a text/);
    const { predictions } = JSON.parse(told.stdout).result;
    expect(predictions.map(({ text }: { text: boolean }) => text)).toEqual([true, true, false]);
    expect(await refused(...given, ...out('x'))).toMatch(/has a text.*--text-features/);
    const geometry = await must(...given, ...out('geometry'), '--prompts', 'box,point', '--json');
    expect(geometry.stderr).toMatch(/now given box,point/);
    expect(await refused(...given, ...out('x'), '--prompts', 'point', '--box', '1,1,9,9')).toMatch(/add box/);
    const fromCheckpoint = [
      'predict',
      '--checkpoint',
      join(run, 'checkpoints', 'stage2.safetensors'),
      ...files,
    ];
    const same = await must(...fromCheckpoint, ...out('same'), '--text-features', features, '--json');
    for (const name of [first, second]) {
      const mask = (folder: string) =>
        readFileSync(
          join(dir, folder, readdirSync(join(dir, folder)).find((n) => n.startsWith(`${name}_`))!),
        );
      expect(mask('same')).toEqual(mask('told'));
    }
    expect(JSON.parse(same.stdout).result.predictions).toHaveLength(3);
    const foreign = join(dir, 'foreign.safetensors');
    await encode(foreign, lines, 'network b');
    expect(await refused(...given, ...out('x'), '--text-features', foreign)).toMatch(/network network a/);
    const box = [...given, '--out', join(dir, 'boxed'), '--box', '5,5,60,60'];
    expect((await must(...box)).stderr).toMatch(/3 of 3 masks were made without a text/);
  }, 120_000);

  it('refuses to go on when prompts were made anew', async () => {
    const store = openPromptStore(join(run, 'prompts.jsonl'));
    for (const line of [...store.entries()])
      store.append({ ...line, boxes: [{ x0: 1, y0: 1, x1: 60, y1: 60 }] });
    store.close();
    expect(await refused('align', '--run', run)).toMatch(/prompts was [0-9a-f]+, now [0-9a-f]+/);
  }, 60_000);

  it('says so when it is measured with other prompts than in training', async () => {
    const other = ['--prompts', 'box,vqa', '--evaluation.also-prompts', 'none'];
    const { stderr } = await must('evaluate', '--run', run, ...other);
    expect(stderr).toMatch(/trained with prompts box,point,vqa,knowledge and is now given box,vqa/);
  }, 120_000);
});

describe('stopped and resumed', () => {
  it('gives the same weights', async () => {
    const often = ['--prompts', ALL, '--training.steps', '3', '--training.checkpoint-every-steps', '1'];
    const whole = await prompted('resume-whole');
    await must(...whole.finetune(...often));
    const parts = await prompted('resume-parts');
    const signals = new EventEmitter();
    const stopped = runCli(parts.finetune(...often), { signals });
    const state = join(parts.run, 'checkpoints', 'stage1.state.safetensors');
    const timer = setInterval(() => {
      if (!existsSync(state)) return;
      clearInterval(timer);
      signals.emit('SIGINT');
    }, 2);
    expect((await stopped).code).toBe(130);
    await must(...parts.finetune(...often));
    const [a, b] = [await weightsOf(whole.run, 'stage1'), await weightsOf(parts.run, 'stage1')];
    for (const [name, { data: values }] of a) expect(isSame(values, b.get(name)?.data), name).toBe(true);
  }, 240_000);
});

describe('every choice of text works from one maskrank prompt', () => {
  it.each(['vqa', 'box,knowledge', 'point,vqa,knowledge'])(
    '%s',
    async (use) => {
      const { finetune, run } = await prompted(`use-${use}`);
      await must(...finetune('--prompts', use, '--training.steps', '1'));
      await must('align', '--run', run, '--no-controls', '--alignment.steps', '1');
    },
    120_000,
  );

  it('answer and knowledge as two tokens, validated with the same prompts', async () => {
    const { finetune, run } = await prompted('two');
    const stopping = ['--training.early-stopping.patience-epochs', '2', '--training.batch-size', '8'];
    await must(...finetune('--prompts', ALL, '--prompts.text-tokens', '2', ...stopping));
    const validated = readMetrics(join(run, 'metrics.jsonl')).flatMap((line) => line.validationDice ?? []);
    expect(validated.length).toBeGreaterThan(0);
  }, 120_000);

  it('with features of another length, when the model is made for them', async () => {
    const { finetune, run } = await prompted('short');
    const path = join(run, 'cache', 'text-features.safetensors');
    rmSync(path);
    await encode(path, caseIds.map(lineOf), 'network c', 16);
    expect(await refused(...finetune('--prompts', 'vqa'))).toMatch(
      /features of 16 values.*--model.text-dim 16/,
    );
    await must(...finetune('--prompts', 'vqa', '--model.text-dim', '16', '--training.steps', '1'));
    await must('align', '--run', run, '--no-controls', '--alignment.steps', '1');
  }, 120_000);

  it('is trained by every scope of stage 1', async () => {
    for (const scope of ['all', 'adapters', 'decoder']) {
      const { finetune, run } = await prompted(`scope-${scope}`);
      await must(...finetune('--prompts', 'vqa', '--training.trainable', scope, '--training.steps', '1'));
      const projection = await valuesOf(run, 'stage1', 'prompt_encoder.text_proj.weight');
      expect(
        projection.some((v) => v !== 0),
        scope,
      ).toBe(true);
    }
  }, 120_000);
});

describe('what is missing', () => {
  it('some texts: counted; all of them: refused', async () => {
    const some = await prompted('some', (line) =>
      caseIds.indexOf(line.case) % 2 === 0 ? { ...line, text: { knowledge: line.text!.knowledge! } } : line,
    );
    const warned = await must(...some.finetune('--prompts', 'box,vqa', '--training.steps', '1'));
    expect(warned.stderr).toMatch(/\d of \d cases and classes have no text \(vqa\)/);
    const none = await prompted('none', (line) => ({ ...line, text: { knowledge: 'Known.' } }));
    expect(await refused(...none.finetune('--prompts', 'box,vqa'))).toMatch(
      /not one of \d+.*maskrank prompt/,
    );
  }, 120_000);

  it('a feature, a line', async () => {
    const { finetune, run } = await prompted('missing');
    const id = [...readPrompts(join(run, 'prompts.jsonl')).values()].map((line) => line.case);
    const store = openPromptStore(join(run, 'prompts.jsonl'));
    for (const one of id) {
      const line = store.get(promptKey({ case: one, class: 1 })) as PromptLine;
      store.append({ ...line, text: { answer: 'Never encoded.' } });
    }
    store.close();
    expect(await refused(...finetune('--prompts', 'vqa'))).toMatch(/case \S+, class 1: .*Never encoded/);
    writeFileSync(join(run, 'prompts.jsonl'), '');
    expect(await refused(...finetune('--prompts', 'vqa'))).toMatch(/no line with its text.*maskrank prompt/);
    expect(await refused(...finetune('--prompts', 'box'))).toMatch(
      /no prompt from saliency.*maskrank prompt/,
    );
  }, 120_000);
});

it('lines of a file that were drawn from hidden masks stay marked', async () => {
  const { finetune, run } = await prompted('oracle', (line) => ({
    ...line,
    provenance: { source: 'oracle-box' },
  }));
  const file = ['--prompts', 'box', '--prompts.labelled', 'file', '--prompts.unlabelled', 'file'];
  await must(...finetune(...file, '--prompts.test', 'file', '--training.steps', '1'));
  const aligned = await must('align', '--run', run, '--no-controls', '--alignment.steps', '1');
  expect(aligned.stderr).toMatch(/drawn from their hidden masks \(oracle\)/);
  const { stderr } = await must('evaluate', '--run', run, '--evaluation.also-prompts', 'none');
  expect(stderr).toMatch(/\(oracle\)/);
  const evaluation = EvaluationSchema.parse(JSON.parse(readFileSync(join(run, 'evaluation.json'), 'utf8')));
  expect(evaluation.prompts.oracle).toBe(true);
  expect(Object.keys(evaluation.prompts.sources)).toEqual(['oracle-box']);
}, 120_000);
