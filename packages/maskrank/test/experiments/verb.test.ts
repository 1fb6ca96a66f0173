// `maskrank experiment` as a person meets it: the list, the plan with its cost, the refusals. Jobs themselves: chain.test.ts.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { registry } from '../../src/cli/registry.ts';
import { trialsOf } from '../../src/experiments/calibrate.ts';
import { makeEstimator, rateNames } from '../../src/experiments/estimate.ts';
import { openExperiment } from '../../src/experiments/experiment.ts';
import { runCli } from '../cli/harness.ts';
import { fakeStep, graphOf, schedule } from './fake.ts';

const dir = mkdtempSync(join(tmpdir(), 'maskrank-experiment-verb-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const [data, out, file] = [join(dir, 'data'), join(dir, 'out'), join(dir, 'own.json')];

beforeAll(async () => {
  const size = ['--cases', '20', '--size', '64', '--seed', '3'];
  const made = await runCli(['dataset', 'phantom', 'breast', ...size, '--out', data]);
  expect(made.code, made.stderr).toBe(0);
  writeFileSync(
    file,
    JSON.stringify({
      schemaVersion: 1,
      name: 'own',
      title: 'Own',
      about: 'Own.',
      seeds: [0, 1],
      config: { 'training.steps': 10, 'evaluation.alsoPrompts': [] },
      arms: [
        { name: 'only', title: 'Only', method: 'stage1', labelled: 0.5 },
        { name: 'unet', title: 'U-Net', method: 'unet', labelled: 0.5 },
      ],
    }),
  );
}, 240_000);

const experiment = (...argv: string[]) => runCli(['experiment', ...argv]);

it('lists the definitions', async () => {
  const { code, stdout } = await experiment();
  expect(code).toBe(0);
  expect(stdout).toMatch(/^table2 +Table 2/m);
});

it.each([
  [['tabel1', 'x', '--out', 'o'], /no experiment "tabel1"\. Did you mean "table1"/],
  [['table1', 'x'], /missing --out DIR/],
  [['table1', '--out', 'o'], /there is no data set; name one: chest=FOLDER/],
  [['table1', 'chest=nowhere', '--out', 'o'], /nowhere is no dataset/],
  [['table1', 'x', '--out', 'o', '--seed', '3'], /--seeds 0,1,2/],
  [['table1', 'x', '--out', 'o', '--arms', 'stage3'], /has no arm "stage3"/],
  [['table1', 'x', '--out', 'o', '--shard', '3/2'], /is no part/],
  [
    ['table1', 'x', '--out', 'o', '--empties', 'two'],
    /--empties: 'two'.* exclude, one, zero, zero-if-missed/,
  ],
])('%j is refused', async (argv, words) => {
  const { code, stderr } = await experiment(...argv);
  expect(stderr).toMatch(words);
  expect([2, 3]).toContain(code);
  expect(existsSync('o')).toBe(false);
});

it('plans: jobs, steps, and the time when it is known', async () => {
  const argv = [file, `breast=${data}`, '--out', out, '--plan', '--baselines.unet.steps', '20'];
  const { code, stdout, stderr } = await experiment(...argv);
  expect(code, stderr).toBe(0);
  expect(stdout).toMatch(/^stage1 +2 +0 +20 steps +not measured yet$/m);
  expect(stdout).toMatch(/^baseline unet +2 +0 +40 steps +not measured yet$/m);
  expect(stdout).toMatch(/8 of 8 jobs to do; --calibrate measures/);
  expect(stdout).not.toContain('next: maskrank experiment own --plan');
});

it('writes what is there, and says how much is missing', async () => {
  const { code, stdout, stderr } = await experiment(file, `breast=${data}`, '--out', out, '--collect');
  expect(code, stderr).toBe(0);
  expect(stderr).toContain('4 of 4 numbers are missing');
  expect(stdout).toContain('| Only | – | – |');
  expect(readFileSync(join(out, 'own', 'values.csv'), 'utf8').split('\n')).toHaveLength(2);
});

describe('the cost of jobs', () => {
  const open = () =>
    openExperiment({ definition: file, data: [`breast=${data}`], out, person: {}, verbs: registry });
  /** Writes metrics as training does: 0.5 s a step, the first slower. */
  const timed = fakeStep((verb, argv) => {
    if (verb !== 'finetune') return;
    const path = join(argv[argv.indexOf('--run') + 1] as string, 'metrics.jsonl');
    mkdirSync(dirname(path), { recursive: true });
    const line = (ms: number) =>
      JSON.stringify({ stage: 'stage1', step: 1, epoch: 1, ms: { forward: ms, backward: 0 } });
    writeFileSync(path, `${line(9000)}\n${line(500)}\n${line(500)}\n`);
  });

  it('is that of measured steps, from finished jobs of their kind', async () => {
    const { graph, store } = await open();
    const [first] = graph.cells.filter(({ row }) => row.id === 'only');
    await schedule({ ...graph, cells: [first!] }, store, timed).result;
    const estimate = await makeEstimator(graph, store);
    const stage1 = [...graph.jobs.values()].filter(({ kind }) => kind === 'stage1');
    // The command of the fake takes 1 s, less than its steps say: ten of half a second.
    for (const job of stage1) expect(estimate(job)).toMatchObject({ units: 10, seconds: 5 });
    const unet = [...graph.jobs.values()].find(({ kind }) => kind === 'baseline')!;
    expect(estimate(unet).seconds).toBeNull();
  });

  it.each([
    ['data.imageSize', 64],
    ['baselines.unet.imageSize', 64],
    ['baselines.unet.batchSize', 3],
    ['model.name', 'vit-tiny'],
  ])('is not that of a baseline with another %s', async (path, value) => {
    const [plain, other] = await Promise.all(
      [{}, { [path]: value }].map(async (set) => {
        const arms = [{ name: 'unet', title: 'U-Net', method: 'unet', labelled: 0.1, set }];
        const graph = await graphOf(dir, arms);
        return [...graph.jobs.values()].find(({ kind }) => kind === 'baseline')!;
      }),
    );
    for (const name of rateNames(plain!)) expect(rateNames(other!)).not.toContain(name);
  });

  it('comes from a short trial where nothing is finished', async () => {
    const opened = await open();
    const [trial] = await trialsOf(opened, {});
    // One of each kind, of few cases and steps.
    expect(trial!.graph.cells.map(({ row }) => row.id).sort()).toEqual(['only', 'unet']);
    for (const job of trial!.graph.jobs.values()) {
      expect(job.config.training.steps).toBe(6);
      if (job.kind === 'baseline') expect(job.config.baselines.unet.steps).toBe(6);
    }
    await schedule(trial!.graph, trial!.store, timed).result;
    const estimate = await makeEstimator(opened.graph, opened.store, [trial!]);
    for (const job of opened.graph.jobs.values()) expect(estimate(job).seconds).toBeGreaterThan(0);
  });
});
