// The verbs that need no model, end to end in-process. What they call is tested with the datasets and the report.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Evaluation, EvaluationSchema } from '../../src/evaluation/schema.ts';
import { MetricsLog } from '../../src/run/metrics.ts';
import { resolveConfig } from '../../src/run/resolve.ts';
import { RunFolder } from '../../src/run/run-folder.ts';
import { runCli } from './harness.ts';

const dir = mkdtempSync(join(tmpdir(), 'maskrank-verbs-'));
afterAll(() => rmSync(dir, { recursive: true }));
const phantoms = join(dir, 'phantoms');

beforeAll(async () => {
  const { code, stdout } = await runCli([
    'dataset',
    'phantom',
    'breast',
    '--cases',
    '8',
    '--size',
    '64',
    '--out',
    phantoms,
  ]);
  expect(stdout).toMatch(/8 cases of phantoms-breast\nnext: maskrank dataset split/);
  expect(code).toBe(0);
});

describe('dataset phantom', () => {
  it.each([
    [['dataset', 'phantom', 'breats', '--out', 'x'], 2, /no family "breats"\. Did you mean "breast"\?/],
    [
      ['dataset', 'phantom', 'breast', '--out', 'x', '--cases', '0'],
      2,
      /--cases: '0' is not allowed here: a whole number from 1/,
    ],
    [['dataset', 'phantom', 'breast'], 2, /missing --out DATASET/],
    [['dataset', 'phantom', 'breast', '--out', phantoms], 2, /is not empty/],
  ])('%j ends with %i', async (argv, exitCode, message) => {
    const { code, stderr } = await runCli(argv);
    expect(stderr).toMatch(message);
    expect(code).toBe(exitCode);
  });
});

describe('dataset split', () => {
  it('writes a division, repeats it, and never replaces another by accident', async () => {
    const split = (...argv: string[]) =>
      runCli(['dataset', 'split', phantoms, '--labelled', '0.25', '--test', '0.25', ...argv]);
    const first = await split();
    expect(first.stdout).toMatch(/^split +cases +groups +with lesion\nlabelled +\d/);
    expect(first.stdout).toMatch(/next: maskrank finetune .* --run runs\/phantoms-breast/);
    const file = join(phantoms, 'splits.json');
    const written = readFileSync(file, 'utf8');
    expect((await split()).code).toBe(0);
    const other = await split('--seed', '8');
    expect(other.code).toBe(2);
    expect(other.stderr).toMatch(
      /holds another division \(seed 7\).*--file NAME, or replace it with --replace/,
    );
    expect(readFileSync(file, 'utf8')).toBe(written);
    const beside = await split('--seed', '8', '--file', 'seed8.json', '--json');
    expect(beside.json()).toMatchObject({
      result: { seed: 8 },
      next: [expect.stringContaining('--data.splits seed8.json')],
    });
    expect((await split('--seed', '8', '--replace')).code).toBe(0);
    expect((await split('--replace')).code).toBe(0);
  });

  it.each([
    [['--test', '1.5'], 2, /--test: '1\.5' is no share, allowed: a number from 0 to 1/],
    [['--test', '0.9', '--validation', '0.5'], 2, /leaves nothing to train on/],
    [['--empty-cases', 'drop'], 2, /--empty-cases: 'drop' is not allowed here: keep, leave-out/],
    [['--stratify-by', 'pathologie'], 2, /Did you mean "pathology"\?/],
  ])('%j ends with %i', async (argv, exitCode, message) => {
    const { code, stderr } = await runCli(['dataset', 'split', phantoms, ...argv]);
    expect(stderr).toMatch(message);
    expect(code).toBe(exitCode);
  });

  it('of a folder that is no dataset is a data error', async () => {
    const { code, stderr } = await runCli(['dataset', 'split', join(dir, 'nothing')]);
    expect(stderr).toMatch(/is no dataset\. Import one first/);
    expect(code).toBe(3);
  });
});

describe('dataset verify', () => {
  it('passes a sound dataset and proposes the split', async () => {
    const { code, stdout } = await runCli(['dataset', 'verify', phantoms]);
    expect(stdout).toMatch(/phantoms-breast: 8 cases, \d+ files: 0 error\(s\)/);
    expect(code).toBe(0);
  });

  it('ends with 3 on errors and still gives the findings', async () => {
    const broken = join(dir, 'broken');
    await runCli(['dataset', 'phantom', 'chest', '--cases', '4', '--size', '64', '--out', broken]);
    writeFileSync(join(broken, 'images', 'chest_00001.png'), 'not an image');
    rmSync(join(broken, 'images', 'chest_00002.png'));
    const { code, json, stderr } = await runCli(['dataset', 'verify', broken, '--json']);
    expect(code).toBe(3);
    expect(stderr).toMatch(/error: .*broken: \d+ error\(s\)\. Mend them/);
    const document = json() as { ok: boolean; result: { findings: { kind: string }[] } };
    expect(document.ok).toBe(false);
    const kinds = document.result.findings.map(({ kind }) => kind);
    expect(kinds).toEqual(expect.arrayContaining(['missing-file', 'unreadable-file']));
  });
});

