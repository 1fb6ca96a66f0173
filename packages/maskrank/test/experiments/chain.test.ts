// An experiment by its real commands, in this process, on small phantoms: shared jobs, tables, figures, resumption, a corrupt result.

import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { registry } from '../../src/cli/registry.ts';
import { withEmpties } from '../../src/evaluation/empties.ts';
import type { Evaluation } from '../../src/evaluation/schema.ts';
import type { Results } from '../../src/experiments/collect.ts';
import { type Experiment, openExperiment, writeResults } from '../../src/experiments/experiment.ts';
import { gather } from '../../src/experiments/gather.ts';
import { runJobs } from '../../src/experiments/schedule.ts';
import { Store } from '../../src/experiments/store.ts';
import { runCli } from '../cli/harness.ts';
import { inProcess } from './in-process.ts';

const dir = mkdtempSync(join(tmpdir(), 'maskrank-experiment-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const [data, out, file] = [join(dir, 'data'), join(dir, 'out'), join(dir, 'small.json')];

const definition = {
  schemaVersion: 1,
  name: 'small',
  title: 'Small',
  about: 'Everything once.',
  seeds: [0, 1],
  split: { test: 0.25, validation: 0.1 },
  config: {
    'data.imageSize': 32,
    'prompts.unlabelled': 'oracle-box',
    'prompts.test': 'oracle-box',
    'training.steps': 3,
    'training.batchSize': 2,
    'training.logEverySteps': 1,
    'alignment.steps': 2,
    'alignment.batchSize': 2,
    'alignment.refresh.everySteps': 1,
    'alignment.logEverySteps': 1,
    'alignment.alarms.action': 'warn',
    'alignment.skip.minRegionPx': 1,
    'alignment.skip.maxRegionFraction': 1,
    'baselines.unet.steps': 2,
    'baselines.unet.batchSize': 2,
    'evaluation.alsoPrompts': [],
    'evaluation.bootstrapSamples': 100,
    'evaluation.permutations': 100,
  },
  arms: [
    { name: 'unet', title: 'U-Net', method: 'unet', labelled: 0.3 },
    { name: 'prompt-only', title: 'Stage 1', method: 'stage1', labelled: 0.3 },
    {
      name: 'ours',
      title: 'Ours',
      method: 'stage2',
      labelled: 0.3,
      unlabelled: 0.4,
      variants: [
        { name: 'ranking', title: 'ranking', x: 0 },
        { name: 'noisy', title: 'noisy', x: 10, set: { 'scoring.noise': 0.1 } },
      ],
      rows: ['stage1', 'stage2'],
    },
  ],
  reference: 'ours/ranking:stage2',
  figures: [
    { name: 'noise', title: 'Noise', x: 'variant', xTitle: 'noise (%)' },
    { name: 'minutes', title: 'Minutes', x: 'minutes', xTitle: 'minutes' },
  ],
};

let commands: string[] = [];
const open = (): Promise<Experiment> =>
  openExperiment({ definition: file, data: [`breast=${data}`], out, person: {}, verbs: registry });
const run = async (experiment: Experiment) => {
  commands = [];
  return runJobs({
    graph: experiment.graph,
    store: experiment.store,
    runStep: inProcess((argv) => commands.push(argv[0] as string)),
    parallel: 1,
    threads: 1,
    device: 'cpu',
    signal: new AbortController().signal,
    command: 'test',
    on: () => {},
    pollMs: 5,
  });
};

let experiment: Experiment;
let results: Results;
beforeAll(async () => {
  writeFileSync(file, JSON.stringify(definition));
  const size = ['--cases', '24', '--size', '64', '--seed', '3'];
  const made = await runCli(['dataset', 'phantom', 'breast', ...size, '--out', data]);
  expect(made.code, made.stderr).toBe(0);
  experiment = await open();
  const { failed } = await run(experiment);
  expect(failed.map(({ message }) => message)).toEqual([]);
  ({ results } = await writeResults(await gather(experiment)));
}, 600_000);

describe('an experiment', () => {
  it('does shared jobs once: stage 1 of a seed serves its own row and both variants', () => {
    // A seed: two divisions (with and without unlabelled cases), one stage 1, its evaluation, two of stage 2 and theirs.
    const count = (verb: string) => commands.filter((command) => command === verb).length;
    expect(count('dataset')).toBe(4);
    expect(count('finetune')).toBe(2);
    expect(count('align')).toBe(4);
    expect(count('evaluate')).toBe(6);
    expect(count('baseline')).toBe(2);
  });

  it('has every number, from runs and commands that it names', () => {
    expect(results.missing).toEqual([]);
    expect(results.rows.map(({ id }) => id)).toEqual([
      'unet',
      'prompt-only',
      'ours/ranking:stage1',
      'ours/ranking:stage2',
      'ours/noisy:stage1',
      'ours/noisy:stage2',
    ]);
    expect(results.data).toEqual([{ name: 'breast', metrics: ['iou', 'dice'] }]);
    for (const result of results.results) {
      expect(result.perSeed.map(({ seed }) => seed)).toEqual([0, 1]);
      expect(result.sd).not.toBeNull();
      expect(result.mean).toBeGreaterThanOrEqual(0);
    }
    const source = results.sources.find(({ row, seed }) => row === 'ours/noisy:stage2' && seed === 1)!;
    expect(source.commands.map((command) => command.split(' ')[1])).toEqual([
      'dataset',
      'dataset',
      'finetune',
      'align',
      'evaluate',
    ]);
    const evaluation = JSON.parse(readFileSync(join(source.run, 'evaluation.json'), 'utf8'));
    const dice = results.results.find((r) => r.row === source.row && r.metric === 'dice')!;
    expect(dice.perSeed[1]!.value).toBe(evaluation.summary.stage2.all.perImage.dice.mean);
  });

  it('compares with the reference, and not the reference with itself', () => {
    const compared = results.results.filter(({ metric }) => metric === 'dice');
    for (const { row, difference } of compared) {
      if (row === 'ours/ranking:stage2') expect(difference).toBeUndefined();
      else expect(difference).toMatchObject({ reference: 'ours/ranking:stage2', n: expect.any(Number) });
    }
    const own = compared.find(({ row }) => row === 'unet')!;
    const reference = compared.find(({ row }) => row === 'ours/ranking:stage2')!;
    expect(own.difference!.mean).toBeCloseTo(own.mean - reference.mean, 6);
  });

  it('counts what a person would have done', () => {
    const cost = (row: string) => results.costs.find((item) => item.row === row)!;
    const { labour } = cost('ours/ranking:stage2');
    expect(labour.masks).toBeGreaterThan(0);
    // Proposals are judged in two rounds, each unit has one box.
    expect(labour.judgements).toBe(2 * labour.boxes);
    expect(cost('prompt-only').labour).toMatchObject({ boxes: 0, judgements: 0, validationMasks: 0 });
    expect(cost('unet').labour.validationMasks).toBeGreaterThan(0);
    expect(cost('ours/ranking:stage2').minutes).toBeGreaterThan(cost('prompt-only').minutes);
  });

  it('writes tables and figures', async () => {
    const folder = join(out, 'small');
    const text = (name: string) => readFileSync(join(folder, name), 'utf8');
    expect(text('table.md')).toMatch(/\| Ours, noisy, stage2 \| \d+\.\d ± \d+\.\d\*? \| 6?\d/);
    // The paper's numbers are of other experiments.
    expect(text('table.md')).not.toContain('paper');
    expect(text('table.tex')).toMatch(/^U-Net & \d+\.\d \$\\pm\$ \d/m);
    expect(text('table.csv').split('\n')).toHaveLength(14);
    expect(text('values.csv').split('\n')).toHaveLength(26);
    expect(JSON.parse(text('results.json'))).toMatchObject({ schemaVersion: 1, missing: [] });
    expect(readdirSync(join(folder, 'figures')).sort()).toEqual(
      ['minutes-breast', 'noise-breast'].flatMap((name) => [`${name}.png`, `${name}.svg`]),
    );
    expect(text('figures/noise-breast.svg')).toMatch(/^<svg xmlns=.*Ours/s);
    const { width, height } = await sharp(join(folder, 'figures', 'noise-breast.png')).metadata();
    expect(width! / height!).toBeCloseTo(640 / (400 + 18), 1);
  });

  it('values empty masks anew in a table of its own, from what is done', async () => {
    const { graph, store } = experiment;
    const cell = graph.cells.find(({ row, seed }) => row.id === 'unet' && seed === 0)!;
    const path = join(store.run(graph.jobs.get(cell.job)!), 'evaluation.json');
    const evaluation = JSON.parse(readFileSync(path, 'utf8')) as Evaluation;
    const { results: again } = await writeResults(await gather(experiment), { empties: 'one' });
    const own = again.results.find(({ row, metric }) => row === 'unet' && metric === 'dice')!;
    expect(own.perSeed[0]!.value).toBe(
      withEmpties(evaluation, 'one').summary['baseline-unet']!.all!.perImage.dice!.mean,
    );
    const note = (folder: string) => readFileSync(join(out, folder, 'table.md'), 'utf8');
    expect(note('small-empties-one')).toContain('- Empty masks, one: ');
    expect(note('small')).toContain('- Empty masks, exclude: ');
  });

  it('repeats nothing', async () => {
    const { found, done } = await run(await open());
    expect(commands).toEqual([]);
    expect([done.size, found.size]).toEqual([0, 8]);
  });

  describe('packed', () => {
    const carried = join(dir, 'carried');
    const away = join(dir, 'away');
    const tables = (folder: string) =>
      ['table.md', 'table.tex', 'table.csv'].map((name) => readFileSync(join(folder, 'small', name), 'utf8'));
    const cli = (...argv: string[]) => runCli(['experiment', ...argv]);
    /** As on a machine that has the folder alone. */
    const withoutData = async (work: () => Promise<unknown>) => {
      renameSync(data, away);
      try {
        await work();
      } finally {
        renameSync(away, data);
      }
    };

    it('gives the same tables where no data set is, and nothing heavy is carried', async () => {
      const before = tables(out);
      const packed = await cli(file, `breast=${data}`, '--out', out, '--pack', carried);
      expect(packed.code, packed.stderr).toBe(0);
      expect(packed.stdout).toContain(`next: maskrank experiment small --out ${carried} --collect`);
      const files = readdirSync(carried, { recursive: true, encoding: 'utf8' });
      expect(files.filter((name) => /\.safetensors$|\.png$|prompts\.jsonl$/.test(name))).toEqual([]);
      await withoutData(async () => {
        const { code, stderr } = await cli('small', '--out', carried, '--collect');
        expect(code, stderr).toBe(0);
        expect(tables(carried)).toEqual(before);
        const some = await cli('small', '--out', carried, '--collect', '--seeds', '1', '--arms', 'unet');
        expect(some.stdout).toMatch(/\| U-Net \| [\d.]+ \| [\d.]+ \|\n\n- Per cent.* seed 1;/);
      });
    });

    it('goes on where the data set is: nothing is done again, a baseline without its weights neither', async () => {
      const { done, found } = await run({ ...(await open()), store: new Store(carried) });
      expect(commands).toEqual([]);
      expect([done.size, found.size]).toEqual([0, 8]);
    });

    it('makes again the weights that a further number stands on, to the same number', async () => {
      const store = new Store(carried);
      const { graph } = await open();
      const cell = graph.cells.find(({ row }) => row.id === 'ours/noisy:stage2')!;
      const evaluation = graph.jobs.get(cell.job)!;
      const path = join(store.run(evaluation), 'evaluation.json');
      const before = JSON.parse(readFileSync(path, 'utf8'));
      rmSync(store.folder(evaluation), { recursive: true });
      await run({ ...(await open()), store });
      expect(commands).toEqual(['finetune', 'align', 'evaluate']);
      expect(JSON.parse(readFileSync(path, 'utf8')).cases).toEqual(before.cases);
    });

    it('says what cannot be done', async () => {
      await withoutData(async () => {
        const goOn = await cli(file, `breast=${data}`, '--out', carried);
        expect(goOn.stderr).toMatch(/is no dataset/);
        const changed = await cli('small', '--out', carried, '--collect', '--training.steps', '9');
        expect(changed.stderr).toMatch(/training\.steps changes nothing of it/);
        const other = await cli('beta', '--out', carried, '--collect');
        expect(other.stderr).toMatch(/pack\.json does not exist; name the data sets/);
      });
      const itself = await cli(file, `breast=${data}`, '--out', out, '--pack', out);
      expect(itself.stderr).toMatch(/is the store itself/);
      const [folder] = readdirSync(join(carried, 'jobs')).filter((name) => name.startsWith('evaluation'));
      const path = join(carried, 'jobs', folder!, 'run', 'evaluation.json');
      writeFileSync(path, readFileSync(path, 'utf8').replace(/"mean": 0\./, '"mean": 1.'));
      const damaged = await cli('small', '--out', carried, '--collect');
      expect(damaged.stderr).toMatch(/not what the job wrote.*Carry the folder again/);
    });
  });

  it('does a corrupt result again, and it alone', async () => {
    const { graph, store } = experiment;
    const cell = graph.cells.find(({ row }) => row.id === 'ours/noisy:stage2')!;
    const path = join(store.run(graph.jobs.get(cell.job)!), 'evaluation.json');
    const before = readFileSync(path, 'utf8');
    writeFileSync(path, before.replace(/"mean": 0\./, '"mean": 1.'));
    await run(await open());
    expect(commands).toEqual(['evaluate']);
    expect(readFileSync(path, 'utf8')).toBe(before);
  });

  it('makes again what is missing before it, where it is needed', async () => {
    const { graph, store } = experiment;
    const cell = graph.cells.find(({ row }) => row.id === 'ours/noisy:stage2')!;
    const evaluation = graph.jobs.get(cell.job)!;
    const stage2 = graph.jobs.get(evaluation.from!)!;
    const before = readFileSync(join(store.run(evaluation), 'evaluation.json'), 'utf8');
    rmSync(store.folder(evaluation), { recursive: true });
    rmSync(store.folder(stage2), { recursive: true });
    await run(await open());
    expect(commands).toEqual(['align', 'evaluate']);
    // The same numbers: nothing of it depends on when it was done.
    expect(JSON.parse(readFileSync(join(store.run(evaluation), 'evaluation.json'), 'utf8')).cases).toEqual(
      JSON.parse(before).cases,
    );
    expect(existsSync(join(store.run(stage2), 'checkpoints', 'stage1.safetensors'))).toBe(true);
  });
});
