// Baselines in experiments: which of them can be done on a data set, and what they stand on.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { registry } from '../../src/cli/registry.ts';
import { openDataset } from '../../src/datasets/cases.ts';
import { buildGraph, chainOf, type ExperimentData, type Graph } from '../../src/experiments/graph.ts';
import { allMethods } from '../../src/experiments/methods.ts';
import { rowsOf } from '../../src/experiments/rows.ts';
import { BASELINES } from '../../src/pipeline/baselines/registry.ts';
import { runCli } from '../cli/harness.ts';
import { definitionOf } from './fake.ts';

const dir = mkdtempSync(join(tmpdir(), 'maskrank-baselines-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const METHODS = allMethods(registry);
let data: ExperimentData;
beforeAll(async () => {
  const made = await runCli(['dataset', 'phantom', 'breast', '--cases', '8', '--size', '64', '--out', dir]);
  expect(made.code, made.stderr).toBe(0);
  const { hash, dataset } = await openDataset(dir);
  data = { name: 'breast', dir, hash, dataset };
}, 60_000);

const WEIGHTS = { 'model.weights': 'sam-med2d-tiny', 'clip.weights': 'biomedclip-tiny' };
const arm = (method: string, more: object = {}) => ({
  name: method,
  title: method,
  method,
  labelled: 0.5,
  ...more,
});
const graphOf = (arms: object[], config: object): Promise<Graph> => {
  const definition = definitionOf(arms, { config });
  return buildGraph({ definition, rows: rowsOf(definition, METHODS), data: [data], seeds: [0], person: {} });
};
const methodsIn = ({ cells }: Graph) => cells.map(({ row }) => row.method.name);
const kindsOf = (graph: Graph) => graph.cells.map(({ job }) => chainOf(graph, job).map(({ kind }) => kind));

describe('every-baseline', () => {
  it('means all that can be done, and says what is left out', async () => {
    const { leftOut, ...graph } = await graphOf([arm('every-baseline', { labelled: [0.2, 0.5] })], WEIGHTS);
    expect(leftOut).toEqual([
      { method: 'sam-med3d', data: 'breast', why: expect.stringContaining('no slices of volumes') },
    ]);
    const fromMasks = BASELINES.filter(({ usesUnlabelled }) => usesUnlabelled !== true);
    const names = fromMasks.map(({ name }) => name).filter((name) => name !== 'sam-med3d');
    expect(methodsIn({ ...graph, leftOut })).toEqual(names.flatMap((name) => [name, name]));
  });

  it('leaves out methods without weights', async () => {
    const { leftOut } = await graphOf([arm('every-baseline')], {});
    expect(leftOut.map(({ method }) => method)).toEqual([
      'sam',
      'sam-med2d',
      'sam-med3d',
      'self-prompt',
      'medclip-sam',
    ]);
    expect(leftOut[0]!.why).toMatch(/there are no weights .* name some: maskrank weights list/);
  });
});

it('a method by its name is refused where it cannot be done', async () => {
  await expect(graphOf([arm('sam-med3d')], WEIGHTS)).rejects.toThrow(
    /row sam-med3d on breast: .* no slices of volumes, .* leave the arm out/,
  );
  await expect(graphOf([arm('sam')], {})).rejects.toThrow(/row sam on breast: .*there are no weights/);
});

it('a method that learns from unlabelled cases needs a share of them, and stands on a division that has them', async () => {
  expect(() => graphOf([arm('fixmatch')], {})).toThrow(/arm fixmatch: .* give the arm a share/);
  const { cells, jobs } = await graphOf([arm('fixmatch', { unlabelled: 0.4 })], {});
  const [division] = jobs.get(cells[0]!.job)!.needs;
  expect(jobs.get(division!)!.division).toMatchObject({ labelled: 0.5, unlabelled: 0.4 });
});

describe('prompts', () => {
  const prompted = { 'prompts.labelled': 'saliency', 'prompts.test': 'saliency', ...WEIGHTS };

  it('of maskrank prompt are made before whoever takes them, and only then', async () => {
    const arms = ['sam', 'medclip-sam', 'unet'].map((name) => arm(name));
    expect(kindsOf(await graphOf(arms, prompted))).toEqual([
      ['split', 'split', 'prompts', 'baseline'],
      ['split', 'split', 'prompts', 'baseline'],
      ['split', 'baseline'],
    ]);
    const own = { 'prompts.test': 'oracle-box', ...WEIGHTS };
    expect(kindsOf(await graphOf(arms, own))).toEqual(arms.map(() => ['split', 'baseline']));
    const [job] = (await graphOf([arm('sam')], { ...prompted, 'prompts.use': ['box', 'vqa'] })).jobs.values();
    expect(job!.kind).toBe('split');
  });

  it('never ask for texts that no row takes', async () => {
    const graph = await graphOf([arm('sam')], { ...prompted, 'prompts.use': ['box', 'vqa'] });
    const made = [...graph.jobs.values()].find(({ kind }) => kind === 'prompts')!;
    expect(made.given['prompts.use']).toEqual(['box']);
  });

  it('of measured images make another job of a prompted baseline alone', async () => {
    const keys = async (method: string, test: string) =>
      (await graphOf([arm(method)], { ...WEIGHTS, 'prompts.test': test })).cells[0]!.job;
    expect(await keys('sam', 'oracle-box')).not.toBe(await keys('sam', 'self'));
    expect(await keys('unet', 'oracle-box')).toBe(await keys('unet', 'self'));
  });
});