describe('dataset import', () => {
  it('imports a folder that holds a dataset of phantoms', async () => {
    const source = join(dir, 'source');
    mkdirSync(join(source, 'masks'), { recursive: true });
    mkdirSync(join(source, 'images'));
    for (let i = 0; i < 3; i++) {
      const name = `breast_0000${i}.png`;
      writeFileSync(join(source, 'images', name), readFileSync(join(phantoms, 'images', name)));
      const mask = join(phantoms, 'masks', 'lesion', name);
      if (existsSync(mask)) writeFileSync(join(source, 'masks', name), readFileSync(mask));
    }
    const argv = [
      'dataset',
      'import',
      'folder',
      source,
      '--out',
      join(dir, 'imported'),
      '--modality',
      'ultrasound',
    ];
    const { code, stdout } = await runCli(argv);
    expect(stdout).toMatch(/^cases +3$/m);
    expect(stdout).toMatch(/next: maskrank dataset verify/);
    expect(code).toBe(0);
    expect((await runCli(argv)).stdout).toMatch(/imported before from the same files; nothing was done/);
  });

  it.each([
    [['foldr', 'x'], 2, /no importer "foldr"\. Did you mean "folder"\?/],
    [['folder', join(dir, 'nothing')], 3, /nothing there/],
    [['busi', phantoms, '--classes', '1=a'], 2, /no option "classes"/],
    [['folder', phantoms, '--mask-threshold', 'high'], 2, /maskThreshold = NaN/],
  ])('%j ends with %i', async (argv, exitCode, message) => {
    const { code, stderr } = await runCli(['dataset', 'import', ...argv, '--out', join(dir, 'never')]);
    expect(stderr).toMatch(message);
    expect(code).toBe(exitCode);
    expect(existsSync(join(dir, 'never', 'dataset.json'))).toBe(false);
  });
});

describe('report', () => {
  const evaluation: Evaluation = {
    schemaVersion: 1,
    configHash: 'c0',
    madeFrom: { dataset: 'd0' },
    dataset: { name: 'phantoms-breast', split: 'test', classes: [{ id: 1, name: 'lesion' }] },
    tolerances: [{ key: '2px', value: 2, unit: 'px' }],
    empties: 'exclude',
    missedDistance: 'image diagonal',
    statistics: { seed: 7, bootstrapResamples: 100, permutations: 100 },
    prompts: { oracle: false, sources: { self: 2 } },
    stages: [{ key: 'stage1', title: 'Stage 1' }],
    controls: [],
    summary: {},
    comparisons: [],
    cases: [],
  };

  it('is written from whatever the run holds', async () => {
    const path = join(dir, 'run');
    const run = await RunFolder.open(path, {
      mode: 'create',
      command: `maskrank finetune ${phantoms} --run ${path}`,
      versions: { maskrank: '0.1.0', node: '20.19.0', engine: null },
      resolved: resolveConfig({ flags: { 'training.batchSize': '4' } }),
    });
    await run.setDataset(phantoms, 'd0');
    using metrics = MetricsLog.open(run.paths.metrics);
    metrics.log({ stage: 'stage1', step: 10, epoch: 1, losses: { total: 0.5 } });
    const warning = { level: 'warn', msg: 'the <b>loss</b> is odd' };
    writeFileSync(
      run.paths.log,
      `${JSON.stringify({ level: 'info', msg: 'started', command: 'maskrank finetune x' })}\n${JSON.stringify(warning)}\n`,
    );
    await run.close(0);

    const early = await runCli(['report', '--run', path]);
    expect(early.stderr).toMatch(/there is no evaluation yet\. Make one: maskrank evaluate --run/);
    expect(early.code).toBe(3);
    writeFileSync(run.paths.evaluation, JSON.stringify(EvaluationSchema.parse(evaluation)));
    const { code, stdout, stderr } = await runCli(['report', '--run', path]);
    expect(stderr).toBe('');
    expect(stdout).toMatch(/^wrote .*report\.html \(\d+ KiB\)\nnext: open .* in a browser\n$/);
    expect(code).toBe(0);
    const page = readFileSync(run.paths.report, 'utf8');
    for (const text of [
      'training.batchSize',
      'flag --training.batch-size',
      'the &lt;b&gt;loss',
      'maskrank finetune',
    ])
      expect(page).toContain(text);
  });

  it('of a damaged evaluation is a data error', async () => {
    const path = join(dir, 'run');
    writeFileSync(join(path, 'evaluation.json'), JSON.stringify({ ...evaluation, empties: 'ignore' }));
    const { code, stderr } = await runCli(['report', '--run', path]);
    expect(stderr).toMatch(/evaluation\.json: 1 problem\(s\):\n {2}empties/);
    expect(code).toBe(3);
  });
});
